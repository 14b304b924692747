#include "kube/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/informer.h"
#include "kube/line_reader.h"
#include "kube/test_server.h"

namespace spillway::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string Pod(const std::string& name, int version, const std::string& phase = "Pending") {
  return R"({"metadata":{"namespace":"a","name":")" + name + R"(","resourceVersion":")" +
         std::to_string(version) + R"("},"status":{"phase":")" + phase + R"("}})";
}
std::string Event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}";
}
std::string Bookmark(int version, bool ends_list = false) {
  return Event("BOOKMARK",
               R"({"kind":"Pod","metadata":{"resourceVersion":")" + std::to_string(version) + "\"" +
                   (ends_list ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "") +
                   "}}");
}
std::string List(const std::vector<std::string>& items, int version, const std::string& next = "") {
  std::string text = R"({"kind":"PodList","metadata":{"resourceVersion":")" +
                     std::to_string(version) + R"(","continue":")" + next + R"("},"items":[)";
  for (std::size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : ",") + items[i];
  return text + "]}";
}
const std::string kExpired = StatusBody(410, "Expired", "too old resource version: 1 (2)");
const Script kHold{"", false, Script::After::kHold};

TEST(LineReader, GivesTheSameLinesWhereverTheBytesAreTorn) {
  const std::string text = "one\n\ntwo three\nfour\nrest";
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    for (std::size_t again = cut; again <= text.size(); ++again) {
      LineReader reader(64);
      std::vector<std::string> lines;
      const auto take = [&](std::string_view line) {
        lines.emplace_back(line);
        return Ok();
      };
      ASSERT_TRUE(reader.Feed(std::string_view(text).substr(0, cut), take));
      ASSERT_TRUE(reader.Feed(std::string_view(text).substr(cut, again - cut), take));
      ASSERT_TRUE(reader.Feed(std::string_view(text).substr(again), take));
      ASSERT_THAT(lines, ElementsAre("one", "two three", "four"));
    }
}

TEST(LineReader, RefusesALineThatIsTooLong) {
  const auto take = [](std::string_view) { return Ok(); };
  LineReader whole(4), pieces(4);
  EXPECT_TRUE(whole.Feed("1234\n", take));
  EXPECT_EQ(whole.Feed("12345\n", take).error().code, Code::kCorrupt);
  EXPECT_TRUE(pieces.Feed("123", take));
  EXPECT_EQ(pieces.Feed("45", take).error().code, Code::kCorrupt);
}

class WatchTest : public testing::Test {
 protected:
  using PodInformer = Informer<std::string>;  // keeps the phase

  void Start(TestServer::Handler handler, WatchOptions options = {}) {
    server_ = std::make_unique<TestServer>(std::move(handler));
    client_ = std::make_unique<Client>(server_->MakeAccess(), time_.timing);
    informer_ = std::make_unique<PodInformer>(
        *client_, kPods, ListQuery{},
        [](const json::object& pod) -> std::optional<std::string> {
          const json::value* phase = FindPath(pod, {"status", "phase"});
          if (phase == nullptr) return std::nullopt;
          return std::string(View(phase->as_string()));
        },
        [this](const Change<std::string>& change) {
          const char* words[] = {"added", "modified", "deleted", "synced"};
          Note(std::string(words[static_cast<int>(change.kind)]) +
               (change.key.empty() ? "" : " " + std::string(change.key) + " " + *change.object));
        },
        [this](const Error& error, Duration) {
          const std::lock_guard lock(mutex_);
          troubles_.push_back(error);
        },
        options);
    informer_->Start();
  }
  void Note(std::string line) {
    const std::lock_guard lock(mutex_);
    log_.push_back(std::move(line));
  }
  void TearDown() override { informer_.reset(); }
  // What was told until so many requests came and the view was `content`.
  std::vector<std::string> Settle(std::size_t requests) {
    EXPECT_TRUE(server_->AwaitRequests(requests));
    informer_->Stop();
    return log_;
  }
  std::vector<std::string> Waited() const {
    std::vector<std::string> texts;
    for (const Duration d : time_.waiter.waits()) texts.push_back(FormatDuration(d));
    return texts;
  }

  TestTime time_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<Client> client_;
  std::mutex mutex_;
  std::vector<std::string> log_;
  std::vector<Error> troubles_;
  std::unique_ptr<PodInformer> informer_;
};

