// What every source of a Dataset keeps to, whatever it is. A program instantiates the suite with a
// factory for its kind.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/encoding.h"
#include "gateway/read_ahead.h"
#include "gateway/source.h"

namespace spillway::gateway {

// A source of its own for one test, and the hands of somebody who changes what is in it.
class SourceStage {
 public:
  virtual ~SourceStage() = default;
  virtual std::shared_ptr<Source> source() = 0;
  virtual void Set(const std::string& path, const std::string& content) = 0;
  virtual void Remove(const std::string& path) = 0;
  // New files are no new version of those that were listed.
  virtual bool MayGrow() const = 0;
};

struct SourceKind {
  std::string name;
  std::function<std::unique_ptr<SourceStage>()> make;  // nullptr: skip, with `why`
  std::string why;
};

class SourceConformance : public ::testing::TestWithParam<SourceKind> {
 protected:
  void SetUp() override {
    if (!GetParam().make) GTEST_SKIP() << GetParam().why;
    stage_ = GetParam().make();
  }

  static data::Selection Select(std::vector<std::string> include = {},
                                std::vector<std::string> exclude = {}) {
    return *data::Selection::Parse(include, exclude, {});
  }
  SourceListing List(const data::Selection& selection) {
    auto listing = stage_->source()->List(selection);
    EXPECT_TRUE(listing) << listing.error().message;
    return listing ? std::move(*listing) : SourceListing{};
  }
  Result<std::string> Read(const SourceFile& file, std::int64_t offset, std::size_t length) {
    SPW_ASSIGN(const std::unique_ptr<SourceReader> reader, stage_->source()->Open());
    ByteBuffer out(length);
    SPW_TRY(reader->Read(file, offset, out));
    return std::string(AsText(out));
  }
  // Everything selected, as a run reads it to seal it.
  Result<std::map<std::string, std::string>> ReadAll() {
    RunRequest request;
    request.run = "bn-1";
    RunInput input{"ns/claim", "ns/data", DataClass::kInternal, "", {}, {}, {}};
    input.source = stage_->source();
    request.inputs.push_back(std::move(input));
    SPW_ASSIGN(const RunPlan plan, PlanRun(request));
    SPW_ASSIGN(auto reader, plan.inputs[0].source->Open());
    std::vector<std::unique_ptr<SourceReader>> readers;
    readers.push_back(std::move(reader));
    ReadAhead ahead(plan, std::move(readers));
    std::vector<ByteBuffer> chunks;
    for (std::size_t i = 0; i < plan.layout.chunks.size(); ++i) {
      SPW_ASSIGN(ByteBuffer chunk, ahead.Next());
      chunks.push_back(std::move(chunk));
    }
    SPW_TRY(
        plan.inputs[0].source->CheckUnchanged(plan.inputs[0].selection, plan.inputs[0].listing));
    std::map<std::string, std::string> files;
    for (const data::PackedFile& file : plan.layout.files) {
      std::string& content = files[file.entry.path.substr(std::string("claim/").size())];
      for (const data::Extent& extent : file.extents)
        content += AsText(chunks[extent.chunk])
                       .substr(static_cast<std::size_t>(extent.offset),
                               static_cast<std::size_t>(extent.length));
    }
    return files;
  }

