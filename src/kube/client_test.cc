#include "kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/api_error.h"
#include "kube/test_server.h"

namespace spillway::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const ObjectName kPod{"a", "p"};

TEST(Paths, AreThoseOfTheApi) {
  EXPECT_EQ(CollectionPath(kPods, ""), "/api/v1/pods");
  EXPECT_EQ(CollectionPath(kPods, "a"), "/api/v1/namespaces/a/pods");
  EXPECT_EQ(ObjectPath({"batch", "v1", "jobs", true}, {"a", "j"}, "status"),
            "/apis/batch/v1/namespaces/a/jobs/j/status");
  EXPECT_EQ(ObjectPath(kNodes, {"", "n/../x"}), "/api/v1/nodes/n%2F..%2Fx");
  EXPECT_EQ(Query({{"labelSelector", "a=b,c"}, {"none", ""}, {"watch", "1"}}),
            "?labelSelector=a%3Db%2Cc&watch=1");
  EXPECT_EQ(KeyOf(json::object{{"metadata", {{"namespace", "a"}, {"name", "b"}}}}), "a/b");
}

TEST(Errors, SayWhatTheCallerCanDo) {
  const auto code = [](int status, bool write, const std::string& message = "no") {
    return ErrorOf("GET /x", write, status, {}, StatusBody(status, "R", message)).code;
  };
  EXPECT_EQ(code(400, true), Code::kInvalid);
  EXPECT_EQ(code(422, true), Code::kInvalid);
  EXPECT_EQ(code(401, true), Code::kDenied);
  EXPECT_EQ(code(403, true), Code::kDenied);
  EXPECT_EQ(code(403, true, "pods p is forbidden: exceeded quota: q"), Code::kQuota);
  EXPECT_EQ(code(404, false), Code::kNotFound);
  EXPECT_EQ(code(409, true), Code::kConflict);
  EXPECT_EQ(code(410, false), Code::kConflict);
  EXPECT_EQ(code(429, true), Code::kThrottled);
  for (const int status : {500, 502, 503, 504}) {
    EXPECT_EQ(code(status, false), Code::kUnavailable) << status;
    EXPECT_EQ(code(status, true), Code::kMaybeApplied) << status;
  }
  net::Headers headers;
  headers.Add("retry-after", "7");
  const Error busy = ErrorOf("POST /x", true, 503, headers, "<html>\nbusy</html>");
  EXPECT_EQ(busy.code, Code::kUnavailable);  // the server asked to come again: it did nothing
  EXPECT_EQ(busy.retry_after, Duration(7s));
  EXPECT_EQ(busy.message, "POST /x: 503: <html>\\x0abusy</html>");
}

class ClientTest : public testing::Test {
 protected:
  // One client per test; it goes before the server.
  Client& Start(TestServer::Handler handler, ClientOptions options = {}) {
    server_ = std::make_unique<TestServer>(std::move(handler));
    Access access = server_->MakeAccess();
    access.token = data::SecretText("hush-token");
    client_ = std::make_unique<Client>(access, time_.timing, options);
    return *client_;
  }

  TestTime time_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(ClientTest, GetGivesTheObjectWithFieldsNobodyKnows) {
  Client& client = Start(InTurn({Answer(200, R"({"kind":"Pod","x-new":[1,{"y":null}]})")}));
  const auto pod = client.Get(kPods, kPod);
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(json::serialize(*pod), R"({"kind":"Pod","x-new":[1,{"y":null}]})");
  const Seen seen = server_->seen().at(0);
  EXPECT_EQ(seen.method + " " + seen.path, "GET /api/v1/namespaces/a/pods/p");
  EXPECT_EQ(seen.Header("Authorization"), "Bearer hush-token");
}

TEST_F(ClientTest, WritesSayWhatKindTheyAre) {
  Client& client = Start(InTurn({Answer(200, "{}")}));
  WriteOptions write;
  write.field_manager = "spillway";
  const json::array operations{json::object{{"op", "remove"}, {"path", "/x"}}};
  ASSERT_TRUE(client.Create(kPods, "a", {{"kind", "Pod"}}));
  ASSERT_TRUE(client.Patch(kPods, kPod, PatchKind::kJson, operations));
  ASSERT_TRUE(client.Patch(kPods, kPod, PatchKind::kMerge, json::object{}));
  ASSERT_TRUE(client.Patch(kPods, kPod, PatchKind::kStrategicMerge, json::object{}));
  write.force = true;
  write.subresource = "status";
  ASSERT_TRUE(client.Apply(
      kPods, {{"kind", "Pod"}, {"metadata", {{"namespace", "a"}, {"name", "p"}}}}, write));
  DeleteOptions how;
  how.uid = "u-1";
  how.propagation = "Foreground";
  how.grace_seconds = 0;
  ASSERT_TRUE(client.Delete(kPods, kPod, how));
  std::vector<std::string> lines;
  for (const Seen& seen : server_->seen())
    lines.push_back(seen.method + " " + seen.path + " " + seen.Header("Content-Type"));
  const std::string path = "/api/v1/namespaces/a/pods";
  EXPECT_THAT(lines, ElementsAre("POST " + path + " application/json",
                                 "PATCH " + path + "/p application/json-patch+json",
                                 "PATCH " + path + "/p application/merge-patch+json",
                                 "PATCH " + path + "/p application/strategic-merge-patch+json",
                                 "PATCH " + path + "/p/status application/apply-patch+yaml",
                                 "DELETE " + path + "/p application/json"));
  const Seen apply = server_->seen().at(4);
  EXPECT_EQ(apply.query.at("fieldManager"), "spillway");
  EXPECT_EQ(apply.query.at("force"), "true");
  EXPECT_THAT(apply.body, HasSubstr(R"("apiVersion":"v1")"));
  EXPECT_EQ(server_->seen().at(5).body,
            R"({"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"u-1"},)"
            R"("propagationPolicy":"Foreground","gracePeriodSeconds":0})");
  for (const Seen& seen : server_->seen()) EXPECT_EQ(seen.connection, 1);  // kept alive
}

