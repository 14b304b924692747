// Datasets and results in buckets of a real Ceph RGW.
#include <atomic>
#include <thread>

#include "gateway/source_s3.h"
#include "tests/ceph/lab.h"
#include "tests/contract/home/results_conformance.h"
#include "tests/contract/home/source_conformance.h"

namespace spillway::gateway {
namespace {

class CephStage final : public SourceStage {
 public:
  std::shared_ptr<Source> source() override {
    const s3::Bucket& bucket = lab_.bucket();
    return *OpenS3Source(
        {bucket.endpoint, bucket.name, "set/", bucket.region, bucket.path_style, bucket.profile},
        lab_.access());
  }
  void Set(const std::string& path, const std::string& content) override {
    const auto put = client_.Put("set/" + path, content, {});
    EXPECT_TRUE(put) << put.error().message;
  }
  void Remove(const std::string& path) override { EXPECT_TRUE(client_.Delete("set/" + path)); }
  bool MayGrow() const override { return true; }

 private:
  ceph::Lab lab_;
  const s3::Client client_ = lab_.Client();
};

SourceKind CephKind() {
  if (ceph::Directory().empty())
    return {"Ceph", nullptr, "SPILLWAY_TEST_CEPH names no directory of scripts/partners/ceph-up"};
  return {"Ceph", [] { return std::make_unique<CephStage>(); }, ""};
}

class CephHome final : public HomeStage {
 public:
  RunOutput output() override {
    const s3::Bucket& bucket = lab_.bucket();
    return {"vision/models", "out",
            S3Place{bucket.endpoint, bucket.name, "models/", bucket.region, bucket.path_style,
                    bucket.profile}};
  }
  ResultsOptions options() override {
    return {.open_bucket = [this](const S3Place& place) {
      return OpenBucket(place, lab_.access(), {.total = 10s});
    }};
  }
  std::optional<std::string> Read(const std::string& path) override {
    const std::string key = "models/out/" + path;
    const auto head = client_.Head(key);
    if (!head) return std::nullopt;
    std::string content;
    while (std::ssize(content) < head->size_bytes) {
      const std::int64_t left = head->size_bytes - std::ssize(content);
      const auto part = client_.Get(
          key, {std::ssize(content), std::min(left, s3::Client::kMaxBytes)}, head->etag);
      if (!part) return std::nullopt;
      content += *part;
    }
    return content;
  }
  std::size_t Unfinished() override { return client_.ListUploads("")->size(); }

 private:
  ceph::Lab lab_;
  const s3::Client client_ = lab_.Client();
};

HomeKind CephHomeKind() {
  if (!CephKind().make) return {"Ceph", nullptr, CephKind().why};
  return {"Ceph", [] { return std::make_unique<CephHome>(); }, ""};
}

INSTANTIATE_TEST_SUITE_P(Real, ResultsConformance, ::testing::Values(CephHomeKind()),
                         [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(Real, SourceConformance, ::testing::Values(CephKind()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace spillway::gateway