TEST_F(WatchTest, AListInTheStreamThenChangesAndAResumeFromTheLastVersion) {
  Start(InTurn({Stream({Event("ADDED", Pod("x", 9)), Event("ADDED", Pod("y", 3)),
                        Bookmark(10, true), Event("MODIFIED", Pod("x", 11, "Running")),
                        Event("MODIFIED", Pod("x", 12, "Running")), Event("DELETED", Pod("y", 13)),
                        Bookmark(20)},
                       Script::After::kKeep),
                kHold}));
  EXPECT_THAT(Settle(2), ElementsAre("added a/x Pending", "added a/y Pending", "synced",
                                     "modified a/x Running", "deleted a/y Pending"));
  const auto seen = server_->seen();
  EXPECT_EQ(seen[0].query.at("sendInitialEvents"), "true");
  EXPECT_EQ(seen[0].query.at("resourceVersionMatch"), "NotOlderThan");
  EXPECT_FALSE(seen[0].query.contains("resourceVersion"));
  EXPECT_EQ(seen[1].query.at("resourceVersion"), "20");
  EXPECT_FALSE(seen[1].query.contains("sendInitialEvents"));
  EXPECT_EQ(seen[1].query.at("allowWatchBookmarks"), "true");
  EXPECT_TRUE(informer_->HasSynced());
  EXPECT_EQ(informer_->size(), 1u);
  EXPECT_EQ(*informer_->Find("a/x"), "Running");
  EXPECT_EQ(informer_->Find("a/y"), nullptr);
}

TEST_F(WatchTest, BytesTornApartGiveTheSame) {
  Script torn = Stream({Event("ADDED", Pod("\u00e4", 1)), Bookmark(2, true)}, Script::After::kKeep);
  torn.torn = true;
  Start(InTurn({torn, kHold}));
  EXPECT_THAT(Settle(2), ElementsAre("added a/\u00e4 Pending", "synced"));
}

// A watch cut at many places of its answer: nothing is lost, nothing is told twice.
TEST_F(WatchTest, CutAnywhereItStillConverges) {
  const Script whole = Stream(
      {Event("ADDED", Pod("x", 1)), Bookmark(2, true), Event("MODIFIED", Pod("x", 3, "Running"))},
      Script::After::kKeep);
  const std::size_t size = whole.bytes.size();
  for (std::size_t cut = 0; cut < size; cut += (cut < 120 ? 17 : 5)) {
    log_.clear();
    Script half = whole;
    half.bytes.resize(cut);
    half.after = Script::After::kClose;
    Start([half, turn = 0](const Seen& seen) mutable {
      if (turn++ == 0) return half;
      if (!seen.query.contains("watch")) return Answer(200, List({Pod("x", 3, "Running")}, 3));
      return seen.query.at("resourceVersion") == "3"
                 ? kHold
                 : Stream({Event("MODIFIED", Pod("x", 3, "Running"))}, Script::After::kKeep);
    });
    ASSERT_TRUE(informer_->WaitSynced(5s)) << cut;
    ASSERT_TRUE(server_->Await([](const Seen& seen) {
      const auto version = seen.query.find("resourceVersion");
      return version != seen.query.end() && version->second == "3";
    })) << cut;
    informer_->Stop();
    ASSERT_EQ(*informer_->Find("a/x"), "Running") << cut;
    ASSERT_EQ(std::count(log_.begin(), log_.end(), "added a/x Pending") +
                  std::count(log_.begin(), log_.end(), "added a/x Running"),
              1)
        << cut;
    informer_.reset();
    client_.reset();
  }
}

TEST_F(WatchTest, FallsBackToPagesWhenTheServerRefusesTheList) {
  Start(InTurn({Answer(422, StatusBody(422, "Invalid", "sendInitialEvents is forbidden")),
                Answer(200, List({Pod("x", 1)}, 5, "token&1")), Answer(200, List({Pod("y", 2)}, 5)),
                Stream({Bookmark(7)}, Script::After::kKeep), kHold}));
  EXPECT_THAT(Settle(5), ElementsAre("added a/x Pending", "added a/y Pending", "synced"));
  const auto seen = server_->seen();
  EXPECT_EQ(seen[1].query.at("limit"), "500");
  EXPECT_EQ(seen[2].query.at("continue"), "token&1");
  EXPECT_EQ(seen[3].query.at("resourceVersion"), "5");
  EXPECT_EQ(seen[4].query.at("resourceVersion"), "7");
  ASSERT_EQ(troubles_.size(), 1u);
  EXPECT_EQ(troubles_[0].code, Code::kInvalid);
}

TEST_F(WatchTest, APageTokenThatExpiredStartsTheListAgain) {
  WatchOptions options;
  options.streaming_list = false;
  Start(InTurn({Answer(200, List({Pod("gone", 1)}, 5, "t")), Answer(410, kExpired),
                Answer(200, List({Pod("x", 6)}, 8)), kHold}),
        options);
  EXPECT_THAT(Settle(4), ElementsAre("added a/gone Pending", "added a/x Pending",
                                     "deleted a/gone Pending", "synced"));
  EXPECT_THAT(troubles_, IsEmpty());
  EXPECT_EQ(server_->seen()[3].query.at("resourceVersion"), "8");
}