TEST_F(ClientTest, ReplaceNeedsTheVersionThatWasRead) {
  Client& client = Start(InTurn({Answer(200, "{}")}));
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)client.Replace(kPods, {{"metadata", {{"namespace", "a"}, {"name", "p"}}}}),
               "undo what others changed");
}

TEST_F(ClientTest, BusyServersAreAskedAgainAfterTheTimeTheySay) {
  Client& client =
      Start(InTurn({Answer(429, StatusBody(429, "TooManyRequests", "slow"), "Retry-After: 2\r\n"),
                    Answer(503, "", "Retry-After: 1\r\n"), Answer(200, "{}")}));
  ASSERT_TRUE(client.Create(kPods, "a", {}));
  const auto waits = time_.waiter.waits();
  ASSERT_EQ(waits.size(), 2u);
  EXPECT_GE(waits[0], Duration(2s));
  EXPECT_LE(waits[0], Duration(2750ms));
  EXPECT_GE(waits[1], Duration(1s));
}

TEST_F(ClientTest, TooLongAWaitOrTooManyGoToTheCaller) {
  Client& client = Start(
      InTurn({Answer(429, "", "Retry-After: 60\r\n"), Answer(429, "", "Retry-After: 1\r\n")}));
  const auto far = client.Get(kPods, kPod);
  EXPECT_EQ(far.error().code, Code::kThrottled);
  EXPECT_EQ(far.error().retry_after, Duration(60s));
  EXPECT_EQ(server_->seen().size(), 1u);
  EXPECT_EQ(client.Get(kPods, kPod).error().code, Code::kThrottled);
  EXPECT_EQ(server_->seen().size(), 1u + 4u);
}

TEST_F(ClientTest, AWriteWhoseAnswerIsLostIsNeverSentTwice) {
  // The first request makes a kept connection; the next one dies on it after it was read.
  Client& client = Start(InTurn({Answer(200, "{}"), {"", false, Script::After::kClose}}));
  ASSERT_TRUE(client.Get(kPods, kPod));
  const auto lost = client.Create(kPods, "a", {{"kind", "Pod"}});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Code::kMaybeApplied) << lost.error().message;
  DeleteOptions how;
  const Status deleted = client.Delete(kPods, kPod, how);
  EXPECT_EQ(deleted.error().code, Code::kMaybeApplied);
  EXPECT_EQ(server_->seen().size(), 3u);
}

TEST_F(ClientTest, ALostAnswerInTheMiddleOfItIsMaybeAppliedToo) {
  Script half = Answer(201, R"({"kind":"Pod","metadata":{}})");
  half.bytes.resize(half.bytes.size() - 5);
  half.after = Script::After::kClose;
  Client& client = Start(InTurn({half}));
  EXPECT_EQ(client.Create(kPods, "a", {}).error().code, Code::kMaybeApplied);
  EXPECT_EQ(client.Get(kPods, kPod).error().code, Code::kUnavailable);
}

TEST_F(ClientTest, NobodyThereIsCertainlyWithoutEffect) {
  Client& client = Start(InTurn({Answer(200, "{}")}));
  Access access = server_->MakeAccess();
  server_.reset();
  Client late(access, time_.timing);
  const auto result = late.Create(kPods, "a", {});
  EXPECT_EQ(result.error().code, Code::kUnavailable) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr("POST /api/v1/namespaces/a/pods at http://127."));
  (void)client;
}

TEST_F(ClientTest, SlowBodiesEndWithTheTimeout) {
  Script slow = Answer(200, "{}");
  slow.bytes.pop_back();
  slow.after = Script::After::kHold;
  Client& client = Start(InTurn({slow}));
  CallOptions call;
  call.timeout = 60ms;
  EXPECT_EQ(client.Get(kPods, kPod, "", call).error().code, Code::kUnavailable);
  WriteOptions write;
  write.call = call;
  EXPECT_EQ(client.Create(kPods, "a", {}, write).error().code, Code::kMaybeApplied);
}

