#include "home/bucket_volumes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "gateway/gateway_test_util.h"
#include "home/home_buckets.h"
#include "home/site_volumes.h"
#include "node/mount_test_util.h"
#include "node/mounts.h"
#include "s3/fake_s3.h"

namespace spillway::home {
namespace {

namespace fs = std::filesystem;
using gateway::ReadText;
using gateway::WriteText;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BucketVolumesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = node::PrivateMounts(); !why.empty()) GTEST_SKIP() << why;
    for (const char* name : {"data", "results", "pods"}) fs::create_directory(dir_ / name);
    store_.Set("digits/train/1", "seven");
    store_.Set("digits/private/names", "Ada");
    Start();
  }
  void TearDown() override {
    Stop();
    if (!fs::exists(dir_ / "pods")) return;
    for (const auto& entry : fs::directory_iterator(dir_ / "pods"))
      EXPECT_TRUE(node::Unmount(entry.path()));
  }
  // As after kill -9: what was in memory is gone, mounts stay.
  void Restart() {
    Stop();
    Start();
  }
  void Stop() {
    volumes_.reset();
    in_buckets_.reset();
    buckets_.reset();
  }
  void Start() {
    auto buckets = HomeBuckets::Open({.directory = dir_ / "buckets",
                                      .open_bucket = [this](const S3Place&) -> Result<s3::Client> {
                                        return store_.Open({.total = 1s});
                                      },
                                      .pods_live_on = true});
    ASSERT_TRUE(buckets) << buckets.error().message;
    buckets_ = std::move(*buckets);
    auto in_buckets = BucketVolumes::Open(
        {.directory = dir_ / "buckets/volumes",
         .dataset = [this](const std::string& ns, const std::string& name) -> Result<DatasetInfo> {
           if (api_away_) return Fail(Code::kUnavailable, "the API server does not answer");
           DatasetInfo dataset;
           dataset.key = ns + "/" + name;
           if (in_bucket_)
             dataset.s3 = S3Place{"http://127.0.0.1:7480", "data", name + "/"};
           else
             dataset.directory = name;
           dataset.include = {"train/**"};
           return dataset;
         },
         .longest_call = 30s,
         .next_try = 10ms,
         .tell =
             [this](const ResultsNews& news) {
               const std::lock_guard lock(mutex_);
               news_.push_back(news);
             }},
        *buckets_);
    ASSERT_TRUE(in_buckets) << in_buckets.error().message;
    in_buckets_ = std::move(*in_buckets);
    auto volumes = SiteVolumes::Open(dir_ / "data", dir_ / "results", in_buckets_.get());
    ASSERT_TRUE(volumes) << volumes.error().message;
    volumes_ = std::move(*volumes);
  }
  csi::PublishRequest Request(const std::string& kind, const std::string& dataset) const {
    csi::PublishRequest request;
    request.volume_id = "vision/c";
    request.target_path = dir_ / "pods/" + kind;
    request.context = {{"kind", kind},
                       {"claim", "c"},
                       {"namespace", "vision"},
                       {"directory", kind == "results" ? "run-1" : "."},
                       {"bucket", "s3://data/" + dataset + "/"},
                       {"dataset", dataset},
                       {"csi.storage.k8s.io/pod.name", "train-0"},
                       {"csi.storage.k8s.io/pod.namespace", "vision"},
                       {"csi.storage.k8s.io/pod.uid", "u1"}};
    return request;
  }
  csi::PublishRequest Shown(const std::string& kind, const std::string& dataset) {
    csi::PublishRequest request = Request(kind, dataset);
    const Status shown = volumes_->Publish(request);
    EXPECT_TRUE(shown) << shown.error().message;
    return request;
  }
  Status Leave(const csi::PublishRequest& request) {
    return volumes_->Unpublish(request.volume_id, request.target_path);
  }
  void TakeStoreAway(bool away = true) {
    store_away_ = away;
    store_.before = [this](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
      if (!store_away_) return std::nullopt;
      return Fail(Code::kUnavailable, "cannot connect");
    };
  }
  // How far results had come at each try, in words.
  std::vector<std::string> News() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> words;
    for (const ResultsNews& news : news_) {
      const char* what = news.what == ResultsNews::What::kHome   ? "home"
                         : news.what == ResultsNews::What::kKept ? "kept"
                                                                 : "waiting";
      words.push_back(fmt::format("{} of {} {} {}: {}+{}", news.claim, news.pod, news.place, what,
                                  news.home.count, news.waiting.count));
      EXPECT_EQ(news.why.has_value(), news.what != ResultsNews::What::kHome);
    }
    return words;
  }
  bool NothingIsLeft() const {
    for (const char* name : {"buckets/inputs", "buckets/results", "buckets/volumes", "pods"})
      if (fs::exists(dir_ / name) && !fs::is_empty(dir_ / name)) return false;
    return true;
  }

  gateway::TempDir dir_;
  s3::FakeS3 store_;
  std::atomic<bool> store_away_{false};
  bool api_away_ = false, in_bucket_ = true;
  mutable std::mutex mutex_;
  std::vector<ResultsNews> news_;
  std::unique_ptr<HomeBuckets> buckets_;
  std::unique_ptr<BucketVolumes> in_buckets_;
  std::unique_ptr<SiteVolumes> volumes_;
};

