// What every home of results keeps to, whatever it is. A program instantiates the suite with a
// factory for its kind.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/receipt.h"
#include "door/protocol.h"
#include "gateway/files.h"
#include "gateway/gateway_test_util.h"
#include "gateway/key_files.h"
#include "gateway/pattern_result.h"
#include "gateway/results.h"
#include "gateway/sent_result.h"

namespace spillway::gateway {

// A home of its own for one test, and the eyes of somebody who looks into it.
class HomeStage {
 public:
  virtual ~HomeStage() = default;
  // Where claim vision/models goes.
  virtual RunOutput output() = 0;
  virtual ResultsOptions options() = 0;
  // What is at the place; nullopt: nothing is.
  virtual std::optional<std::string> Read(const std::string& path) = 0;
  // Begun and not finished, as far as a stranger can see it.
  virtual std::size_t Unfinished() = 0;
};

struct HomeKind {
  std::string name;
  std::function<std::unique_ptr<HomeStage>()> make;  // nullptr: skip, with `why`
  std::string why;
};

// The site's side of results over a home, and a node that sends.
class ResultsBench {
 public:
  ResultsBench(HomeStage& stage, const std::string& directory)
      : stage_(stage), directory_(directory), site_(*OpenSigningKey(directory + "/site")) {
    Restart();
    EXPECT_TRUE(runs_->Prepare({"bn-1", {}, {stage_.output()}}, kNow));
  }
  // What a process that was killed leaves is all that the next one has.
  void Restart() {
    results_.reset();
    runs_.reset();
    keys_.reset();
    key_files_ = std::move(*KeyFiles::Open(directory_ + "/keys"));
    keys_ = std::move(*KeyStore::Open(directory_ + "/keys", *key_files_, kNow));
    runs_ = std::move(*Runs::Open(directory_ + "/runs", *keys_, site_));
    results_ = std::make_unique<Results>(stage_.options(), *runs_, site_);
  }

  Results& results() { return *results_; }
  Result<std::optional<std::string>> Send(const std::string& path, std::string_view content,
                                          std::int64_t index) {
    const ResultChunk chunk = DescribeResult(path, content, index);
    SPW_ASSIGN(const ByteBuffer sealed, SealResult(*keys_, *runs_, chunk, content));
    return results_->Put(chunk, sealed, kNow);
  }
  // As a node does: from the first chunk on. The receipt.
  Result<std::string> SendAll(const std::string& path, std::string_view content) {
    for (std::int64_t i = 0; i < ResultChunks(content); ++i) {
      SPW_ASSIGN(const std::optional<std::string> receipt, Send(path, content, i));
      if (receipt) return *receipt;
    }
    return Fail(Code::kInternal, "no receipt");
  }
  Result<std::string> SendAll(const PatternResult& file) {
    return file.SendAll(*keys_, *runs_, *results_, kNow);
  }
  bool IsReceiptOf(const std::string& receipt, const std::string& path, std::string_view content) {
    return data::MissingReceipts("bn-1", "bn-1",
                                 {{path, std::ssize(content), Sha256(AsBytes(content))}}, {receipt},
                                 site_.public_key())
        .empty();
  }

 private:
  static constexpr Time kNow{Duration(1'800'000'000'000)};
  HomeStage& stage_;
  const std::string directory_;
  const data::SigningKey site_;
  std::unique_ptr<KeyFiles> key_files_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Runs> runs_;
  std::unique_ptr<Results> results_;
};

class ResultsConformance : public ::testing::TestWithParam<HomeKind> {
 protected:
  void SetUp() override {
    if (!GetParam().make) GTEST_SKIP() << GetParam().why;
    stage_ = GetParam().make();
    bench_ = std::make_unique<ResultsBench>(*stage_, dir_.path());
  }
  // Several chunks, and several parts of an object.
  static std::string Big() {
    std::string content(static_cast<std::size_t>(9 * door::kResultChunkBytes + 5), '\0');
    for (std::size_t i = 0; i < content.size(); i += 4096) content[i] = static_cast<char>(i / 4096);
    return content;
  }

  TempDir dir_;
  std::unique_ptr<HomeStage> stage_;
  std::unique_ptr<ResultsBench> bench_;
};

TEST_P(ResultsConformance, AFileIsAtItsPlaceWhenItsReceiptIsThere) {
  const auto receipt = bench_->SendAll("epoch/1/model.npz", "weights");
  ASSERT_TRUE(receipt) << receipt.error().message;
  EXPECT_EQ(stage_->Read("epoch/1/model.npz"), "weights");
  EXPECT_TRUE(bench_->IsReceiptOf(*receipt, "epoch/1/model.npz", "weights"));
  EXPECT_EQ(stage_->Unfinished(), 0u);
}

TEST_P(ResultsConformance, EmptyAndBigFilesAndOddNames) {
  for (const auto& [path, content] :
       std::vector<std::pair<std::string, std::string>>{{"empty", ""},
                                                        {"big", Big()},
                                                        {"zeros", std::string(20 << 20, '\0')},
                                                        {"ü &+%'\"<>#?*/日本 語", "odd"}}) {
    const auto receipt = bench_->SendAll(path, content);
    ASSERT_TRUE(receipt) << path << receipt.error().message;
    EXPECT_TRUE(stage_->Read(path) == content) << path;
  }
}

TEST_P(ResultsConformance, NobodySeesHalfAFile) {
  const std::string content = Big();
  const std::int64_t chunks = ResultChunks(content);
  for (std::int64_t i = chunks - 1; i > 0; --i) {
    const auto sent = bench_->Send("big", content, i);
    ASSERT_TRUE(sent) << sent.error().message;
    EXPECT_FALSE(*sent);
    EXPECT_FALSE(stage_->Read("big"));
  }
  const auto last = bench_->Send("big", content, 0);
  ASSERT_TRUE(last && *last);
  EXPECT_TRUE(stage_->Read("big") == content);
  EXPECT_EQ(stage_->Unfinished(), 0u);
}

TEST_P(ResultsConformance, AnotherContentReplacesTheFile) {
  ASSERT_TRUE(bench_->SendAll("model", "one"));
  const auto second = bench_->SendAll("model", "two");
  ASSERT_TRUE(second);
  EXPECT_EQ(stage_->Read("model"), "two");
  EXPECT_TRUE(bench_->IsReceiptOf(*second, "model", "two"));
}

TEST_P(ResultsConformance, AKilledSiteLosesNothingThatItAcknowledged) {
  const std::string content = Big();
  const std::string receipt = *bench_->SendAll("done", "weights");
  for (std::int64_t i = 0; i < 6; ++i) ASSERT_TRUE(bench_->Send("big", content, i));
  bench_->Restart();
  ASSERT_TRUE(bench_->results().CleanUp());
  EXPECT_EQ(stage_->Unfinished(), 0u) << "what the earlier process began is ended";
  EXPECT_FALSE(stage_->Read("big"));
  EXPECT_EQ(*bench_->SendAll("done", "weights"), receipt);
  ASSERT_TRUE(bench_->SendAll("big", content));
  EXPECT_TRUE(stage_->Read("big") == content);
}

TEST_P(ResultsConformance, AnEndedRunLeavesNothingUnfinished) {
  const std::string content = Big();
  for (std::int64_t i = 0; i < 6; ++i) ASSERT_TRUE(bench_->Send("big", content, i));
  ASSERT_TRUE(bench_->results().Abandon("bn-1"));
  EXPECT_EQ(stage_->Unfinished(), 0u);
  EXPECT_FALSE(stage_->Read("big"));
}

}  // namespace spillway::gateway