TEST_F(ClientTest, AnotherThreadCutsACall) {
  Client& client = Start(InTurn({{"", false, Script::After::kHold}}));
  std::stop_source source;
  const std::jthread cutter([&] {
    EXPECT_TRUE(server_->AwaitRequests(1));
    source.request_stop();
  });
  WriteOptions write;
  write.call.stop = source.get_token();
  const auto cut = client.Create(kPods, "a", {}, write);
  EXPECT_EQ(cut.error().code, Code::kMaybeApplied);
  EXPECT_THAT(cut.error().message, HasSubstr("stopped"));
}

TEST_F(ClientTest, AnswersThatAreTooLongOrBrokenFail) {
  ClientOptions options;
  options.response_bytes = 100;
  Client& client =
      Start(InTurn({Answer(200, "\"" + std::string(100, 'x') + "\""), Answer(200, "{not json")}),
            options);
  EXPECT_EQ(client.Get(kPods, kPod).error().code, Code::kInternal);
  EXPECT_EQ(client.Get(kPods, kPod).error().code, Code::kCorrupt);
  EXPECT_EQ(client.Create(kPods, "a", {}).error().code, Code::kMaybeApplied);
}

TEST_F(ClientTest, LeasesHaveTheirOwnLimitAndConnection) {
  ClientOptions options;
  options.calls_per_second = 0.01;
  options.calls_at_once = 1;
  Client& client = Start(InTurn({Answer(200, "{}")}), options);
  ASSERT_TRUE(client.Get(kPods, kPod));
  const auto full = client.Get(kPods, kPod);
  EXPECT_EQ(full.error().code, Code::kThrottled) << full.error().message;
  CallOptions lease;
  lease.lane = Lane::kLease;
  EXPECT_TRUE(client.Get(kPods, kPod, "", lease));
  EXPECT_TRUE(time_.waiter.waits().empty());
}

TEST_F(ClientTest, CallsWaitForTheirTurn) {
  ClientOptions options;
  options.calls_per_second = 10;
  options.calls_at_once = 2;
  Client& client = Start(InTurn({Answer(200, "{}")}), options);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(client.Get(kPods, kPod));
  EXPECT_THAT(time_.waiter.waits(), ElementsAre(100ms, 100ms));
}

TEST_F(ClientTest, ARefusedTokenIsReadAgainOnce) {
  const TempDir directory;
  const std::string file = directory.Write("token", "old-secret\n");
  server_ = std::make_unique<TestServer>([&](const Seen& seen) {
    directory.Write("token", "new-secret\n");
    return seen.Header("Authorization") == "Bearer new-secret"
               ? Answer(200, "{}")
               : Answer(401, StatusBody(401, "Unauthorized", "Unauthorized"));
  });
  Access access = server_->MakeAccess();
  access.token_file = file;
  Client client(access, time_.timing);
  EXPECT_TRUE(client.Get(kPods, kPod));
  EXPECT_EQ(server_->seen().size(), 2u);
}

TEST_F(ClientTest, ErrorsNeverShowTheToken) {
  Client& client = Start(InTurn({Answer(401, StatusBody(401, "Unauthorized", "Unauthorized"))}));
  const auto denied = client.Get(kPods, kPod);
  EXPECT_EQ(denied.error().code, Code::kDenied);
  EXPECT_EQ(denied.error().message,
            "GET /api/v1/namespaces/a/pods/p: 401 Unauthorized: Unauthorized");
  EXPECT_EQ(server_->seen().size(), 2u);
  EXPECT_THAT(denied.error().message, Not(HasSubstr("hush")));
}

TEST(Backoff, DoublesToItsCapWithJitter) {
  Backoff backoff(800ms, 5s, 3);
  std::vector<Duration> waits;
  for (int i = 0; i < 6; ++i) waits.push_back(backoff.Next());
  const std::vector<Duration> caps{800ms, 1600ms, 3200ms, 5s, 5s, 5s};
  for (std::size_t i = 0; i < caps.size(); ++i) {
    EXPECT_GE(waits[i], caps[i] / 2) << i;
    EXPECT_LE(waits[i], caps[i]) << i;
  }
  EXPECT_NE(waits[4], waits[5]);
  backoff.Reset();
  EXPECT_LE(backoff.Next(), 800ms);
}

TEST(RealWaiter, IsCutByItsToken) {
  RealWaiter waiter;
  std::stop_source source;
  EXPECT_TRUE(waiter.Wait(1ms, source.get_token()));
  const std::jthread cutter([&] { source.request_stop(); });
  EXPECT_FALSE(waiter.Wait(1h, source.get_token()));
}

}  // namespace
}  // namespace spillway::kube
