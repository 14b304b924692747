// Datasets and results in buckets of a real Ceph RGW.
#include <atomic>
#include <cstdlib>
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

// SPILLWAY_TEST_CEPH_FILES is how many; the time that each step takes is told and judged by nobody.
TEST(CephSource, ManySmallFilesWithoutWaitingForEach) {
  SPW_NEEDS_CEPH();
  const char* asked = std::getenv("SPILLWAY_TEST_CEPH_FILES");
  const int files = asked == nullptr ? 2000 : std::atoi(asked);
  ceph::Lab lab;
  const s3::Client client = lab.Client();
  const auto key = [](int i) { return fmt::format("set/{:03}/{:06}", i % 1000, i); };
  std::atomic<int> next = 0, stored = 0;
  std::vector<std::thread> writers(s3::Access::kConnections);
  for (std::thread& writer : writers)
    writer = std::thread([&] {
      for (int i = next++; i < files; i = next++)
        if (client.Put(key(i), fmt::format("{:>1000}", i), {})) ++stored;
    });
  for (std::thread& writer : writers) writer.join();
  ASSERT_EQ(stored, files);

  const s3::Bucket& bucket = lab.bucket();
  RunRequest request{"bn-1", {{"ns/claim", "ns/data", DataClass::kInternal, "", {}, {}, {}}}, {}};
  request.inputs[0].source = *OpenS3Source(
      {bucket.endpoint, bucket.name, "set/", bucket.region, true, "dev"}, lab.access());
  const SystemClock clock;
  const Duration began = clock.SteadyNow();
  const auto plan = PlanRun(request);
  ASSERT_TRUE(plan) << plan.error().message;
  const Duration listed = clock.SteadyNow();
  ASSERT_EQ(std::ssize(plan->layout.files), files);
  std::vector<std::unique_ptr<SourceReader>> readers;
  readers.push_back(std::move(*plan->inputs[0].source->Open()));
  ReadAhead ahead(*plan, std::move(readers));
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < plan->layout.chunks.size(); ++i) {
    const auto chunk = ahead.Next();
    ASSERT_TRUE(chunk) << chunk.error().message;
    bytes += std::ssize(*chunk);
  }
  EXPECT_EQ(bytes, std::int64_t{files} * 1000);
  const Duration read = clock.SteadyNow();
  fmt::print("{} objects: listed in {}, read in {}\n", files, HumanDuration(listed - began),
             HumanDuration(read - listed));
}

// While a run is read somebody replaces one of its objects, in the real store.
TEST(CephSource, AnObjectReplacedWhileItsNeighboursAreRead) {
  SPW_NEEDS_CEPH();
  CephStage stage;
  for (int i = 0; i < 40; ++i) stage.Set(fmt::format("{:02}", i), std::string(1'000'000, 'x'));
  RunRequest request{"bn-1", {{"ns/claim", "ns/data", DataClass::kInternal, "", {}, {}, {}}}, {}};
  request.inputs[0].source = stage.source();
  const auto plan = PlanRun(request);
  ASSERT_TRUE(plan) << plan.error().message;
  std::vector<std::unique_ptr<SourceReader>> readers;
  readers.push_back(std::move(*plan->inputs[0].source->Open()));
  ReadAhead ahead(*plan, std::move(readers));
  ASSERT_TRUE(ahead.Next());
  stage.Set("39", std::string(1'000'000, 'y'));
  std::optional<Error> error;
  for (std::size_t i = 1; i < plan->layout.chunks.size() && !error; ++i)
    if (const auto chunk = ahead.Next(); !chunk) error = chunk.error();
  // It was read before, or it was not.
  const Status same =
      plan->inputs[0].source->CheckUnchanged(plan->inputs[0].selection, plan->inputs[0].listing);
  ASSERT_FALSE(same);
  EXPECT_EQ(same.error().code, Code::kCorrupt);
  if (error) {
    EXPECT_EQ(error->code, Code::kCorrupt);
    EXPECT_THAT(error->message, ::testing::HasSubstr("set/39: changed"));
  }
}

}  // namespace
}  // namespace spillway::gateway
