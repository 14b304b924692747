// How much memory the site's side of the data plane takes, by the most that the kernel has seen of
// this process. The store is a simulated one that makes up what it answers, so that it takes none.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>

#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/pattern_result.h"
#include "gateway/run_store.h"
#include "gateway/source_s3.h"
#include "tests/integration/peak_memory.h"

namespace spillway::gateway {
namespace {

using integration::kMemoryIsOurs;
using integration::PeakMemory;

constexpr Time kNow{Duration(1'800'000'000'000)};

// What src/gateway/README.md says.
constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kPreparingBytes = 128 * kMiB;  // of one run
constexpr std::int64_t kFileBytes = 1024;             // of a file of a run that is prepared
constexpr std::int64_t kResultsBytes = 256 * kMiB;    // of all results that are on their way

void ExpectAtMost(const PeakMemory& peak, std::int64_t bytes) {
  const std::int64_t took = peak.bytes();
  fmt::print("peak {} MiB of {}\n", took / kMiB, bytes / kMiB);
  if (kMemoryIsOurs) {
    EXPECT_LE(took, bytes);
  }
}

s3::Client ClientOf(std::function<Result<net::HttpResponse>(const net::WebRequest&)> send) {
  s3::Means means;
  means.send = std::move(send);
  means.credentials = [](const std::string&) -> Result<s3::Credentials> {
    return s3::Credentials{"key", data::SecretText("secret"), data::SecretText()};
  };
  means.now = [] { return kNow; };
  means.wait = [](Duration) { return true; };
  return *s3::Client::Open({.endpoint = "http://127.0.0.1:7480", .name = "data"}, std::move(means));
}

// A bucket of so many objects of one size below "set/".
class MadeUpStore {
 public:
  MadeUpStore(int objects, std::int64_t bytes) : objects_(objects), bytes_(bytes) {}

  std::shared_ptr<Source> Open(const std::string& profile) {
    S3Place place{"http://127.0.0.1:7480", "data", "set/"};
    place.profile = profile;
    return MakeS3Source(place, ClientOf([this](const auto& request) { return Answer(request); }));
  }
  int lists() const { return lists_; }
  int reads() const { return reads_; }

 private:
  static std::string Key(int i) { return fmt::format("set/{:04}/{:07}.jpg", i / 1000, i); }
  static std::string Tag(int i) { return fmt::format("{:032x}", i); }

  net::HttpResponse Answer(const net::WebRequest& request) {
    net::HttpResponse response;
    response.status = 200;
    const std::size_t key = request.url.find("/set/");
    if (key == std::string::npos) {
      response.body = List(request.url);
      return response;
    }
    ++reads_;
    long long first = 0, last = 0;
    std::sscanf(std::string(request.headers.Get("Range")).c_str(), "bytes=%lld-%lld", &first,
                &last);
    const int i = std::atoi(request.url.substr(key + 10).c_str());
    response.status = 206;
    response.headers.Add("ETag", Tag(i));
    response.headers.Add("Content-Range", fmt::format("bytes {}-{}/{}", first, last, bytes_));
    response.body.resize(static_cast<std::size_t>(last - first + 1));
    // Nothing that could be compressed.
    auto state = static_cast<std::uint32_t>(i) * 2654435761u + static_cast<std::uint32_t>(first);
    for (char& c : response.body)
      c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return response;
  }
  std::string List(const std::string& url) {
    ++lists_;
    int first = 0;
    if (const std::size_t at = url.find("continuation-token="); at != std::string::npos)
      first = std::atoi(url.substr(at + 19).c_str());
    const int end = std::min(objects_, first + 1000);
    std::string xml = "<ListBucketResult><EncodingType>url</EncodingType>";
    for (int i = first; i < end; ++i)
      xml += fmt::format(
          "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>&quot;{}"
          "&quot;</ETag><Size>{}</Size></Contents>",
          Key(i), Tag(i), bytes_);
    if (end < objects_)
      xml += fmt::format(
          "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>", end);
    return xml + "</ListBucketResult>";
  }

  const int objects_;
  const std::int64_t bytes_;
  std::atomic<int> lists_ = 0, reads_ = 0;
};

// A bucket that takes uploads in parts and keeps nothing but what HEAD tells.
class UploadSink {
 public:
  s3::Client Open() {
    return ClientOf([this](const auto& request) { return Answer(request); });
  }
  std::int64_t bytes() const { return bytes_; }