  std::unique_ptr<SourceStage> stage_;
};

TEST_P(SourceConformance, ListsWhatIsSelectedAndCountsTheRest) {
  stage_->Set("train/b", "bbbb");
  stage_->Set("train/a", "aa");
  stage_->Set("train/secret", "ssssss");
  stage_->Set("test/c", "ccc");
  stage_->Set("train-2/d", "d");
  const SourceListing listing = List(Select({"train/**"}, {"**/secret"}));
  ASSERT_EQ(listing.selected.size(), 2u);
  EXPECT_EQ(listing.selected[0].path, "train/a");
  EXPECT_EQ(listing.selected[1].path, "train/b");
  EXPECT_EQ(listing.selected_bytes, 6);
  EXPECT_EQ(listing.objects, 5);
  EXPECT_EQ(listing.bytes, 16);
}

TEST_P(SourceConformance, ShardsAreCutInTheOrderOfPaths) {
  for (const std::string path : {"a/x", "train-2/b", "train/a", "train/b", "train/c"})
    stage_->Set(path, path);
  const auto selection = *data::Selection::ForNeeds({}, {}, {{{"train*/**"}, {{1, 2}}}});
  const auto source = stage_->source();
  const auto listing = source->List(selection), counted = source->Count(selection);
  ASSERT_TRUE(listing && counted);
  ASSERT_EQ(listing->selected.size(), 2u);
  EXPECT_EQ(listing->selected[0].path, "train/a");
  EXPECT_EQ(listing->selected[1].path, "train/c");
  for (const SourceListing* one : {&*listing, &*counted}) {
    EXPECT_EQ(one->objects, 5);
    EXPECT_EQ(one->uncut_objects, 4);
    EXPECT_EQ(one->uncut_bytes, 4 * 7 + 2);
    EXPECT_EQ(one->selected_objects, 2);
    EXPECT_EQ(one->selected_bytes, 14);
  }
  EXPECT_TRUE(counted->selected.empty());
  EXPECT_TRUE(source->CheckUnchanged(selection, *listing));
  if (stage_->MayGrow()) {
    stage_->Set("train/0", "is of no version that was listed");
    EXPECT_TRUE(source->CheckUnchanged(selection, *listing));
    stage_->Set("train/a", "changed");
    EXPECT_EQ(source->CheckUnchanged(selection, *listing).error().code, Code::kCorrupt);
  } else {
    stage_->Remove("train-2/b");
    EXPECT_EQ(source->CheckUnchanged(selection, *listing).error().code, Code::kCorrupt)
        << "every file behind it is in another shard now";
  }
}

TEST_P(SourceConformance, ReadsAnyPartOfAFile) {
  stage_->Set("f", "0123456789");
  stage_->Set("empty", "");
  const SourceListing listing = List(Select());
  ASSERT_EQ(listing.selected.size(), 2u);
  EXPECT_EQ(listing.selected[0].state.size_bytes, 0);
  const SourceFile& file = listing.selected[1];
  EXPECT_EQ(*Read(file, 0, 10), "0123456789");
  EXPECT_EQ(*Read(file, 3, 4), "3456");
  EXPECT_EQ(*Read(file, 9, 1), "9");
}

TEST_P(SourceConformance, AChangedOrDeletedFileIsNeverRead) {
  stage_->Set("d/changed", "0123456789");
  stage_->Set("d/deleted", "0123456789");
  const SourceListing listing = List(Select());
  stage_->Set("d/changed", "9876543210");
  const auto changed = Read(listing.selected[0], 0, 10);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Code::kCorrupt);
  EXPECT_THAT(changed.error().message, ::testing::HasSubstr("d/changed"));
  stage_->Remove("d/deleted");
  const auto deleted = Read(listing.selected[1], 0, 10);
  ASSERT_FALSE(deleted);
  EXPECT_THAT(deleted.error().message, ::testing::HasSubstr("d/deleted"));
}

TEST_P(SourceConformance, ChangesWhileARunIsReadAreNamed) {
  for (const char* path : {"a", "b", "c"}) stage_->Set(path, "one");
  const data::Selection selection = Select({"*"}, {"ignored"});
  const SourceListing listing = List(selection);
  const auto check = [&] { return stage_->source()->CheckUnchanged(selection, listing); };
  EXPECT_TRUE(check());
  stage_->Set("ignored", "x");
  EXPECT_TRUE(check());
  stage_->Set("bb", "new");
  if (stage_->MayGrow()) {
    EXPECT_TRUE(check());
  } else {
    EXPECT_THAT(check().error().message, ::testing::HasSubstr("bb: was added"));
    stage_->Remove("bb");
  }
  stage_->Set("b", "two");
  EXPECT_EQ(check().error().code, Code::kCorrupt);
  EXPECT_THAT(check().error().message, ::testing::HasSubstr("/b: changed"));
  stage_->Remove("b");
  EXPECT_EQ(check().error().code, Code::kCorrupt);
  EXPECT_THAT(check().error().message, ::testing::HasSubstr("/b: was deleted"));
}

TEST_P(SourceConformance, NamesOfEveryLegalByte) {
  std::map<std::string, std::string> expected;
  for (int c = 0x20; c < 0x7F; ++c) {
    if (c == '/') continue;
    // A lone '.' would be no name.
    const std::string path = fmt::format("n{:c}/{:c}x", static_cast<char>(c), static_cast<char>(c));
    expected[path] = path;
  }
  expected["ü/日本語/🚀"] = "unicode";
  expected[std::string(255, 'l')] = "long name";
  for (const auto& [path, content] : expected) stage_->Set(path, content);
  const auto read = ReadAll();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, expected);
}

TEST_P(SourceConformance, ARunOfSmallBigAndEmptyFiles) {
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 300; ++i) expected[fmt::format("small/{:03}", i)] = std::string(i * 7, 's');
  expected["empty"] = "";
  std::string big(9'500'000, '\0');
  for (std::size_t i = 0; i < big.size(); i += 4096) big[i] = static_cast<char>(i / 4096);
  expected["big"] = big;
  expected["zeros"] = std::string(5'000'000, '\0');
  for (const auto& [path, content] : expected) stage_->Set(path, content);
  const auto read = ReadAll();
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(*read == expected);
}

}  // namespace spillway::gateway
