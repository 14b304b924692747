#include "home/results_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/test_server.h"

namespace spillway::home {
namespace {

using kube::Answer;
using kube::Script;
using kube::Seen;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using What = ResultsNews::What;

ResultsNews Waiting(Code code = Code::kDenied) {
  return {What::kWaiting,
          "0a1b",
          "vision/models",
          "vision/train-0",
          "s3://data/models/run-1",
          {3, 3 << 20, Time(1'764'504'000s)},
          {40, 5LL << 30, Time(1'764'507'600s)},
          Error{code, "PUT a: 403 AccessDenied; the results stay in /d/results/0a1b", {}}};
}

ResultsNews Home() {
  ResultsNews news = Waiting();
  news.what = What::kHome;
  news.home = {43, (5LL << 30) + (3 << 20), {}};
  news.waiting = {};
  news.why.reset();
  return news;
}

TEST(ResultsSentences, SayHowManyWhereWhyAndWhatToDo) {
  const ResultsSentence waiting = SentenceOf(Waiting(), "gpu-1");
  EXPECT_EQ(waiting.reason, "ResultsWaiting");
  EXPECT_TRUE(waiting.warning);
  EXPECT_EQ(waiting.text,
            "40 files (5.0 GiB) of pod train-0 wait on node gpu-1 for s3://data/models/run-1, the "
            "oldest of 2025-11-30T13:00:00Z; 3 files (3.0 MiB) are there. Cause: PUT a: 403 "
            "AccessDenied; the results stay in /d/results/0a1b. They are tried again by "
            "themselves, and lost if the node is: let the user of the Dataset's profile write "
            "there, or correct its keys in the Secret spillway-s3");
  const ResultsSentence home = SentenceOf(Home(), "gpu-1");
  EXPECT_EQ(home.reason, "ResultsHome");
  EXPECT_FALSE(home.warning);
  EXPECT_EQ(home.text, "43 files (5.0 GiB) of pod train-0 are in s3://data/models/run-1");
  ResultsNews kept = Waiting(Code::kInvalid);
  kept.what = What::kKept;
  kept.home = {};
  kept.waiting.count = 1;
  EXPECT_EQ(SentenceOf(kept, "gpu-1").reason, "ResultsKept");
  EXPECT_THAT(SentenceOf(kept, "gpu-1").text,
              StartsWith("1 file (5.0 GiB) of pod train-0 can never be in s3://data/models/run-1: "
                         "PUT a: 403"));
}

TEST(ResultsSentences, HaveAnEndAndRoomForTheRemedy) {
  ResultsNews news = Waiting(Code::kUnavailable);
  news.why->message = std::string(499, 'x') + "\xc3\xa9" + std::string(9000, 'y');
  const std::string text = SentenceOf(news, "gpu-1").text;
  EXPECT_LE(text.size(), 1024u);
  EXPECT_THAT(text, HasSubstr("see that the store answers"));
  EXPECT_THAT(text, HasSubstr("xxx..."));
  EXPECT_THAT(text, Not(HasSubstr("\xc3...")));
}

// An API server with one claim, which keeps Events.
class ResultsEventsTest : public ::testing::Test {
 protected:
  Script Handle(const Seen& seen) {
    const std::lock_guard lock(mutex_);
    writes_ += seen.method != "GET" ? 1 : 0;
    changed_.notify_all();
    return Answered(seen);
  }
  Script Answered(const Seen& seen) {
    if (away_ > 0) {
      --away_;
      return Answer(503, "");
    }
    if (seen.method == "GET" &&
        seen.path == "/api/v1/namespaces/vision/persistentvolumeclaims/models")
      return Answer(200, R"({"metadata":{"name":"models","uid":"uid-1"}})");
    const json::value sent = json::parse(seen.body.empty() ? "{}" : seen.body);
    const std::string all = "/api/v1/namespaces/vision/events";
    if (seen.method == "POST" && seen.path == all) {
      const std::string name(StringOr(sent.at("metadata"), "name", ""));
      if (events_.contains(name))
        return Answer(409, kube::StatusBody(409, "AlreadyExists", "it exists"));
      events_[name] = sent.as_object();
      return Answer(201, seen.body);
    }
    if (seen.method == "PATCH" && seen.path.starts_with(all + "/")) {
      json::object& event = events_.at(seen.path.substr(all.size() + 1));
      for (const auto& field : sent.as_object()) event[field.key()] = field.value();
      return Answer(200, json::serialize(event));
    }
    return Answer(404, kube::StatusBody(404, "NotFound", "nothing is there"));
  }
  // Blocks until so many creations and changes were answered; half a minute at most.
  bool AwaitWrites(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 30s, [&] { return writes_ >= count; });
  }
  // Ends it: nothing is written any more.
  json::object EventOf(std::string_view reason) {
    events_of_.reset();
    const std::lock_guard lock(mutex_);
    for (const auto& [name, event] : events_)
      if (StringOr(event, "reason", "") == reason) return event;
    return {};
  }
  void Start() {
    events_of_.reset();
    client_ = std::make_unique<kube::Client>(server_.MakeAccess(), time_.timing);
    events_of_ = std::make_unique<ResultsEvents>(*client_, "gpu-1");
  }

  std::mutex mutex_;  // guards the next four
  std::condition_variable changed_;
  int away_ = 0, writes_ = 0;
  std::map<std::string, json::object> events_;
  kube::TestTime time_;
  kube::TestServer server_{[this](const Seen& seen) { return Handle(seen); }};
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<ResultsEvents> events_of_;
};

TEST_F(ResultsEventsTest, AnEventIsAboutTheClaimAndRepeatsAreCounted) {
  Start();
  events_of_->Tell(Waiting());
  ASSERT_TRUE(AwaitWrites(1));
  events_of_->Tell(Waiting());
  time_.clock.Advance(ResultsEvents::kRepeat);
  ResultsNews later = Waiting();
  later.waiting.count = 39;
  events_of_->Tell(later);
  ASSERT_TRUE(AwaitWrites(3)) << "refused, so changed";
  // Another cause is told at once.
  events_of_->Tell(Waiting(Code::kUnavailable));
  ASSERT_TRUE(AwaitWrites(5));
  events_of_->Tell(Home());
  events_of_->Tell(Home());
  ASSERT_TRUE(AwaitWrites(6));
  const json::object waiting = EventOf("ResultsWaiting"), home = EventOf("ResultsHome");
  const json::value& about = waiting.at("involvedObject");
  EXPECT_EQ(about.at("kind"), "PersistentVolumeClaim");
  EXPECT_EQ(about.at("name"), "models");
  EXPECT_EQ(about.at("uid"), "uid-1") << "kubectl describe asks for it";
  EXPECT_EQ(waiting.at("type"), "Warning");
  EXPECT_EQ(waiting.at("count"), 3) << "the second was too soon";
  EXPECT_THAT(std::string(View(waiting.at("message").as_string())), HasSubstr("the store answers"));
  EXPECT_NE(waiting.at("firstTimestamp"), waiting.at("lastTimestamp"));
  EXPECT_EQ(home.at("count"), 1);
  EXPECT_EQ(home.at("type"), "Normal");
  EXPECT_EQ(events_.size(), 2u);
}

TEST_F(ResultsEventsTest, TheNextProcessGoesOnWithTheCount) {
  for (int process = 0; process < 3; ++process) {
    Start();
    events_of_->Tell(Waiting());
    ASSERT_TRUE(AwaitWrites(process == 0 ? 1 : 2 * process + 1));
    EventOf("");
  }
  Start();
  events_of_->Tell(Waiting());
  ASSERT_TRUE(AwaitWrites(7));
  time_.clock.Advance(ResultsEvents::kRepeat);
  events_of_->Tell(Waiting());
  ASSERT_TRUE(AwaitWrites(9));
  EXPECT_EQ(EventOf("ResultsWaiting").at("count"), 2);
}

TEST_F(ResultsEventsTest, WhatCannotBeWrittenIsTriedAgain) {
  away_ = 3;
  Start();
  events_of_->Tell(Waiting());
  ASSERT_TRUE(AwaitWrites(1));
  EXPECT_EQ(EventOf("ResultsWaiting").at("count"), 1);
  const auto waits = time_.waiter.waits();
  EXPECT_EQ(std::ranges::count(waits, ResultsEvents::kPause), 3);
}

TEST_F(ResultsEventsTest, AClaimThatIsGoneIsNotWaitedFor) {
  Start();
  ResultsNews other = Home();
  other.claim = "vision/gone";
  other.owner = "0000";
  events_of_->Tell(other);
  events_of_->Tell(Home());
  ASSERT_TRUE(AwaitWrites(1));
  EXPECT_FALSE(EventOf("ResultsHome").empty());
  EXPECT_EQ(std::ranges::count(time_.waiter.waits(), ResultsEvents::kPause), 0);
}

}  // namespace
}  // namespace spillway::home
