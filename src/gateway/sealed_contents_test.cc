#include "gateway/sealed_contents.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <condition_variable>
#include <future>

#include "gateway/fetch_run.h"
#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/source_s3.h"
#include "s3/access.h"
#include "s3/fake_s3.h"

namespace spillway::gateway {
namespace {

constexpr Time kNow{Duration(1'800'000'000'000)};

// Several runs that read one bucket in memory.
class SharedContentTest : public ::testing::Test {
 protected:
  static constexpr int kObjects = 20;

  SharedContentTest() : site_(*OpenSigningKey(dir_ / "site")) {
    key_files_ = std::move(*KeyFiles::Open(dir_ / "keys"));
    keys_ = std::move(*KeyStore::Open(dir_ / "keys", *key_files_, kNow));
    runs_ = std::move(*Runs::Open(dir_ / "runs", *keys_, site_));
    for (int i = 0; i < kObjects; ++i) {
      const std::string path = fmt::format("{:02}", i);
      files_[path] = std::string(1 << 20, static_cast<char>('a' + i));
      store_.Set("set/" + path, files_[path]);
    }
    store_.before = [this](const net::WebRequest& request) { return OnRequest(request); };
  }

  Status Prepare(const std::string& run, const std::string& claim = "claim",
                 const std::string& profile = "default", data::Narrowing need = {}) {
    RunRequest request{
        run, {{"ns/" + claim, "ns/data", DataClass::kInternal, "", {}, {}, {std::move(need)}}}, {}};
    S3Place place{"http://127.0.0.1:7480", "data", "set/"};
    place.profile = profile;
    request.inputs[0].source = MakeS3Source(place, store_.Open({.total = 1s}));
    return runs_->Prepare(request, kNow);
  }
  void ExpectWhole(const std::string& run, const std::string& claim = "claim") {
    const auto fetched = FetchRun(*runs_, *keys_, site_.public_key(), run);
    ASSERT_TRUE(fetched) << fetched.error().message;
    ASSERT_EQ(fetched->size(), files_.size());
    for (const auto& [path, content] : files_)
      EXPECT_TRUE(fetched->at(claim + "/" + path) == content) << path;
  }
  // Requests for bytes of objects since the last call.
  int Reads() { return reads_.exchange(0); }

  // From now on reads after so many wait for LetReadsGo(); negative: none does.
  void HoldReadsAfter(int reads) {
    const std::lock_guard lock(mutex_);
    free_reads_ = reads;
  }
  void LetReadsGo() { Set(free_reads_, -1); }
  void FailReads() { Set(fail_reads_, true); }
  void WaitForHeldReads(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_ >= count; });
  }
  // bn-1 waits for the store after so many reads. bn-2 lists as well, and then waits for bn-1.
  std::pair<std::future<Status>, std::future<Status>> BeginTwo(int reads) {
    HoldReadsAfter(reads);
    auto first = std::async(std::launch::async, [this] { return Prepare("bn-1"); });
    WaitForHeldReads(1);
    auto second = std::async(std::launch::async, [this] { return Prepare("bn-2"); });
    while (lists_ < 2) std::this_thread::yield();
    return {std::move(first), std::move(second)};
  }

  TempDir dir_;
  const data::SigningKey site_;
  std::unique_ptr<KeyFiles> key_files_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Runs> runs_;
  s3::FakeS3 store_;
  std::map<std::string, std::string> files_;

 private:
  template <typename T>
  void Set(T& field, T value) {
    const std::lock_guard lock(mutex_);
    field = value;
    changed_.notify_all();
  }
  std::optional<Result<net::HttpResponse>> OnRequest(const net::WebRequest& request) {
    if (request.headers.Get("If-Match").empty()) {
      ++lists_;
      return std::nullopt;
    }
    ++reads_;
    std::unique_lock lock(mutex_);
    if (free_reads_ > 0) {
      --free_reads_;
      return std::nullopt;
    }
    ++held_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return free_reads_ < 0 || fail_reads_; });
    --held_;
    if (fail_reads_) return Fail(Code::kUnavailable, "the store is away");
    return std::nullopt;
  }

  std::atomic<int> reads_ = 0, lists_ = 0;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  int free_reads_ = -1, held_ = 0;
  bool fail_reads_ = false;
};

TEST_F(SharedContentTest, TheSameVersionIsReadOnceForTwoRuns) {
  ASSERT_TRUE(Prepare("bn-1"));
  EXPECT_EQ(Reads(), kObjects);
  ASSERT_TRUE(Prepare("bn-2"));
  // In another namespace, where the claim has another name.
  ASSERT_TRUE(Prepare("bn-3", "pictures"));
  EXPECT_EQ(Reads(), 0);
  ExpectWhole("bn-1");
  ExpectWhole("bn-2");
  ExpectWhole("bn-3", "pictures");
  EXPECT_NE(ReadText(dir_ / "runs/bn-1/chunks"), ReadText(dir_ / "runs/bn-2/chunks"))
      << "sealed for each";
}