 private:
  struct Object {
    std::int64_t bytes = 0;
    std::string hash;
  };

  net::HttpResponse Answer(const net::WebRequest& request) {
    const std::lock_guard lock(mutex_);
    net::HttpResponse response;
    response.status = 200;
    const std::string path = request.url.substr(0, request.url.find('?'));
    Object& object = objects_[path];
    if (request.method == "HEAD") {
      response.headers.Add("ETag", "tag");
      response.headers.Add("Content-Length", std::to_string(object.bytes));
      response.headers.Add("x-amz-meta-spillway-sha256", object.hash);
    } else if (request.method == "PUT") {
      object.bytes += std::ssize(request.body);
      bytes_ += std::ssize(request.body);
      response.headers.Add("ETag", "tag");
    } else if (request.method == "GET") {
      response.body = "<ListMultipartUploadsResult></ListMultipartUploadsResult>";
    } else if (request.body.empty()) {
      object = {0, std::string(request.headers.Get("x-amz-meta-spillway-sha256"))};
      response.body =
          "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    } else {
      response.body =
          "<CompleteMultipartUploadResult><ETag>&quot;tag&quot;</ETag>"
          "</CompleteMultipartUploadResult>";
    }
    return response;
  }

  std::mutex mutex_;
  std::map<std::string, Object> objects_;
  std::atomic<std::int64_t> bytes_ = 0;
};

class GatewayMemoryTest : public ::testing::Test {
 protected:
  GatewayMemoryTest()
      : site_(*OpenSigningKey(dir_ / "site")),
        key_files_(std::move(*KeyFiles::Open(dir_ / "keys"))),
        keys_(std::move(*KeyStore::Open(dir_ / "keys", *key_files_, kNow))),
        runs_(std::move(*Runs::Open(dir_ / "runs", *keys_, site_))) {}

  Status Prepare(const std::string& run, MadeUpStore& store, const std::string& profile = "") {
    RunRequest request{run, {{"ns/claim", "ns/data", DataClass::kInternal, "", {}, {}, {}}}, {}};
    request.inputs[0].source = store.Open(profile);
    return runs_->Prepare(request, kNow);
  }

