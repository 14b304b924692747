#include "gateway/results.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "data/receipt.h"
#include "door/protocol.h"
#include "gateway/files.h"
#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/sent_result.h"

namespace spillway::gateway {
namespace {

using ::testing::HasSubstr;

const Time kNow{Duration(1'800'000'000'000)};

class ResultsTest : public ::testing::Test {
 protected:
  ResultsTest() : site_(*OpenSigningKey(dir_ / "site")) {
    std::filesystem::create_directories(dir_ / "results");
    Reopen();
    for (const char* run : {"bn-1", "bn-2"})
      EXPECT_TRUE(runs_->Prepare({run, {}, {{"vision/models", "vision/out"}}}, kNow));
  }
  void Reopen(ResultsOptions options = {}) {
    results_.reset();
    runs_.reset();
    key_files_ = std::move(*KeyFiles::Open(dir_ / "keys"));
    keys_ = std::move(*KeyStore::Open(dir_ / "keys", *key_files_, kNow));
    runs_ = std::move(*Runs::Open(dir_ / "runs", *keys_, site_));
    options.root = dir_ / "results";
    results_ = std::make_unique<Results>(options, *runs_, site_);
  }

  // Chunk `index` of a file with this content, as a node describes and seals it.
  static ResultChunk Describe(const std::string& path, std::string_view content,
                              std::int64_t index = 0) {
    ResultChunk chunk = DescribeResult(path, content, index);
    chunk.mode = 0640;
    return chunk;
  }
  ByteBuffer Seal(const ResultChunk& chunk, std::string_view content) {
    const auto sealed = SealResult(*keys_, *runs_, chunk, content);
    EXPECT_TRUE(sealed) << sealed.error().message;
    return sealed.value_or(ByteBuffer());
  }
  Result<std::optional<std::string>> Send(const std::string& path, std::string_view content,
                                          std::int64_t index = 0) {
    const ResultChunk chunk = Describe(path, content, index);
    return results_->Put(chunk, Seal(chunk, content), kNow);
  }
  // Everything below the results root, hidden files too.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_ / "results"))
      if (!entry.is_directory())
        names.push_back(std::filesystem::relative(entry.path(), dir_ / "results"));
    std::sort(names.begin(), names.end());
    return names;
  }

