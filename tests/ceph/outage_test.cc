// A real Ceph goes away for a minute, hangs, is slow, or holds another version, while the data of a
// run is sealed and while its results come home.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <future>
#include <thread>

#include "base/rng.h"
#include "gateway/fetch_run.h"
#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/results.h"
#include "gateway/sent_result.h"
#include "gateway/source_s3.h"
#include "tests/ceph/lab.h"
#include "tests/integration/cut_relay.h"

namespace spillway::gateway {
namespace {

using integration::CutRelay;
using ::testing::HasSubstr;

constexpr Time kNow{Duration(1'800'000'000'000)};
// How long the store is away; by a clock, since that is what is tested.
constexpr Duration kOutage = 60s;

std::string Noise(std::uint64_t seed, std::size_t bytes) {
  Rng rng(seed);
  std::string noise(bytes, '\0');
  for (char& c : noise) c = static_cast<char>(rng.Below(256));
  return noise;
}

// The site's side of the data plane over a bucket, behind a line that can be slow.
class OutageTest : public ::testing::Test {
 protected:
  static constexpr int kObjects = 24;
  static constexpr std::size_t kObjectBytes = 2 << 20;

  void SetUp() override {
    SPW_NEEDS_CEPH();
    lab_ = std::make_unique<ceph::Lab>();
    const std::string& endpoint = lab_->bucket().endpoint;
    relay_ = std::make_unique<CutRelay>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
    site_.emplace(*OpenSigningKey(dir_ / "site"));
    key_files_ = std::move(*KeyFiles::Open(dir_ / "keys"));
    keys_ = std::move(*KeyStore::Open(dir_ / "keys", *key_files_, kNow));
    runs_ = std::move(*Runs::Open(dir_ / "runs", *keys_, *site_));
  }
  void TearDown() override {
    if (lab_) {
      EXPECT_TRUE(ceph::Lab::Power("start"));
    }
  }

  static std::string Path(int i) { return fmt::format("{:02}", i); }
  // Objects of noise below "set/".
  void Fill() {
    const s3::Client client = lab_->Client();
    for (int i = 0; i < kObjects; ++i) {
      const auto put =
          client.Put("set/" + Path(i), Noise(static_cast<std::uint64_t>(i), kObjectBytes), {});
      ASSERT_TRUE(put) << put.error().message;
    }
  }
  S3Place Place(const std::string& prefix) const {
    const s3::Bucket& bucket = lab_->bucket();
    return {fmt::format("http://127.0.0.1:{}", relay_->port()),
            bucket.name,
            prefix,
            bucket.region,
            bucket.path_style,
            bucket.profile};
  }
  Status Prepare(s3::Patience patience = {}) {
    RunRequest request{"bn-1", {{"ns/claim", "ns/data", DataClass::kInternal, "", {}, {}, {}}}, {}};
    SPW_ASSIGN(s3::Client client, OpenBucket(Place("set/"), lab_->access(), patience));
    request.inputs[0].source = MakeS3Source(Place("set/"), std::move(client));
    return runs_->Prepare(request, kNow);
  }
  // Begins to prepare the run over a slow line; returns when a third of it has come.
  std::future<Status> BeginToPrepare(s3::Patience patience = {}) {
    relay_->Throttle(4 << 20);
    auto prepared = std::async(std::launch::async, [this, patience] { return Prepare(patience); });
    EXPECT_TRUE(relay_->WaitForBytesDown(kObjects * kObjectBytes / 3));
    return prepared;
  }
  void Outage(const std::string& how) {
    ASSERT_TRUE(ceph::Lab::Power("stop" + how));
    std::this_thread::sleep_for(kOutage);
    ASSERT_TRUE(ceph::Lab::Power("start"));
  }
  void ExpectWhole() {
    const auto files = FetchRun(*runs_, *keys_, site_->public_key(), "bn-1");
    ASSERT_TRUE(files) << files.error().message;
    ASSERT_EQ(files->size(), static_cast<std::size_t>(kObjects));
    for (int i = 0; i < kObjects; ++i)
      EXPECT_TRUE(files->at("claim/" + Path(i)) ==
                  Noise(static_cast<std::uint64_t>(i), kObjectBytes))
          << i;
  }

  TempDir dir_;
  std::unique_ptr<ceph::Lab> lab_;
  std::unique_ptr<CutRelay> relay_;
  std::optional<data::SigningKey> site_;
  std::unique_ptr<KeyFiles> key_files_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Runs> runs_;
};

// "" takes S3 gateway and OSD away: connections are refused. " --osd" the OSD alone: requests are
// taken and not answered.
class AwayTest : public OutageTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(AwayTest, ARunIsSealedThroughIt) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  auto prepared = BeginToPrepare();
  ASSERT_NO_FATAL_FAILURE(Outage(GetParam()));
  relay_->Throttle(0);
  const Status done = prepared.get();
  ASSERT_TRUE(done) << done.error().message;
  ExpectWhole();
}

TEST_P(AwayTest, AVersionThatCameWithTheReturnIsNotMixedIn) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  auto prepared = BeginToPrepare();
  ASSERT_NO_FATAL_FAILURE(Outage(GetParam()));
  ASSERT_TRUE(lab_->Client().Put("set/23", Noise(99, kObjectBytes), {}));
  relay_->Throttle(0);
  const Status done = prepared.get();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kCorrupt);
  EXPECT_THAT(done.error().message, HasSubstr("set/23: changed while it was read"));
  EXPECT_FALSE(runs_->Report("bn-1").prepared);
  EXPECT_FALSE(std::filesystem::exists(runs_->Directory("bn-1") + "/chunks"));
}

