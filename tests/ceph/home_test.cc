// Datasets and results in buckets of a real Ceph RGW.
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "gateway/pattern_result.h"
#include "gateway/source_s3.h"
#include "tests/ceph/lab.h"
#include "tests/contract/home/results_conformance.h"
#include "tests/contract/home/source_conformance.h"
#include "tests/integration/peak_memory.h"

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
  Result<s3::ObjectHead> Look(const std::string& path) {
    return client_.Head("models/out/" + path);
  }
  Result<std::string> Read(const std::string& path, const s3::ByteRange& range,
                           const std::string& etag) {
    return client_.Get("models/out/" + path, range, etag);
  }

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

// Processor time of this process so far.
Duration Busy() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) { return Duration(t.tv_sec * 1000 + t.tv_usec / 1000); };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

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
  const Duration busy = Busy();
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
  fmt::print("{} objects: listed in {}, read in {}, of which a processor of ours was busy {}\n",
             files, HumanDuration(listed - began), HumanDuration(read - listed),
             FormatDuration(Busy() - busy));
}

// SPILLWAY_TEST_CEPH_RESULT_GIB is how large it is. What the site needs for it is a private file,
// in which zeros take no room, and a few parts in memory.
TEST(CephHome, AResultOfManyGigabytesAndOneOfNoBytes) {
  SPW_NEEDS_CEPH();
  const char* asked = std::getenv("SPILLWAY_TEST_CEPH_RESULT_GIB");
  const std::int64_t bytes = ((asked == nullptr ? std::int64_t{1} : std::atoll(asked)) << 30) + 1;
  CephHome home;
  TempDir dir;
  ResultsBench bench(home, dir.path());
  const PatternResult file("epoch/1/model.npz", bytes), empty("empty", 0);
  const integration::PeakMemory peak;
  const SystemClock clock;
  const Duration began = clock.SteadyNow();
  const auto receipt = bench.SendAll(file);
  ASSERT_TRUE(receipt) << receipt.error().message;
  fmt::print("{} bytes in {}, peak {} MiB\n", bytes, HumanDuration(clock.SteadyNow() - began),
             peak.bytes() >> 20);
  if (integration::kMemoryIsOurs) {
    EXPECT_LE(peak.bytes(), 256 << 20);
  }
  ASSERT_TRUE(bench.SendAll(empty));
  EXPECT_EQ(home.Read("empty"), "");
  EXPECT_EQ(home.Unfinished(), 0u);
  const auto head = home.Look("epoch/1/model.npz");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->size_bytes, bytes);
  EXPECT_EQ(head->metadata.at("spillway-sha256"), Hex(file.about().sha256));
  // All that is not zeros, what follows it, and the last byte.
  for (std::int64_t i = 0; i < file.chunks(); ++i) {
    if (!PatternResult::IsNoise(i) && !PatternResult::IsNoise(i - 1) && i + 1 < file.chunks())
      continue;
    const std::string plain = file.Plain(i);
    const auto part = home.Read("epoch/1/model.npz",
                                {i * door::kResultChunkBytes, std::ssize(plain)}, head->etag);
    ASSERT_TRUE(part) << part.error().message;
    EXPECT_TRUE(*part == plain) << "chunk " << i;
  }
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