  TempDir dir_;
  data::SigningKey site_;
  std::unique_ptr<KeyFiles> key_files_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Runs> runs_;
  std::unique_ptr<Results> results_;
};

TEST_F(ResultsTest, AFileArrivesWithAReceipt) {
  const auto sent = Send("epoch/1/model.npz", "weights");
  ASSERT_TRUE(sent) << sent.error().message;
  ASSERT_TRUE(*sent);
  EXPECT_EQ(ReadText(dir_ / "results/vision/out/epoch/1/model.npz"), "weights");
  struct stat info{};
  ASSERT_EQ(stat((dir_ / "results/vision/out/epoch/1/model.npz").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0640u);
  EXPECT_TRUE(data::MissingReceipts("bn-1", "bn-1",
                                    {{"epoch/1/model.npz", 7, Sha256(AsBytes("weights"))}},
                                    {**sent}, site_.public_key())
                  .empty());
  EXPECT_EQ(runs_->Report("bn-1").results_receipted, 1);
  EXPECT_EQ(runs_->Report("bn-1").bytes_out, data::SealedSize(7));
  EXPECT_EQ(Names(), std::vector<std::string>{"vision/out/epoch/1/model.npz"});
}

TEST_F(ResultsTest, TheSameFileAgainGetsTheSameReceiptAlsoAfterARestart) {
  const std::string receipt = **Send("model", "weights");
  EXPECT_EQ(**Send("model", "weights"), receipt);
  Reopen();
  EXPECT_EQ(**Send("model", "weights"), receipt);
  EXPECT_EQ(runs_->Report("bn-1").results_receipted, 1);
  const auto other = Send("model", "better weights");
  ASSERT_TRUE(other && *other);
  EXPECT_NE(**other, receipt);
  EXPECT_EQ(ReadText(dir_ / "results/vision/out/model"), "better weights");
  EXPECT_EQ(runs_->Report("bn-1").results_receipted, 1) << "one place, one receipt";
}

TEST_F(ResultsTest, ChunksMayComeInAnyOrderAndTwice) {
  std::string content(2 * door::kResultChunkBytes + 5, 'x');
  content[0] = 'a';
  content.back() = 'z';
  EXPECT_EQ(*Send("big", content, 2), std::nullopt);
  EXPECT_EQ(*Send("big", content, 0), std::nullopt);
  EXPECT_EQ(*Send("big", content, 0), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "results/vision/out/big")) << "not half visible";
  ASSERT_TRUE(*Send("big", content, 1));
  EXPECT_EQ(ReadText(dir_ / "results/vision/out/big"), content);
}

TEST_F(ResultsTest, ChunksOfZerosTakeNoRoomOnTheDisk) {
  std::string content(3 * door::kResultChunkBytes + 5, '\0');
  content[door::kResultChunkBytes] = 'a';
  for (const std::int64_t i : {3, 1, 0}) EXPECT_EQ(*Send("sparse", content, i), std::nullopt);
  ASSERT_TRUE(*Send("sparse", content, 2));
  EXPECT_EQ(ReadText(dir_ / "results/vision/out/sparse"), content);
  struct stat info{};
  ASSERT_EQ(stat((dir_ / "results/vision/out/sparse").c_str(), &info), 0);
  EXPECT_LE(info.st_blocks * 512, door::kResultChunkBytes + (64 << 10));
}

TEST_F(ResultsTest, AnEmptyFileIsAResult) {
  ASSERT_TRUE(*Send("empty", ""));
  EXPECT_EQ(ReadText(dir_ / "results/vision/out/empty"), "");
}

TEST_F(ResultsTest, TamperedAndMisplacedChunksAreRefused) {
  const ResultChunk chunk = Describe("model", "weights");
  ByteBuffer sealed = Seal(chunk, "weights");
  sealed.back() ^= 1;
  EXPECT_EQ(results_->Put(chunk, sealed, kNow).error().code, Code::kCorrupt);
  sealed.back() ^= 1;
  ResultChunk elsewhere = chunk;
  elsewhere.path = "other";
  EXPECT_EQ(results_->Put(elsewhere, sealed, kNow).error().code, Code::kCorrupt);
  ResultChunk other_run = chunk;
  other_run.run = "bn-2";
  EXPECT_EQ(results_->Put(other_run, sealed, kNow).error().code, Code::kCorrupt);
  EXPECT_TRUE(Names().empty());
}

TEST_F(ResultsTest, AFileThatIsNotWhatWasNamedIsDropped) {
  ResultChunk chunk = Describe("model", "weights");
  chunk.sha256 = Sha256(AsBytes("others!"));
  const auto put = results_->Put(chunk, Seal(chunk, "weights"), kNow);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::kCorrupt);
  EXPECT_TRUE(Names().empty());
  EXPECT_EQ(runs_->Report("bn-1").results_receipted, 0);
  ASSERT_TRUE(*Send("model", "weights")) << "the right one is welcome afterwards";
}

TEST_F(ResultsTest, PlacesOutsideAreRefused) {
  const ByteBuffer sealed(static_cast<std::size_t>(data::SealedSize(1)));
  for (const char* path : {"../x", "/x", "a/../../x", "a//b", ".", "", "a/.spillway-1"}) {
    const auto put = results_->Put(Describe(path, "x"), sealed, kNow);
    ASSERT_FALSE(put) << path;
    EXPECT_EQ(put.error().code, Code::kInvalid) << path;
  }
  ResultChunk claim = Describe("x", "x");
  claim.claim = "others";
  EXPECT_THAT(results_->Put(claim, sealed, kNow).error().message, HasSubstr("not a results place"));
  claim.claim = "../models";
  EXPECT_FALSE(results_->Put(claim, sealed, kNow));
  ResultChunk team = Describe("x", "x");
  team.pod = "nlp/train-0";
  EXPECT_FALSE(results_->Put(team, sealed, kNow)) << "the same claim name of another namespace";
  EXPECT_TRUE(Names().empty());
}

