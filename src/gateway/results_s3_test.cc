#include <gmock/gmock.h>

#include "door/protocol.h"
#include "gateway/gateway_test_util.h"
#include "gateway/incoming_file.h"
#include "s3/fake_s3.h"

namespace spillway::gateway {
namespace {

using ::testing::HasSubstr;

class BucketFileTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kChunk = door::kResultChunkBytes;

  std::unique_ptr<IncomingFile> Begin(const std::string& content) {
    content_ = content;
    auto file = ReceiveIntoBucket(
        store_.Open({.total = 1s}), "out/f", dir_ / "spool",
        {"f", 0644, std::ssize(content), Sha256(AsBytes(content)), kChunk, "bn-1"});
    EXPECT_TRUE(file) << file.error().message;
    have_.assign(static_cast<std::size_t>((std::ssize(content) + kChunk - 1) / kChunk), false);
    return std::move(*file);
  }
  Status Write(IncomingFile& file, std::size_t index) {
    const auto at = index * static_cast<std::size_t>(kChunk);
    SPW_TRY(file.Write(static_cast<std::int64_t>(at),
                       AsBytes(std::string_view(content_).substr(at, kChunk))));
    have_[index] = true;
    return file.Advance(have_);
  }

  TempDir dir_;
  s3::FakeS3 store_;
  std::string content_;
  std::vector<bool> have_;
};

TEST_F(BucketFileTest, PartsGoWhileChunksStillCome) {
  const auto file = Begin(std::string(40 << 20, 'x'));
  for (std::size_t i = 0; i < have_.size(); ++i) {
    ASSERT_TRUE(Write(*file, i));
    if (i + 1 == have_.size() / 2) {
      EXPECT_EQ(store_.Count("PUT"), 1);
    }
  }
  EXPECT_EQ(store_.Count("PUT"), 3);
  ASSERT_TRUE(file->Commit());
  EXPECT_EQ(store_.Find("out/f")->body.size(), content_.size());
  EXPECT_EQ(store_.Find("out/f")->metadata.at("spillway-sha256"), Hex(Sha256(AsBytes(content_))));
}

TEST_F(BucketFileTest, AStoreThatWasAwayIsGoneOnWith) {
  const auto file = Begin(std::string(40 << 20, 'x'));
  store_.before = [](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
    return Fail(Code::kUnavailable, "cannot connect");
  };
  for (std::size_t i = 0; i < have_.size(); ++i) (void)Write(*file, i);
  EXPECT_EQ(file->Commit().error().code, Code::kUnavailable);
  store_.before = nullptr;
  ASSERT_TRUE(file->Commit());
  EXPECT_EQ(store_.Find("out/f")->body.size(), content_.size());
}

TEST_F(BucketFileTest, AStormOfSlowDownIsWaitedOut) {
  int asked = 0;
  store_.before = [&](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
    if (++asked % 4 == 0) return std::nullopt;
    return s3::FakeS3::Refusal(503, "SlowDown");
  };
  auto file =
      ReceiveIntoBucket(store_.Open(), "out/f", dir_ / "spool",
                        {"f", 0644, 40 << 20, Sha256(ByteBuffer(40 << 20)), kChunk, "bn-1"});
  ASSERT_TRUE(file);
  const ByteBuffer zeros(static_cast<std::size_t>(kChunk));
  have_.assign((40 << 20) / kChunk, false);
  for (std::size_t i = 0; i < have_.size(); ++i) {
    ASSERT_TRUE((*file)->Write(static_cast<std::int64_t>(i) * kChunk, zeros));
    have_[i] = true;
    ASSERT_TRUE((*file)->Advance(have_));
  }
  ASSERT_TRUE((*file)->Commit());
  EXPECT_EQ(store_.Find("out/f")->body.size(), 40u << 20);
  // Three waits before each call, each longer than the one before.
  ASSERT_EQ(store_.waits.size() % 3, 0u);
  for (std::size_t i = 0; i < store_.waits.size(); i += 3) {
    EXPECT_GT(store_.waits[i + 1], store_.waits[i]);
    EXPECT_GT(store_.waits[i + 2], store_.waits[i + 1]);
  }
}

TEST_F(BucketFileTest, ALostAnswerToTheLastCallIsNoLostFile) {
  const auto file = Begin(std::string(20 << 20, 'x'));
  for (std::size_t i = 0; i < have_.size(); ++i) ASSERT_TRUE(Write(*file, i));
  bool lost = false;
  store_.after = [&](const net::WebRequest& request) -> std::optional<Result<net::HttpResponse>> {
    if (request.method != "POST" || std::exchange(lost, true)) return std::nullopt;
    return Fail(Code::kMaybeApplied, "the answer was lost");
  };
  const Status committed = file->Commit();
  EXPECT_TRUE(committed) << committed.error().message;
  EXPECT_EQ(store_.Find("out/f")->body.size(), content_.size());
}

TEST_F(BucketFileTest, AnUploadThatSomebodyEndedBeginsAgain) {
  const auto file = Begin(std::string(40 << 20, 'x'));
  for (std::size_t i = 0; i < 5; ++i) ASSERT_TRUE(Write(*file, i));
  ASSERT_TRUE(AbortUploads(store_.Open(), "out/f"));
  bool failed = false;
  for (std::size_t i = 5; i < have_.size(); ++i) failed |= !Write(*file, i);
  EXPECT_TRUE(failed);
  ASSERT_TRUE(file->Commit());
  EXPECT_TRUE(store_.Find("out/f")->body == content_);
}

TEST_F(BucketFileTest, WhatTheStoreDoesNotHaveIsNotConfirmed) {
  for (const std::size_t size : {std::size_t{7}, std::size_t{20} << 20}) {
    const auto file = Begin(std::string(size, 'x'));
    for (std::size_t i = 0; i < have_.size(); ++i) ASSERT_TRUE(Write(*file, i));
    store_.before =
        [&](const net::WebRequest& request) -> std::optional<Result<net::HttpResponse>> {
      if (request.method == "HEAD") store_.Set("out/f", std::string(size, 'y'));
      return std::nullopt;
    };
    const Status committed = file->Commit();
    ASSERT_FALSE(committed);
    EXPECT_THAT(committed.error().message, HasSubstr("somebody else writes there"));
    store_.before = nullptr;
  }
}

TEST_F(BucketFileTest, WhatIsThereIsKnownByItsHash) {
  const auto is_there = [&](std::string_view content) {
    const auto there = IsInBucket(store_.Open({.total = 1s}), "out/f", std::ssize(content),
                                  Sha256(AsBytes(content)));
    return there ? *there ? "yes" : "no" : there.error().message;
  };
  EXPECT_EQ(is_there("content"), "no");
  const auto file = Begin("content");
  ASSERT_TRUE(Write(*file, 0));
  ASSERT_TRUE(file->Commit());
  EXPECT_EQ(is_there("content"), "yes");
  EXPECT_EQ(is_there("CONTENT"), "no");
  // Put by another program.
  store_.Set("out/f", "content");
  EXPECT_EQ(is_there("content"), "no");
  // To who may not list the bucket.
  store_.before = [](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
    return s3::FakeS3::Answer(403);
  };
  EXPECT_EQ(is_there("content"), "no");
  store_.before = [](const net::WebRequest&) -> std::optional<Result<net::HttpResponse>> {
    return Fail(Code::kUnavailable, "cannot connect");
  };
  EXPECT_THAT(is_there("content"), HasSubstr("cannot connect"));
}

TEST_F(BucketFileTest, TheSpoolIsPrivateAndCanBeDropped) {
  const auto file = Begin("content");
  struct stat info{};
  ASSERT_EQ(stat((dir_ / "spool").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  file->Drop();
  EXPECT_NE(stat((dir_ / "spool").c_str(), &info), 0);
}

TEST_F(BucketFileTest, LimitsOfAnObjectAreTold) {
  const auto receive = [&](std::string key, std::int64_t size) {
    return ReceiveIntoBucket(store_.Open(), std::move(key), dir_ / "spool",
                             {"f", 0644, size, {}, kChunk, "bn-1"});
  };
  EXPECT_EQ(receive(std::string(1025, 'k'), 1).error().code, Code::kInvalid);
  EXPECT_TRUE(receive("k", std::int64_t{640'000} << 20));
  EXPECT_THAT(receive("k", std::int64_t{650'000} << 20).error().message,
              HasSubstr("several files"));
}

}  // namespace
}  // namespace spillway::gateway
