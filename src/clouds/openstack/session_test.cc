#include "clouds/openstack/session.h"

#include <gmock/gmock.h>

#include <thread>

#include "clouds/openstack/api_error.h"
#include "clouds/openstack/fake_openstack.h"

namespace spillway::openstack {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kToken = "POST /v3/auth/tokens";

class SessionTest : public testing::Test {
 protected:
  static Call Limits() {
    Call call;
    call.path = "/limits";
    return call;
  }
  static Call Post() {
    Call call;
    call.method = "POST";
    call.path = "/servers";
    call.body = json::object{};
    return call;
  }
  Error ErrorOfCall(const Call& call) {
    const auto answer = session_.DoJson(call);
    EXPECT_FALSE(answer);
    return answer ? Error{} : answer.error();
  }

  ManualClock clock_{Time{std::chrono::hours{24 * 365 * 56}}};
  FakeOpenStack fake_{clock_};
  Session session_{FakeOpenStack::Config(), fake_.Sender(), clock_};
};

TEST_F(SessionTest, OneTokenServesManyCallsUntilItIsOld) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(session_.DoJson(Limits()));
  EXPECT_EQ(fake_.Count(kToken), 1u);
  clock_.Advance(54min);
  ASSERT_TRUE(session_.DoJson(Limits()));
  EXPECT_EQ(fake_.Count(kToken), 1u);
  clock_.Advance(1min);  // five minutes before it ends
  ASSERT_TRUE(session_.DoJson(Limits()));
  EXPECT_EQ(fake_.Count(kToken), 2u);
}

TEST_F(SessionTest, ManyThreadsAskForOneToken) {
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] { EXPECT_TRUE(session_.DoJson(Limits())); });
  }
  EXPECT_EQ(fake_.Count(kToken), 1u);
}

TEST_F(SessionTest, ARevokedTokenIsReplacedOnce) {
  ASSERT_TRUE(session_.DoJson(Limits()));
  fake_.RevokeTokens();
  EXPECT_TRUE(session_.DoJson(Limits()));
  EXPECT_EQ(fake_.Count(kToken), 2u);
}

TEST_F(SessionTest, ARefusedNewTokenIsTheEnd) {
  ASSERT_TRUE(session_.DoJson(Limits()));
  for (int i = 0; i < 2; ++i) fake_.AnswerOnce("GET /v2.1/limits", 401, "{}");
  const Error error = ErrorOfCall(Limits());
  EXPECT_EQ(error.code, Code::kDenied);
  EXPECT_THAT(error.message, HasSubstr("a new token is refused as well"));
  EXPECT_EQ(fake_.Count(kToken), 2u);
}

TEST_F(SessionTest, WrongCredentialsAreNotTriedAgainAtOnce) {
  fake_.settings.password = "changed-meanwhile";
  const Error error = ErrorOfCall(Limits());
  EXPECT_EQ(error.code, Code::kDenied);
  EXPECT_THAT(error.message, AllOf(HasSubstr("credentials of clouds.lab in clouds.yaml"),
                                   HasSubstr("(req-00000000"), Not(HasSubstr("adapter-secret"))));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ErrorOfCall(Limits()).code, Code::kDenied);
  EXPECT_EQ(fake_.Count(kToken), 1u);
  fake_.settings.password = "adapter-secret";
  clock_.Advance(1min);
  EXPECT_TRUE(session_.DoJson(Limits()));
}

TEST_F(SessionTest, KeystoneOutOfServiceIsNoDenial) {
  fake_.AnswerOnce(kToken, 503, "<html>busy</html>");
  EXPECT_EQ(ErrorOfCall(Limits()).code, Code::kUnavailable);
  fake_.AnswerOnce(kToken, 201, "<html>a portal</html>");
  EXPECT_EQ(ErrorOfCall(Limits()).code, Code::kUnavailable);
  fake_.AnswerOnce(kToken, 201, R"({"token": {"expires_at": 7}})");
  EXPECT_EQ(ErrorOfCall(Limits()).code, Code::kUnavailable);
  EXPECT_TRUE(session_.DoJson(Limits()));
}

TEST_F(SessionTest, ALostTokenHasNoEffectWhateverWasAsked) {
  Session session(
      FakeOpenStack::Config(),
      [](const net::WebRequest&) -> Result<net::HttpResponse> {
        return Fail(Code::kMaybeApplied, "torn");
      },
      clock_);
  EXPECT_EQ(session.Do(Post()).error().code, Code::kUnavailable);
}

TEST_F(SessionTest, LostAnswersSayWhatMayHaveHappened) {
  bool lose = false;
  Session session(
      FakeOpenStack::Config(),
      [&](const net::WebRequest& request) -> Result<net::HttpResponse> {
        if (!lose) return fake_.Sender()(request);
        // As the client that is used in earnest has it.
        return Fail(request.method == "GET" ? Code::kInternal : Code::kMaybeApplied, "too long");
      },
      clock_);
  ASSERT_TRUE(session.DoJson(Limits()));
  lose = true;
  EXPECT_EQ(session.Do(Limits()).error().code, Code::kUnavailable);
  EXPECT_EQ(session.Do(Post()).error().code, Code::kMaybeApplied);
}

