// How much memory the site's side of the data plane takes, by the most that the kernel has seen of
// this process. The store is a simulated one that makes up what it answers, so that it takes none.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <cstdio>
#include <fstream>

#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/run_store.h"
#include "gateway/source_s3.h"

namespace spillway::gateway {
namespace {

constexpr Time kNow{Duration(1'800'000'000'000)};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMeasured = false;  // what a sanitizer needs is no matter of ours
#else
constexpr bool kMeasured = true;
#endif

std::int64_t StatusKib(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name)) return std::stoll(line.substr(name.size() + 1));
  return 0;
}

// The most memory that this process takes while the object is there, beyond what it took before.
class Peak {
 public:
  Peak() {
    std::ofstream("/proc/self/clear_refs") << "5";  // forgets the peak so far
    before_kib_ = StatusKib("VmRSS");
  }
  std::int64_t bytes() const { return (StatusKib("VmHWM") - before_kib_) * 1024; }

 private:
  std::int64_t before_kib_ = 0;
};

// A bucket of so many objects of one size below "set/".
class MadeUpStore {
 public:
  MadeUpStore(int objects, std::int64_t bytes) : objects_(objects), bytes_(bytes) {}

  std::shared_ptr<Source> Open() {
    s3::Means means;
    means.send = [this](const net::WebRequest& request) { return Answer(request); };
    means.credentials = [](const std::string&) -> Result<s3::Credentials> {
      return s3::Credentials{"key", data::SecretText("secret"), data::SecretText()};
    };
    means.now = [] { return kNow; };
    means.wait = [](Duration) { return true; };
    const S3Place place{"http://127.0.0.1:7480", "data", "set/"};
    return MakeS3Source(
        place, *s3::Client::Open({.endpoint = place.endpoint, .name = "data"}, std::move(means)));
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

class GatewayMemoryTest : public ::testing::Test {
 protected:
  GatewayMemoryTest()
      : site_(*OpenSigningKey(dir_ / "site")),
        key_files_(std::move(*KeyFiles::Open(dir_ / "keys"))),
        keys_(std::move(*KeyStore::Open(dir_ / "keys", *key_files_, kNow))),
        runs_(std::move(*Runs::Open(dir_ / "runs", *keys_, site_))) {}

  Status Prepare(const std::string& run, MadeUpStore& store) {
    RunRequest request{run, {{"ns/claim", "ns/data", DataClass::kInternal, "", {}, {}, {}}}, {}};
    request.inputs[0].source = store.Open();
    return runs_->Prepare(request, kNow);
  }

  TempDir dir_;
  const data::SigningKey site_;
  std::unique_ptr<KeyFiles> key_files_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Runs> runs_;
};

TEST_F(GatewayMemoryTest, TwoHundredThousandSmallObjects) {
  MadeUpStore store(200'000, 1000);
  const Peak peak;
  const Status done = Prepare("bn-1", store);
  ASSERT_TRUE(done) << done.error().message;
  fmt::print("peak {} MiB\n", peak.bytes() >> 20);
  // Listed before and after; read once; a node asks for chunks and a manifest, not for files.
  EXPECT_EQ(store.lists(), 2 * 200);
  EXPECT_EQ(store.reads(), 200'000);
  EXPECT_LE(runs_->Find("bn-1")->chunk_ends.size(), 50u);
}

TEST_F(GatewayMemoryTest, LargeObjects) {
  MadeUpStore store(3, 100 << 20);
  const Peak peak;
  const Status done = Prepare("bn-1", store);
  ASSERT_TRUE(done) << done.error().message;
  fmt::print("peak {} MiB\n", peak.bytes() >> 20);
}

}  // namespace
}  // namespace spillway::gateway