// As a node does: what fails is sent again, until there is the receipt.
TEST_P(AwayTest, ResultsComeHomeAfterIt) {
  const S3Place place = Place("models/");
  ASSERT_TRUE(runs_->Prepare({"bn-1", {}, {{"vision/models", "out", place}}}, kNow));
  Results results({.open_bucket =
                       [this](const S3Place& at) {
                         return OpenBucket(at, lab_->access(), {.longest = 2s, .total = 10s});
                       }},
                  *runs_, *site_);
  const std::string big = Noise(7, 40 << 20);
  std::thread outage;
  const auto send = [&](const std::string& path, const std::string& content) {
    std::optional<std::string> receipt;
    for (std::int64_t i = 0; i < ResultChunks(content);) {
      const ResultChunk chunk = DescribeResult(path, content, i);
      const auto sealed = SealResult(*keys_, *runs_, chunk, content);
      EXPECT_TRUE(sealed);
      if (path == "big" && i == 5 && !outage.joinable()) {
        EXPECT_TRUE(ceph::Lab::Power("stop" + GetParam()));
        outage = std::thread([] {
          std::this_thread::sleep_for(kOutage);
          EXPECT_TRUE(ceph::Lab::Power("start"));
        });
      }
      auto put = results.Put(chunk, *sealed, kNow);
      if (put) {
        receipt = *put;
        ++i;
      } else if (put.error().code != Code::kUnavailable) {
        ADD_FAILURE() << put.error().message;
        break;
      }
    }
    EXPECT_TRUE(receipt) << path;
  };
  send("big", big);
  send("empty", "");
  ASSERT_TRUE(outage.joinable());
  outage.join();
  const s3::Client client = lab_->Client();
  for (const auto& [key, content] :
       {std::pair<std::string, std::string>("models/out/big", big), {"models/out/empty", ""}}) {
    const auto head = client.Head(key);
    ASSERT_TRUE(head) << head.error().message;
    EXPECT_EQ(head->size_bytes, std::ssize(content));
    std::string got;
    while (std::ssize(got) < head->size_bytes) {
      const auto part = client.Get(
          key,
          {std::ssize(got), std::min(head->size_bytes - std::ssize(got), s3::Client::kMaxBytes)},
          head->etag);
      ASSERT_TRUE(part) << part.error().message;
      got += *part;
    }
    EXPECT_TRUE(got == content) << key;
  }
  EXPECT_TRUE(client.ListUploads("")->empty());
}

INSTANTIATE_TEST_SUITE_P(ForAMinute, AwayTest, ::testing::Values("", " --osd"),
                         [](const auto& c) { return c.param.empty() ? "All" : "Osd"; });

// Each answer takes several times as long as a store may be silent.
TEST_F(OutageTest, AStoreThatIsSlowIsNotSilent) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  // Sixteen answers of 2 MiB at a time: each takes eleven seconds.
  relay_->Throttle(3 << 20);
  const Status done = Prepare({.total = 0s, .silence = 4s, .attempts = 1});
  ASSERT_TRUE(done) << done.error().message;
  ExpectWhole();
}

// The S3 gateway answers for a moment and stands still for longer than a store may be silent.
TEST_F(OutageTest, AStoreThatStopsAndGoes) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  auto prepared = BeginToPrepare({.silence = 3s});
  for (int stop = 0; stop < 4; ++stop) {
    ASSERT_TRUE(ceph::Lab::Power("pause"));
    std::this_thread::sleep_for(5s);
    const std::int64_t before = relay_->bytes_down();
    ASSERT_TRUE(ceph::Lab::Power("resume"));
    if (prepared.wait_for(0s) != std::future_status::ready) {
      ASSERT_TRUE(relay_->WaitForBytesDown(before + 1));
    }
  }
  relay_->Throttle(0);
  const Status done = prepared.get();
  ASSERT_TRUE(done) << done.error().message;
  ExpectWhole();
}

TEST_F(OutageTest, AnObjectDeletedMeanwhileEndsTheRunByName) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  auto prepared = BeginToPrepare();
  ASSERT_TRUE(lab_->Client().Delete("set/23"));
  relay_->Throttle(0);
  const Status done = prepared.get();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kCorrupt);
  EXPECT_THAT(done.error().message, HasSubstr("set/23: was deleted while it was read"));
  // It is final: the next look is of another version.
  EXPECT_EQ(Prepare().error().message, done.error().message);
}

}  // namespace
}  // namespace spillway::gateway