TEST_F(SessionTest, UnreadableAnswersToo) {
  for (const char* body : {"", "{", "[1]", "<html>", "\xff"}) {
    fake_.AnswerOnce("GET /v2.1/limits", 200, body);
    EXPECT_EQ(ErrorOfCall(Limits()).code, Code::kUnavailable) << body;
    fake_.AnswerOnce("POST /v2.1/servers", 202, body);
    EXPECT_EQ(ErrorOfCall(Post()).code, Code::kMaybeApplied) << body;
  }
}

TEST_F(SessionTest, StatusesHaveCodes) {
  struct Case {
    int status;
    const char* body;
    Code read, effect;
  };
  const Case cases[] = {
      {400, R"({"badRequest": {"message": "no"}})", Code::kInvalid, Code::kInvalid},
      {403, R"({"forbidden": {"message": "Quota exceeded for cores: ..."}})", Code::kDenied,
       Code::kQuota},
      {403, R"({"forbidden": {"message": "Maximum number of ports exceeded"}})", Code::kDenied,
       Code::kQuota},
      {403, R"({"forbidden": {"message": "Policy doesn't allow it"}})", Code::kDenied,
       Code::kDenied},
      {404, "", Code::kNotFound, Code::kNotFound},
      {409, R"({"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources"}})",
       Code::kUnavailable, Code::kQuota},
      {409, R"({"conflictingRequest": {"message": "in task_state deleting"}})", Code::kUnavailable,
       Code::kUnavailable},
      {413, R"({"code": "413 Request Entity Too Large"})", Code::kInvalid, Code::kInvalid},
      {500, R"({"computeFault": {"message": "Unexpected API Error."}})", Code::kUnavailable,
       Code::kMaybeApplied},
      {502, "<html>Bad Gateway</html>", Code::kUnavailable, Code::kMaybeApplied},
      {302, "", Code::kUnavailable, Code::kMaybeApplied},
  };
  for (const Case& c : cases) {
    fake_.AnswerOnce("GET /v2.1/limits", c.status, c.body);
    EXPECT_EQ(ErrorOfCall(Limits()).code, c.read) << c.status << c.body;
    fake_.AnswerOnce("POST /v2.1/servers", c.status, c.body);
    EXPECT_EQ(ErrorOfCall(Post()).code, c.effect) << c.status << c.body;
  }
}

TEST_F(SessionTest, ThrottlingSaysForHowLong) {
  net::Headers headers;
  headers.Add("Retry-After", "7");
  for (const int status : {413, 429}) {
    fake_.AnswerOnce("POST /v2.1/servers", status,
                     R"({"overLimit": {"code": 413, "message": "slow down"}})", headers);
    const Error error = ErrorOfCall(Post());
    EXPECT_EQ(error.code, Code::kThrottled);
    EXPECT_EQ(error.retry_after, Duration{7s});
  }
  net::Headers odd;
  odd.Add("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT");
  fake_.AnswerOnce("POST /v2.1/servers", 429, "", odd);
  EXPECT_FALSE(ErrorOfCall(Post()).retry_after);
}

TEST_F(SessionTest, ErrorsNameTheCallAndItsRequestIdButNoUserData) {
  net::Headers headers;
  headers.Add("x-openstack-request-id", "req-b6224e88-3c03-4aca-bea7-f598d3e6f298");
  const std::string secret(80, 'Q');
  fake_.AnswerOnce("POST /v2.1/servers", 400,
                   R"({"badRequest": {"message": "Invalid input for user_data. Value: )" + secret +
                       R"( is\ttoo long"}})",
                   headers);
  EXPECT_EQ(ErrorOfCall(Post()).message,
            "Nova: POST /servers: HTTP 400: Invalid input for user_data. Value: *** is too long "
            "(req-b6224e88-3c03-4aca-bea7-f598d3e6f298)");
  std::string words;
  for (int i = 0; i < 1000; ++i) words += "word ";
  EXPECT_LE(MessageOf("{\"message\": \"" + words + "\"}").size(), 403u);
}

TEST_F(SessionTest, TheCatalogueMustHaveTheRegion) {
  CloudConfig config = FakeOpenStack::Config();
  config.region_name = "RegionTwo";
  Session session(config, fake_.Sender(), clock_);
  const auto failed = session.Do(Limits());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kInvalid);
  EXPECT_THAT(failed.error().message,
              HasSubstr("clouds.lab.region_name: \"RegionTwo\" has no public endpoint of Nova"));
  config.region_name.clear();
  Session only(config, fake_.Sender(), clock_);
  EXPECT_TRUE(only.DoJson(Limits()));
}

TEST_F(SessionTest, ATokenIsNotSentWithoutEncryption) {
  CloudConfig config = FakeOpenStack::Config();
  config.interface = "admin";  // the fake has these at http://x/
  Session session(config, fake_.Sender(), clock_);
  const auto failed = session.Do(Limits());
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kDenied);
  EXPECT_THAT(failed.error().message, HasSubstr("not https"));
}

}  // namespace
}  // namespace spillway::openstack
