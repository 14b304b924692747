#include "home/home_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <future>

#include "gateway/gateway_test_util.h"
#include "s3/fake_s3.h"

namespace spillway::home {
namespace {

namespace fs = std::filesystem;
using gateway::ReadText;
using gateway::WriteText;
using ports::BucketResults;
using ::testing::HasSubstr;

constexpr Duration kLong = 30s;

class HomeBucketsTest : public ::testing::Test {
 protected:
  void TearDown() override { buckets_.reset(); }

  void Open(bool pods_live_on) {
    buckets_.reset();
    auto opened =
        HomeBuckets::Open({.directory = dir_ / "buckets",
                           .open_bucket = [this](const S3Place& place) -> Result<s3::Client> {
                             EXPECT_EQ(place.bucket, "data");
                             return store_.Open({.total = 1s});
                           },
                           .pods_live_on = pods_live_on});
    ASSERT_TRUE(opened) << opened.error().message;
    buckets_ = std::move(*opened);
  }
  static DatasetInfo Digits() {
    DatasetInfo dataset;
    dataset.key = "vision/digits";
    dataset.s3 = S3Place{"http://127.0.0.1:7480", "data", "digits/", "us-east-1", true, "dev"};
    dataset.include = {"train/**"};
    return dataset;
  }
  static BucketResults Place() {
    return {S3Place{"http://127.0.0.1:7480", "data", "models/", "us-east-1", true, "dev"}, "run-1"};
  }
  void TakeStoreAway() {
    store_.before = [](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
      return Fail(Code::kUnavailable, "cannot connect");
    };
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777u;
  }

  gateway::TempDir dir_;
  s3::FakeS3 store_;
  std::unique_ptr<HomeBuckets> buckets_;
};

TEST_F(HomeBucketsTest, ASelectionIsFetchedForReadersOfAnyUser) {
  store_.Set("digits/train/a/1", "seven");
  store_.Set("digits/train/empty", "");
  store_.Set("digits/private/names", "Ada");
  const mode_t before = ::umask(077);
  Open(false);
  const auto at = buckets_->Fetch("u1", Digits(), kLong);
  ::umask(before);
  ASSERT_TRUE(at) << at.error().message;
  EXPECT_EQ(ReadText(*at + "/train/a/1"), "seven");
  EXPECT_EQ(fs::file_size(*at + "/train/empty"), 0u);
  EXPECT_FALSE(fs::exists(*at + "/private"));
  EXPECT_EQ(ModeOf(*at), 0755u);
  EXPECT_EQ(ModeOf(*at + "/train/a"), 0755u);
  EXPECT_EQ(ModeOf(*at + "/train/a/1"), 0444u);
  const int reads = store_.Count("GET");
  EXPECT_EQ(*buckets_->Fetch("u1", Digits(), Duration{0}), *at);
  EXPECT_EQ(store_.Count("GET"), reads);
  EXPECT_NE(*buckets_->Fetch("u2", Digits(), kLong), *at);
  buckets_->Drop("u1");
  EXPECT_FALSE(fs::exists(*at));
}

TEST_F(HomeBucketsTest, WhatIsNotThereYetIsAskedForAgain) {
  store_.Set("digits/train/1", std::string(1000, 'x'));
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future().share();
  store_.before = [&](const net::WebRequest& request) -> std::optional<Result<net::HttpResponse>> {
    if (request.headers.Get("Range") != "") gone.wait();
    return std::nullopt;
  };
  Open(false);
  const auto early = buckets_->Fetch("u1", Digits(), Duration{0});
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Code::kUnavailable);
  EXPECT_THAT(early.error().message, HasSubstr("is being fetched from s3://data/digits/"));
  go.set_value();
  const auto at = buckets_->Fetch("u1", Digits(), kLong);
  ASSERT_TRUE(at) << at.error().message;
  EXPECT_EQ(fs::file_size(*at + "/train/1"), 1000u);
}

TEST_F(HomeBucketsTest, AFailureIsToldOnceAndTheNextQuestionBeginsAgain) {
  store_.Set("digits/train/1", "seven");
  store_.Set("digits/train/1/2", "is below a file");
  Open(true);
  const auto failed = buckets_->Fetch("u1", Digits(), kLong);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("Dataset vision/digits"));
  store_.Remove("digits/train/1/2");
  const auto at = buckets_->Fetch("u1", Digits(), kLong);
  ASSERT_TRUE(at) << at.error().message;
  EXPECT_EQ(ReadText(*at + "/train/1"), "seven");
}

TEST_F(HomeBucketsTest, DroppingEndsWhatIsBeingFetched) {
  store_.Set("digits/train/1", "seven");
  TakeStoreAway();
  Open(true);
  EXPECT_FALSE(buckets_->Fetch("u1", Digits(), Duration{0}));
  buckets_->Drop("u1");
  EXPECT_FALSE(fs::exists(dir_ / "buckets/inputs/u1"));
}

