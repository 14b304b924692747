// The transit adapter alone, with answers that a real server seldom gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/gateway_test_util.h"
#include "gateway/key_transit.h"
#include "tests/contract/keys/fake_transit.h"

namespace spillway::contract {
namespace {

using ::testing::HasSubstr;

const Time kNow{Duration(1'800'000'000'000)};

class TransitTest : public ::testing::Test {
 protected:
  TransitTest() {
    fake_.SetToken("s.token");
    gateway::WriteText(dir_ / "token", "s.token\n");
    options_ = {.url = fake_.url(), .token_file = dir_ / "token", .key_prefix = "spillway-site"};
    transit_ = std::move(*gateway::Transit::Open(options_));
  }
  Result<ports::KeyRecord> Create() { return transit_->Create("bn-1", kNow, key_); }

  gateway::TempDir dir_;
  FakeTransit fake_;
  gateway::TransitOptions options_;
  std::unique_ptr<gateway::Transit> transit_;
  std::array<std::uint8_t, 32> key_{};
};

TEST_F(TransitTest, TellsWhatTheServerStates) {
  const auto record = Create();
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->key_id, "transit/keys/spillway-site-bn-1");
  EXPECT_EQ(record->created, Time{std::chrono::seconds(FakeTransit::kCreatedSeconds)});
  const auto end = transit_->Destroy("bn-1", kNow);
  ASSERT_TRUE(end);
  EXPECT_EQ(FormatTime(end->destroyed), "2026-11-24T08:15:30Z");
  EXPECT_EQ(end->statement,
            "transit/keys/spillway-site-bn-1 was deleted, and was not found afterwards");
  EXPECT_FALSE(fake_.Has("spillway-site-bn-1"));
  EXPECT_THAT(transit_->Destroy("bn-1", kNow)->statement, HasSubstr("had been deleted before"));
}

TEST_F(TransitTest, BelievesNoDeletionThatLeavesTheKey) {
  ASSERT_TRUE(Create());
  fake_.keeps_deleted = true;
  const auto end = transit_->Destroy("bn-1", kNow);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::kUnavailable);
  EXPECT_THAT(end.error().message, HasSubstr("still there after it was deleted"));
}

TEST_F(TransitTest, ALostAnswerIsAskedAgain) {
  fake_.loses_answers = true;
  EXPECT_EQ(Create().error().code, Code::kUnavailable);
  fake_.loses_answers = false;
  ASSERT_TRUE(Create());
  fake_.loses_answers = true;
  EXPECT_EQ(transit_->Destroy("bn-1", kNow).error().code, Code::kUnavailable);
  EXPECT_EQ(transit_->Destroy("bn-1", kNow).error().code, Code::kUnavailable);
  fake_.loses_answers = false;
  EXPECT_TRUE(transit_->Destroy("bn-1", kNow));
}

TEST_F(TransitTest, TakesNoKeyThatCouldBeReadOut) {
  fake_.makes_exportable = true;
  const auto record = Create();
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().code, Code::kInvalid);
  EXPECT_THAT(record.error().message, HasSubstr("exported"));
}

TEST_F(TransitTest, NonsenseIsNoAnswer) {
  fake_.answers_nonsense = true;
  EXPECT_EQ(Create().error().code, Code::kUnavailable);
  const auto end = transit_->Destroy("bn-1", kNow);
  ASSERT_FALSE(end) << "200 with a page of HTML is no sign that the key is gone";
  fake_.answers_nonsense = false;
  fake_.sealed = true;
  EXPECT_THAT(Create().error().message, HasSubstr("HTTP 503: Vault is sealed"));
  EXPECT_EQ(transit_->Check().error().code, Code::kUnavailable);
}

TEST_F(TransitTest, ReadsTheTokenAnewForEachRequest) {
  fake_.SetToken("s.renewed");
  EXPECT_EQ(transit_->Check().error().code, Code::kDenied);
  gateway::WriteText(dir_ / "token", "s.renewed\n");
  EXPECT_TRUE(transit_->Check());
  std::filesystem::remove(dir_ / "token");
  EXPECT_THAT(transit_->Check().error().message, HasSubstr(dir_ / "token"));
  EXPECT_EQ(transit_->Destroy("bn-1", kNow).error().code, Code::kDenied);
  gateway::WriteText(dir_ / "token", "\nnot the first line");
  EXPECT_EQ(transit_->Check().error().code, Code::kDenied);
}

TEST_F(TransitTest, RefusesOptionsThatCannotBe) {
  const auto refused = [&](auto change, const char* part) {
    gateway::TransitOptions options = options_;
    change(options);
    const auto opened = gateway::Transit::Open(options);
    ASSERT_FALSE(opened) << part;
    EXPECT_EQ(opened.error().code, Code::kInvalid);
    EXPECT_THAT(opened.error().message, HasSubstr(part));
  };
  refused([](auto& o) { o.url = "http://bao.example:8200"; }, "use https");
  refused([](auto& o) { o.url = "https://bao.example:8200/v1"; }, "has a path");
  refused([](auto& o) { o.url = "bao.example"; }, "key service");
  refused([](auto& o) { o.token_file = ""; }, "token");
  refused([](auto& o) { o.mount = "../sys"; }, "mount \"../sys\"");
  refused([](auto& o) { o.mount = ""; }, "mount");
  refused([](auto& o) { o.name_space = "a b"; }, "namespace \"a b\"");
  refused([](auto& o) { o.key_prefix = "a/b"; }, "named after \"a/b\"");
}

TEST(HttpDate, IsReadAsTheRfcHasIt) {
  EXPECT_EQ(FormatTime(*gateway::ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT")),
            "1994-11-06T08:49:37Z");
  for (const char* text : {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37",
                           "Sun, 06 Nov 1994 08:49:37 GMT+1"})
    EXPECT_FALSE(gateway::ParseHttpDate(text)) << text;
}

}  // namespace
}  // namespace spillway::contract