TEST_F(WatchTest, GoneInTheStreamAndGoneInHttpListAgainAndSeeWhatWentAway) {
  const Script list_xy =
      Stream({Event("ADDED", Pod("x", 1)), Event("ADDED", Pod("y", 2)), Bookmark(3, true)},
             Script::After::kKeep);
  const Script list_y =
      Stream({Event("ADDED", Pod("y", 2)), Bookmark(9, true)}, Script::After::kKeep);
  const Script list_none = Stream({Bookmark(12, true)}, Script::After::kKeep);
  Start(InTurn({list_xy, Stream({Event("ERROR", kExpired)}, Script::After::kKeep), list_y,
                Answer(410, kExpired), list_none, kHold}));
  EXPECT_THAT(Settle(6),
              ElementsAre("added a/x Pending", "added a/y Pending", "synced", "deleted a/x Pending",
                          "synced", "deleted a/y Pending", "synced"));
  ASSERT_EQ(troubles_.size(), 2u);
  EXPECT_EQ(troubles_[0].code, Code::kConflict);
  EXPECT_EQ(server_->seen()[5].query.at("resourceVersion"), "12");
}

TEST_F(WatchTest, SilenceEndsAWatch) {
  WatchOptions options;
  options.idle_timeout = 30ms;
  Start(
      InTurn({Stream({Bookmark(3, true)}, Script::After::kHold), Stream({}, Script::After::kHold)}),
      options);
  Settle(2);
  ASSERT_GE(troubles_.size(), 1u);
  EXPECT_EQ(troubles_[0].code, Code::kUnavailable);
  EXPECT_THAT(troubles_[0].message, HasSubstr("nothing came for 30ms"));
  EXPECT_EQ(server_->seen()[1].query.at("resourceVersion"), "3");
}

TEST_F(WatchTest, AServerThatNeverEndsTheListIsAskedForPages) {
  WatchOptions options;
  options.idle_timeout = 30ms;
  Start(InTurn({Stream({Event("ADDED", Pod("x", 1))}, Script::After::kHold),
                Answer(200, List({Pod("x", 1)}, 4)), Stream({}, Script::After::kHold)}),
        options);
  EXPECT_THAT(Settle(3), ElementsAre("added a/x Pending", "synced"));
}

TEST_F(WatchTest, FailuresWaitLongerAndLongerAndAWordFromTheServerResets) {
  std::vector<Script> scripts(4, Answer(500, ""));
  scripts.push_back(Answer(429, "", "Retry-After: 20\r\n"));
  scripts.push_back(Answer(200, List({}, 4)));
  scripts.push_back(Stream({Bookmark(5)}, Script::After::kClose));
  scripts.push_back(kHold);
  WatchOptions options;
  options.streaming_list = false;
  Start(InTurn(scripts), options);
  Settle(8);
  std::vector<Duration> waits;  // without the client's own turns
  for (const Duration d : time_.waiter.waits()) waits.push_back(d);
  ASSERT_EQ(waits.size(), 6u) << testing::PrintToString(Waited());
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_GE(waits[i], 400ms * (1 << i));
    EXPECT_LE(waits[i], 800ms * (1 << i));
  }
  EXPECT_GE(waits[4], 20s);
  EXPECT_LE(waits[5], 800ms);
}

TEST_F(WatchTest, AnObjectThatIsTooLongIsTroubleAndNotMemory) {
  WatchOptions options;
  options.line_bytes = 300;
  Start(InTurn({Stream({Event("ADDED", Pod(std::string(400, 'x'), 1))}, Script::After::kHold),
                Answer(200, List({}, 2)), kHold}),
        options);
  Settle(3);
  ASSERT_EQ(troubles_.size(), 1u);
  EXPECT_EQ(troubles_[0].code, Code::kCorrupt);
}

TEST_F(WatchTest, WhatTrimRefusesDoesNotExist) {
  Start(InTurn(
      {Stream({Event("ADDED", Pod("x", 1)), Bookmark(2, true),
               Event("MODIFIED", R"({"metadata":{"namespace":"a","name":"x"}})"), Bookmark(4)},
              Script::After::kKeep),
       kHold}));
  EXPECT_THAT(Settle(2), ElementsAre("added a/x Pending", "synced", "deleted a/x Pending"));
}

TEST_F(WatchTest, StopCutsASilentWatchAtOnce) {
  Start(InTurn({Stream({Bookmark(2, true)}, Script::After::kHold)}));
  ASSERT_TRUE(informer_->WaitSynced(5s));
  const auto before = std::chrono::steady_clock::now();
  informer_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 500ms);
  EXPECT_THAT(troubles_, IsEmpty());
}

}  // namespace
}  // namespace spillway::kube