TEST_F(HomeBucketsTest, WhatPodsThatLiveOnHaveStaysForTheNextProcess) {
  store_.Set("digits/train/1", "seven");
  Open(true);
  const auto input = buckets_->Fetch("u1", Digits(), kLong);
  const auto results = buckets_->ResultsOf("u2", Place());
  ASSERT_TRUE(input && results);
  WriteText(*results + "/model", "weights");
  // One that was being fetched when its process was killed.
  WriteText(dir_ / "buckets/inputs/u3/" + fs::path(*input).filename().string() + ".part/train/0",
            "old");
  TakeStoreAway();
  Open(true);
  EXPECT_EQ(*buckets_->Fetch("u1", Digits(), Duration{0}), *input);
  EXPECT_EQ(ReadText(*input + "/train/1"), "seven");
  EXPECT_EQ(*buckets_->ResultsOf("u2", Place()), *results);
  EXPECT_EQ(ReadText(*results + "/model"), "weights");
  store_.before = nullptr;
  const auto again = buckets_->Fetch("u3", Digits(), kLong);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(fs::exists(*again + "/train/0"));
  Open(false);
  EXPECT_FALSE(fs::exists(*input));
  EXPECT_FALSE(fs::exists(*results));
}

TEST_F(HomeBucketsTest, ResultsAreObjectsWithTheirHash) {
  Open(false);
  const auto at = buckets_->ResultsOf("u1", Place());
  ASSERT_TRUE(at);
  EXPECT_EQ(ModeOf(*at), 0777u);
  WriteText(*at + "/epoch/3", "weights");
  fs::create_symlink("/etc/hostname", *at + "/link");
  const Status home = buckets_->BringHome("u1", {Place()}).status;
  ASSERT_TRUE(home) << home.error().message;
  EXPECT_EQ(store_.Find("models/run-1/epoch/3")->body, "weights");
  EXPECT_EQ(store_.Find("models/run-1/epoch/3")->metadata.at("spillway-sha256"),
            Hex(Sha256(AsBytes("weights"))));
  EXPECT_FALSE(store_.Find("models/run-1/link"));
}

TEST_F(HomeBucketsTest, WhatTheBucketHasIsNotSentAgain) {
  Open(true);
  const auto at = buckets_->ResultsOf("u1", Place());
  for (const char* name : {"/a", "/b", "/c"}) WriteText(*at + name, name);
  int puts = 0;
  store_.before = [&](const net::WebRequest& request) -> std::optional<Result<net::HttpResponse>> {
    if (request.method != "PUT" || ++puts < 3) return std::nullopt;
    return Fail(Code::kUnavailable, "cannot connect");
  };
  const ports::Homecoming came = buckets_->BringHome("u1", {Place()});
  ASSERT_FALSE(came.status);
  EXPECT_EQ(came.status.error().code, Code::kUnavailable);
  EXPECT_THAT(came.status.error().message, HasSubstr("stay in " + dir_ / "buckets/results/u1"));
  EXPECT_EQ(came.home.count, 2);
  EXPECT_EQ(came.waiting.count, 1);
  EXPECT_EQ(came.waiting.bytes, 2);
  struct stat info{};
  ASSERT_EQ(stat((*at + "/a").c_str(), &info), 0);
  EXPECT_LE(std::chrono::abs(*came.waiting.oldest - Time(std::chrono::seconds(info.st_mtime))),
            1min);
  store_.before = nullptr;
  const int before = store_.Count("PUT");
  Open(true);
  ASSERT_TRUE(buckets_->BringHome("u1", {Place()}).status);
  EXPECT_EQ(store_.Count("PUT"), before + 1);
  // Another content is another result.
  WriteText(*at + "/a", "new");
  ASSERT_TRUE(buckets_->BringHome("u1", {Place()}).status);
  EXPECT_EQ(store_.Find("models/run-1/a")->body, "new");
}

TEST_F(HomeBucketsTest, ResultsOfPodsThatEndWithTheProcessAreSetAside) {
  Open(false);
  for (const char* kept : {"/buckets/unsent/u1", "/buckets/unsent/u1-2"}) {
    const auto at = buckets_->ResultsOf("u1", Place());
    WriteText(*at + "/model", "weights");
    TakeStoreAway();
    const Status away = buckets_->BringHome("u1", {Place()}).status;
    ASSERT_FALSE(away);
    EXPECT_THAT(away.error().message, HasSubstr(kept));
    buckets_->Drop("u1");
    EXPECT_EQ(ReadText(dir_.path() + kept + "/" + fs::path(*at).filename().string() + "/model"),
              "weights");
  }
}

TEST_F(HomeBucketsTest, AFileThatCanBeNoObjectKeepsNoOtherBack) {
  Open(true);
  const auto at = buckets_->ResultsOf("u1", Place());
  WriteText(*at + "/a\tb", "refused");
  WriteText(*at + "/z", "weights");
  const ports::Homecoming came = buckets_->BringHome("u1", {Place()});
  ASSERT_FALSE(came.status);
  EXPECT_EQ(came.status.error().code, Code::kInvalid);
  EXPECT_THAT(came.status.error().message, HasSubstr("unsent/u1"));
  EXPECT_EQ(came.home.count, 1);
  EXPECT_EQ(came.waiting.count, 1) << "the others are home";
  EXPECT_EQ(store_.Find("models/run-1/z")->body, "weights");
  // The same volume ends a second time.
  EXPECT_TRUE(buckets_->BringHome("u1", {Place()}).status);
}

}  // namespace
}  // namespace spillway::home