TEST_F(SharedContentTest, AndOnceForTwoAtATime) {
  auto [first, second] = BeginTwo(5);
  LetReadsGo();
  const Status done = first.get(), done_too = second.get();
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_TRUE(done_too) << done_too.error().message;
  EXPECT_EQ(Reads(), kObjects);
  ExpectWhole("bn-1");
  ExpectWhole("bn-2");
}

TEST_F(SharedContentTest, AnotherVersionSelectionOrUserIsReadForItself) {
  ASSERT_TRUE(Prepare("bn-1"));
  Reads();
  ASSERT_TRUE(Prepare("bn-2", "claim", "another"));
  EXPECT_EQ(Reads(), kObjects) << "who may not read it would get it from one who may";
  ASSERT_TRUE(Prepare("bn-3", "claim", "default", {{"0*"}, {}}));
  EXPECT_EQ(Reads(), 10);
  files_["07"] = std::string(1 << 20, '7');
  store_.Set("set/07", files_["07"]);
  ASSERT_TRUE(Prepare("bn-4"));
  EXPECT_EQ(Reads(), kObjects);
  ExpectWhole("bn-4");
}

TEST_F(SharedContentTest, AShardIsAContentOfItsOwn) {
  ASSERT_TRUE(Prepare("bn-1", "claim", "default", {{}, {{0, 2}}}));
  EXPECT_EQ(Reads(), kObjects / 2);
  ASSERT_TRUE(Prepare("bn-2", "claim", "default", {{}, {{1, 2}}}));
  EXPECT_EQ(Reads(), kObjects / 2) << "of the other half";
  ASSERT_TRUE(Prepare("bn-3", "claim", "default", {{}, {{1, 2}}}));
  EXPECT_EQ(Reads(), 0) << "a machine that takes its place";
  for (const auto& [run, half] :
       {std::pair("bn-1", 0), std::pair("bn-2", 1), std::pair("bn-3", 1)}) {
    const auto files = *FetchRun(*runs_, *keys_, site_.public_key(), run);
    ASSERT_EQ(files.size(), files_.size() / 2);
    for (int i = half; i < kObjects; i += 2)
      EXPECT_TRUE(files.at(fmt::format("claim/{:02}", i)) == files_.at(fmt::format("{:02}", i)));
  }
}

TEST_F(SharedContentTest, WhenTheOtherRunHasEndedItIsReadAgain) {
  ASSERT_TRUE(Prepare("bn-1"));
  ASSERT_TRUE(runs_->Destroy("bn-1", kNow));
  Reads();
  ASSERT_TRUE(Prepare("bn-2"));
  EXPECT_EQ(Reads(), kObjects);
  ExpectWhole("bn-2");
  ASSERT_TRUE(Prepare("bn-3"));
  EXPECT_EQ(Reads(), 0);
}

TEST_F(SharedContentTest, WhatTheDiskGivesBackWrongIsReadFromTheStore) {
  ASSERT_TRUE(Prepare("bn-1"));
  Reads();
  std::string sealed = ReadText(dir_ / "runs/bn-1/chunks");
  sealed[sealed.size() / 2] ^= 1;
  WriteText(dir_ / "runs/bn-1/chunks", sealed);
  ASSERT_TRUE(Prepare("bn-2"));
  EXPECT_GT(Reads(), 0);
  ExpectWhole("bn-2");
}

// The first reads a part and gives up; the second goes on by itself.
TEST_F(SharedContentTest, WhenTheOtherRunFailsTheRestIsRead) {
  auto [first, second] = BeginTwo(kObjects / 2);
  ASSERT_TRUE(keys_->Destroy("bn-1", kNow));
  LetReadsGo();
  EXPECT_EQ(first.get().error().code, Code::kConflict);
  const Status done = second.get();
  ASSERT_TRUE(done) << done.error().message;
  ExpectWhole("bn-2");
  Reads();
  ASSERT_TRUE(Prepare("bn-3"));
  EXPECT_EQ(Reads(), 0) << "what failed is forgotten";
}

TEST_F(SharedContentTest, WhileTheStoreIsAwayNobodyWaitsForEver) {
  auto [first, second] = BeginTwo(3);
  FailReads();
  EXPECT_EQ(first.get().error().code, Code::kUnavailable);
  EXPECT_EQ(second.get().error().code, Code::kUnavailable);
}

TEST_F(SharedContentTest, OnlySoManyRunsAreBegunAtATime) {
  HoldReadsAfter(0);
  std::vector<std::future<Status>> begun;
  for (int i = 0; i < Runs::kPreparing; ++i)
    begun.push_back(std::async(std::launch::async, [this, i] {
      return Prepare(fmt::format("bn-{}", i), "claim", fmt::format("user-{}", i));
    }));
  WaitForHeldReads(Runs::kPreparing * s3::Access::kConnections);
  const Status more = Prepare("bn-9");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::kThrottled);
  EXPECT_FALSE(runs_->Report("bn-9").failed) << "it is asked for again";
  LetReadsGo();
  for (std::future<Status>& one : begun) EXPECT_TRUE(one.get());
  EXPECT_TRUE(Prepare("bn-9"));
}

}  // namespace
}  // namespace spillway::gateway
