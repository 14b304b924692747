#include "kube/event_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/test_server.h"

namespace spillway::kube {
namespace {

class EventsTest : public testing::Test {
 protected:
  static Event Make(const std::string& pod, const std::string& reason, const std::string& note) {
    return {{"v1", "Pod", "a", pod, "uid-" + pod}, EventType::kNormal, reason, "", note};
  }
  static EventOptions Options() {
    EventOptions options;
    options.component = "spillway.dev/controller";
    options.instance = "r-1";
    return options;
  }
  std::vector<json::object> Sent(const std::string& method) const {
    std::vector<json::object> bodies;
    for (const Seen& seen : server_.seen())
      if (seen.method == method) bodies.push_back(json::parse(seen.body).as_object());
    return bodies;
  }

  TestTime time_;
  std::atomic<int> status_ = 201;
  TestServer server_{[this](const Seen&) { return Answer(status_, "{}"); }};
  Client client_{server_.MakeAccess(), time_.timing};
};

TEST_F(EventsTest, SaysWhatHappenedToWhat) {
  EventRecorder recorder(client_, Options());
  recorder.Record(Make("p", "Renting", "3 GPUs for 4.20 EUR\nper hour"));
  recorder.Step();
  const auto sent = Sent("POST");
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(server_.seen()[0].path, "/apis/events.k8s.io/v1/namespaces/a/events");
  EXPECT_EQ(sent[0].at("note"), "3 GPUs for 4.20 EUR\\x0aper hour");
  EXPECT_EQ(sent[0].at("reason"), "Renting");
  EXPECT_EQ(sent[0].at("action"), "Renting");
  EXPECT_EQ(sent[0].at("type"), "Normal");
  EXPECT_EQ(json::serialize(sent[0].at("regarding")),
            R"({"apiVersion":"v1","kind":"Pod","namespace":"a","name":"p","uid":"uid-p"})");
  EXPECT_FALSE(sent[0].contains("series"));
}

TEST_F(EventsTest, ClusterScopedObjectsHaveTheirEventsInDefault) {
  EventRecorder recorder(client_, Options());
  recorder.Record({{"v1", "Node", "", "n", "u"}, EventType::kWarning, "Lost", "", "gone"});
  recorder.Step();
  EXPECT_EQ(server_.seen().at(0).path, "/apis/events.k8s.io/v1/namespaces/default/events");
  EXPECT_FALSE(Sent("POST")[0].at("regarding").as_object().contains("namespace"));
}

TEST_F(EventsTest, TheSameAgainIsACountOncePerMinute) {
  EventRecorder recorder(client_, Options());
  for (int i = 0; i < 300; ++i) {
    recorder.Record(Make("p", "Waiting", "no room"));
    recorder.Step();
    time_.clock.Advance(1s);
  }
  EXPECT_EQ(Sent("POST").size(), 1u);
  const auto patches = Sent("PATCH");
  EXPECT_EQ(patches.size(), 4u);
  EXPECT_EQ(patches.back().at("series").at("count"), 241);
  EXPECT_EQ(server_.seen().back().path,
            "/apis/events.k8s.io/v1/namespaces/a/events/" +
                std::string(View(Sent("POST")[0].at("metadata").at("name").as_string())));
}

TEST_F(EventsTest, AnExpiredEventBeginsAnew) {
  EventRecorder recorder(client_, Options());
  recorder.Record(Make("p", "Waiting", "no room"));
  recorder.Step();
  status_ = 404;
  time_.clock.Advance(61s);
  recorder.Record(Make("p", "Waiting", "no room"));
  recorder.Step();
  status_ = 201;
  recorder.Record(Make("p", "Waiting", "no room"));
  recorder.Step();
  EXPECT_EQ(Sent("POST").size(), 2u);
}

TEST_F(EventsTest, AProgressIsThinnedOutAndEndsWithTheLastWord) {
  EventRecorder recorder(client_, Options());
  for (int percent = 0; percent <= 100; ++percent) {
    recorder.Record(Make("p", "Staging", std::to_string(percent) + " %"));
    recorder.Step();
    time_.clock.Advance(100ms);
  }
  EXPECT_LE(Sent("POST").size(), 11u);
  for (int i = 0; i < 40; ++i, time_.clock.Advance(1s)) recorder.Step();
  EXPECT_EQ(Sent("POST").back().at("note"), "100 %");
  EXPECT_EQ(recorder.counts().dropped, 0);
}

TEST_F(EventsTest, ManyObjectsShareOneLimitAndMemoryIsBounded) {
  EventOptions options = Options();
  options.pending = 100;
  options.remembered = 20;
  EventRecorder recorder(client_, options);
  for (int i = 0; i < 150; ++i) recorder.Record(Make("p" + std::to_string(i), "Waiting", "x"));
  recorder.Step();
  EXPECT_EQ(Sent("POST").size(), 50u);
  EXPECT_EQ(recorder.counts().dropped, 50);
  for (int i = 0; i < 20; ++i, time_.clock.Advance(1s)) recorder.Step();
  EXPECT_EQ(Sent("POST").size(), 100u);
  EXPECT_EQ(recorder.counts().written, 100);
}

TEST_F(EventsTest, FailuresAreCountedAndNotRepeated) {
  EventRecorder recorder(client_, Options());
  status_ = 403;
  recorder.Record(Make("p", "Waiting", "x"));
  recorder.Step();
  recorder.Step();
  EXPECT_EQ(Sent("POST").size(), 1u);
  EXPECT_EQ(recorder.counts().failed, 1);
}

}  // namespace
}  // namespace spillway::kube