TEST_F(ResultsTest, LinksInTheResultsPlaceAreNotFollowed) {
  TempDir outside;
  std::filesystem::create_directories(dir_ / "results/vision/out");
  std::filesystem::create_directory_symlink(outside.path(), dir_ / "results/vision/out/sub");
  const auto put = Send("sub/file", "x");
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::kInvalid);
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
  WriteText(outside / "target", "untouched");
  std::filesystem::create_symlink(outside / "target", dir_ / "results/vision/out/link");
  ASSERT_TRUE(Send("link", "x")) << "the link itself is replaced";
  EXPECT_EQ(ReadText(outside / "target"), "untouched");
  std::filesystem::create_directories(dir_ / "results/vision/out/folder");
  EXPECT_EQ(Send("folder", "x").error().code, Code::kInvalid);
}

TEST_F(ResultsTest, CountsThatContradictAreRefused) {
  const ByteBuffer sealed(static_cast<std::size_t>(data::SealedSize(1)));
  const auto refused = [&](auto change) {
    ResultChunk chunk = Describe("x", "x");
    change(chunk);
    const auto put = results_->Put(chunk, sealed, kNow);
    return !put && (put.error().code == Code::kInvalid || put.error().code == Code::kQuota);
  };
  EXPECT_TRUE(refused([](ResultChunk& c) { c.chunk = 1; }));
  EXPECT_TRUE(refused([](ResultChunk& c) { c.chunk = -1; }));
  EXPECT_TRUE(refused([](ResultChunk& c) { c.chunks = 2; }));
  EXPECT_TRUE(refused([](ResultChunk& c) { c.size_bytes = -1; }));
  EXPECT_TRUE(refused([](ResultChunk& c) { c.size_bytes = 2; }));
  EXPECT_TRUE(refused([](ResultChunk& c) {
    c.size_bytes = INT64_MAX;
    c.chunks = INT64_MAX / door::kResultChunkBytes + 1;
    c.chunk = c.chunks - 1;
  }));
}

TEST_F(ResultsTest, ARunMayNotSendMoreThanItsShare) {
  Reopen({.bytes_per_run = 1000});
  ASSERT_TRUE(Send("a", std::string(500, 'a')));
  EXPECT_EQ(Send("b", std::string(600, 'b')).error().code, Code::kQuota);
}

TEST_F(ResultsTest, WhatIsUnfinishedGoesWithTheRun) {
  const std::string content(door::kResultChunkBytes + 1, 'x');
  ASSERT_TRUE(Send("big", content, 0));
  ASSERT_EQ(Names().size(), 1u) << "the hidden temporary";
  Reopen();  // forgets the upload, as a kill does
  ASSERT_TRUE(Send("second", content, 0));
  ASSERT_EQ(Names().size(), 2u);
  ASSERT_TRUE(results_->Abandon("bn-2"));
  EXPECT_EQ(Names().size(), 2u);
  ASSERT_TRUE(results_->Abandon("bn-1"));
  EXPECT_TRUE(Names().empty());
}

TEST_F(ResultsTest, AnInterruptedUploadBeginsAfreshAfterARestart) {
  const std::string content(door::kResultChunkBytes + 1, 'x');
  EXPECT_EQ(*Send("big", content, 0), std::nullopt);
  Reopen();
  EXPECT_EQ(*Send("big", content, 1), std::nullopt) << "the first chunk counts no more";
  ASSERT_TRUE(*Send("big", content, 0));
  EXPECT_EQ(Names(), std::vector<std::string>{"vision/out/big"});
}

TEST_F(ResultsTest, OpenUploadsAreLimited) {
  Reopen({.open_uploads = 2});
  const std::string content(door::kResultChunkBytes + 1, 'x');
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Send(name, content, 0));
  EXPECT_EQ(Names().size(), 2u) << "the oldest gave way";
  EXPECT_EQ(*Send("a", content, 1), std::nullopt);
  ASSERT_TRUE(*Send("a", content, 0));
}

TEST_F(ResultsTest, NothingIsTakenOnceTheKeyIsDestroyed) {
  const ResultChunk chunk = Describe("model", "weights");
  const ByteBuffer sealed = Seal(chunk, "weights");
  ASSERT_TRUE(runs_->Destroy("bn-1", kNow));
  EXPECT_EQ(results_->Put(chunk, sealed, kNow).error().code, Code::kConflict);
}

}  // namespace
}  // namespace spillway::gateway