TEST_F(BucketVolumesTest, ADatasetIsFetchedAndReadOnlyAndGoesWithItsPod) {
  const csi::PublishRequest request = Shown("dataset", "digits");
  EXPECT_EQ(ReadText(request.target_path + "/train/1"), "seven");
  EXPECT_FALSE(fs::exists(request.target_path + "/private"));
  EXPECT_FALSE(std::ofstream(request.target_path + "/new").is_open());
  api_away_ = true;
  TakeStoreAway();
  EXPECT_TRUE(volumes_->Publish(request)) << "it is there already";
  Restart();
  EXPECT_TRUE(volumes_->Publish(request));
  EXPECT_EQ(ReadText(request.target_path + "/train/1"), "seven");
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Leave(request));
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(BucketVolumesTest, ResultsAreInTheirBucketBeforeTheVolumeIsGone) {
  const csi::PublishRequest request = Shown("results", "models");
  WriteText(request.target_path + "/epoch/3", "weights");
  EXPECT_FALSE(store_.Find("models/run-1/epoch/3"));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Leave(request));
  EXPECT_EQ(store_.Find("models/run-1/epoch/3")->body, "weights");
  EXPECT_TRUE(NothingIsLeft());
  EXPECT_THAT(News(), ElementsAre("vision/c of vision/train-0 s3://data/models/run-1 home: 1+0"));
}

TEST_F(BucketVolumesTest, AVolumeWaitsForItsBucketAcrossRestarts) {
  const csi::PublishRequest request = Shown("results", "models");
  WriteText(request.target_path + "/model", "weights");
  Restart();
  EXPECT_TRUE(volumes_->Publish(request));
  EXPECT_EQ(ReadText(request.target_path + "/model"), "weights");
  TakeStoreAway();
  for (int i = 0; i < 2; ++i) {
    const Status away = Leave(request);
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().code, Code::kUnavailable);
    EXPECT_EQ(ReadText(request.target_path + "/model"), "weights");
    Restart();
  }
  TakeStoreAway(false);
  const Status left = Leave(request);
  ASSERT_TRUE(left) << left.error().message;
  EXPECT_EQ(store_.Find("models/run-1/model")->body, "weights");
  EXPECT_TRUE(NothingIsLeft());
  const std::string who = "vision/c of vision/train-0 s3://data/models/run-1 ";
  EXPECT_THAT(News(), ElementsAre(who + "waiting: 0+1", who + "waiting: 0+1", who + "home: 1+0"));
  EXPECT_EQ(news_[0].waiting.bytes, 7);
}

// A node that lost its power: no mount is left, and the kubelet starts the pod again.
TEST_F(BucketVolumesTest, APodOfARestartedNodeFindsWhatItWrote) {
  csi::PublishRequest request = Shown("results", "models");
  WriteText(request.target_path + "/checkpoint", "1");
  Stop();
  ASSERT_TRUE(node::Unmount(request.target_path));
  fs::create_directory(request.target_path);
  Start();
  ASSERT_TRUE(volumes_->Publish(request));
  EXPECT_EQ(ReadText(request.target_path + "/checkpoint"), "1");
  EXPECT_FALSE(store_.Find("models/run-1/checkpoint"));
}

TEST_F(BucketVolumesTest, WhatTheKubeletHasForgottenComesHomeByItself) {
  const csi::PublishRequest results = Shown("results", "models"), data = Shown("dataset", "digits");
  WriteText(results.target_path + "/model", "weights");
  TakeStoreAway();
  Stop();
  for (const std::string& target : {results.target_path, data.target_path})
    ASSERT_TRUE(node::Unmount(target));
  Start();
  // It is tried again and again.
  const int asked = store_.Count("HEAD");
  while (store_.Count("HEAD") < asked + 4) std::this_thread::yield();
  TakeStoreAway(false);
  while (!NothingIsLeft()) std::this_thread::yield();
  EXPECT_EQ(store_.Find("models/run-1/model")->body, "weights");
}

TEST_F(BucketVolumesTest, WhatCanBeNoObjectIsKeptAndHoldsNoPod) {
  const csi::PublishRequest request = Shown("results", "models");
  WriteText(request.target_path + "/a\tb", "odd");
  WriteText(request.target_path + "/model", "weights");
  const Status left = Leave(request);
  ASSERT_TRUE(left) << left.error().message;
  EXPECT_EQ(store_.Find("models/run-1/model")->body, "weights");
  bool kept = false;
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "buckets/unsent"))
    kept = kept || entry.path().filename() == "a\tb";
  EXPECT_TRUE(kept);
  EXPECT_THAT(News(), ElementsAre("vision/c of vision/train-0 s3://data/models/run-1 kept: 1+1"));
  EXPECT_THAT(news_[0].why->message, HasSubstr("unsent"));
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(BucketVolumesTest, RefusalsSayWhatToDo) {
  const auto refused = [&](const csi::PublishRequest& request) {
    const Status status = volumes_->Publish(request);
    EXPECT_FALSE(*node::IsMountPoint(request.target_path));
    return status ? "" : status.error().message;
  };
  csi::PublishRequest request = Request("dataset", "digits");
  request.context.erase("dataset");
  EXPECT_THAT(refused(request), HasSubstr("\"dataset\" is missing"));
  in_bucket_ = false;
  EXPECT_THAT(refused(Request("dataset", "digits")),
              HasSubstr("is directory digits now, and was s3://data/digits/"));
  api_away_ = true;
  EXPECT_THAT(refused(Request("dataset", "digits")), HasSubstr("API server"));
  volumes_ = *SiteVolumes::Open(dir_ / "data", dir_ / "results", nullptr);
  EXPECT_THAT(refused(Request("dataset", "digits")), HasSubstr("--s3-credentials"));
}

}  // namespace
}  // namespace spillway::home