  TempDir dir_;
  const data::SigningKey site_;
  std::unique_ptr<KeyFiles> key_files_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Runs> runs_;
};

TEST_F(GatewayMemoryTest, TwoHundredThousandSmallObjects) {
  constexpr int kObjects = 200'000;
  MadeUpStore store(kObjects, 1000);
  const PeakMemory peak;
  const Status done = Prepare("bn-1", store);
  ASSERT_TRUE(done) << done.error().message;
  ExpectAtMost(peak, kPreparingBytes + kObjects * kFileBytes);
  // Listed before and after; read once; a node asks for chunks and a manifest, not for files.
  EXPECT_EQ(store.lists(), 2 * 200);
  EXPECT_EQ(store.reads(), kObjects);
  EXPECT_LE(runs_->Find("bn-1")->chunk_ends.size(), 64u);
}

TEST_F(GatewayMemoryTest, ManyRunsOfLargeObjectsAtOnce) {
  MadeUpStore store(2, 60 * kMiB);
  const PeakMemory peak;
  std::vector<std::thread> callers;
  std::atomic<int> refused = 0;
  for (int i = 0; i < 8; ++i)
    callers.emplace_back([&, i] {
      // As whoever wants a run to be prepared: again until it is. Each of another user, so that
      // nothing is shared.
      Status done = Prepare(fmt::format("bn-{}", i), store, fmt::format("user-{}", i));
      for (; !done && done.error().code == Code::kThrottled; ++refused) {
        std::this_thread::yield();
        done = Prepare(fmt::format("bn-{}", i), store, fmt::format("user-{}", i));
      }
      EXPECT_TRUE(done) << done.error().message;
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_GT(refused, 0);
  ExpectAtMost(peak, Runs::kPreparing * kPreparingBytes);
}

// A source of so many files that are not read before they are let go.
class HeldSource final : public Source {
 public:
  explicit HeldSource(int files) : files_(files) {}

  std::string Name() const override { return "held"; }
  using Source::List;
  Result<SourceListing> List(const data::Selection&, const Room& room) override {
    SourceListing listing;
    for (int i = 0; i < files_; ++i) {
      listing.selected.push_back({fmt::format("{:08}", i), 0644, {}});
      SPW_TRY(AskRoom(room, listing));
    }
    return listing;
  }
  Result<SourceListing> Count(const data::Selection&) override { return SourceListing{}; }
  Result<std::unique_ptr<SourceReader>> Open() override { return Fail(Code::kInternal, "never"); }
  Status CheckUnchanged(const data::Selection&, const SourceListing&) override {
    held_.set_value();
    go_.get_future().wait();
    return Fail(Code::kUnavailable, "enough");
  }
  void WaitUntilListed() { held_.get_future().wait(); }
  void LetGo() { go_.set_value(); }

 private:
  const int files_;
  std::promise<void> held_, go_;
};

TEST_F(GatewayMemoryTest, RunsOfManyFilesTakeTurns) {
  const auto prepare = [&](const std::string& run, std::shared_ptr<Source> source) {
    RunRequest request{run, {{"ns/claim", "ns/data", DataClass::kInternal, "", {}, {}, {}}}, {}};
    request.inputs[0].source = std::move(source);
    return runs_->Prepare(request, kNow);
  };
  const PeakMemory peak;
  const auto first = std::make_shared<HeldSource>(700'000);
  std::thread caller([&] { EXPECT_EQ(prepare("bn-1", first).error().code, Code::kUnavailable); });
  first->WaitUntilListed();
  const auto second = std::make_shared<HeldSource>(700'000);
  const Status refused = prepare("bn-2", second);
  EXPECT_EQ(refused.error().code, Code::kThrottled);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("700000 files"));
  first->LetGo();
  caller.join();
  ExpectAtMost(peak, 2 * kPreparingBytes + Runs::kPreparingFiles * kFileBytes);
  second->LetGo();
  EXPECT_EQ(prepare("bn-2", second).error().code, Code::kUnavailable) << "its turn";
}

// As many as a door has threads, into a bucket.
TEST_F(GatewayMemoryTest, ManyLargeResultsAtOnce) {
  UploadSink sink;
  ASSERT_TRUE(runs_->Prepare(
      {"bn-1", {}, {{"vision/models", "out", S3Place{"http://127.0.0.1:7480", "data", ""}}}},
      kNow));
  Results results({.open_bucket = [&](const S3Place&) { return sink.Open(); }}, *runs_, site_);
  std::vector<PatternResult> files;
  for (int i = 0; i < 8; ++i) files.emplace_back(fmt::format("model-{}", i), 100 * kMiB + i);
  const PeakMemory peak;
  std::vector<std::thread> senders;
  for (const PatternResult& file : files)
    senders.emplace_back([&] {
      const auto receipt = file.SendAll(*keys_, *runs_, results, kNow);
      EXPECT_TRUE(receipt) << receipt.error().message;
    });
  for (std::thread& sender : senders) sender.join();
  // The nodes are in this process too: a chunk as it is made up, sealed, and what the allocator
  // keeps of both.
  constexpr std::int64_t kNodeBytes = 16 * kMiB;
  ExpectAtMost(peak, kResultsBytes + std::ssize(files) * kNodeBytes);
  EXPECT_EQ(sink.bytes(), 8 * 100 * kMiB + 28);
}

// Parts of 16 MiB, hashed as they come; what is zeros takes no room on the disk meanwhile.
TEST_F(GatewayMemoryTest, AResultOfManyGigabytes) {
  const char* asked = std::getenv("SPILLWAY_TEST_RESULT_GIB");
  const std::int64_t bytes = (asked == nullptr ? 2 : std::atoll(asked)) * 1024 * kMiB + 1;
  UploadSink sink;
  ASSERT_TRUE(runs_->Prepare(
      {"bn-1", {}, {{"vision/models", "out", S3Place{"http://127.0.0.1:7480", "data", ""}}}},
      kNow));
  Results results({.open_bucket = [&](const S3Place&) { return sink.Open(); }}, *runs_, site_);
  const PatternResult file("model", bytes);
  const PeakMemory peak;
  const auto receipt = file.SendAll(*keys_, *runs_, results, kNow);
  ASSERT_TRUE(receipt) << receipt.error().message;
  ExpectAtMost(peak, kResultsBytes);
  EXPECT_EQ(sink.bytes(), bytes);
}

}  // namespace
}  // namespace spillway::gateway
