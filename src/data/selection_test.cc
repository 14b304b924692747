#include "data/selection.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "data/path.h"

namespace spillway::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool Matches(std::string_view pattern, std::string_view path) {
  const auto glob = Glob::Parse(pattern);
  EXPECT_TRUE(glob) << (glob ? "" : glob.error().message);
  return glob && glob->Matches(path);
}

TEST(Glob, StarStaysInsideOneName) {
  EXPECT_TRUE(Matches("*.bin", "a.bin"));
  EXPECT_TRUE(Matches("*.bin", ".bin"));
  EXPECT_FALSE(Matches("*.bin", "dir/a.bin"));
  EXPECT_FALSE(Matches("*.bin", "a.bin.txt"));
  EXPECT_TRUE(Matches("a*b*c", "aXbXbXc"));
  EXPECT_FALSE(Matches("a*b*c", "aXcXb"));
  EXPECT_TRUE(Matches("train/*", "train/x"));
  EXPECT_FALSE(Matches("train/*", "train/x/y"));
  EXPECT_FALSE(Matches("train/*", "train"));
}

TEST(Glob, DoubleStarSpansDirectories) {
  EXPECT_TRUE(Matches("train/**", "train/x"));
  EXPECT_TRUE(Matches("train/**", "train/x/y/z"));
  EXPECT_FALSE(Matches("train/**", "train"));
  EXPECT_FALSE(Matches("train/**", "training/x"));
  EXPECT_FALSE(Matches("train/**", "old/train/x"));
  EXPECT_TRUE(Matches("**/x.npy", "x.npy"));
  EXPECT_TRUE(Matches("**/x.npy", "a/b/x.npy"));
  EXPECT_FALSE(Matches("**/x.npy", "a/b/yx.npy"));
  EXPECT_TRUE(Matches("a/**/b/**/c", "a/b/c"));
  EXPECT_TRUE(Matches("a/**/b/**/c", "a/1/b/b/2/3/c"));
  EXPECT_FALSE(Matches("a/**/b/**/c", "a/1/2/c"));
  EXPECT_TRUE(Matches("**", "anything/at/all"));
  EXPECT_TRUE(Matches("a/**/**/b", "a/b"));
}

TEST(Glob, QuestionMarkAndSetsTakeOneCharacter) {
  EXPECT_TRUE(Matches("shard-?", "shard-1"));
  EXPECT_FALSE(Matches("shard-?", "shard-12"));
  EXPECT_FALSE(Matches("a?b", "a/b"));
  EXPECT_TRUE(Matches("caf?", "café"));
  EXPECT_TRUE(Matches("[a-c]x", "bx"));
  EXPECT_FALSE(Matches("[a-c]x", "dx"));
  EXPECT_TRUE(Matches("[!a-c]x", "dx"));
  EXPECT_FALSE(Matches("[!a-c]x", "ax"));
  EXPECT_TRUE(Matches("[]x]", "]"));
  EXPECT_TRUE(Matches("[a-]", "-"));
  EXPECT_FALSE(Matches("[!x]", "é"));
  EXPECT_TRUE(Matches("\\*\\[1\\]", "*[1]"));
  EXPECT_FALSE(Matches("\\*", "x"));
}

TEST(Glob, RefusesWithTheReason) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty"},
      {"/etc/passwd", "absolute"},
      {"../secrets", "'..'"},
      {"a/../b", "'..'"},
      {"./a", "'.'"},
      {"a//b", "empty name"},
      {"a/", "empty name"},
      {"[abc", "'[' without ']'"},
      {"[]", "'[' without ']'"},
      {"a]b", "']' without '['"},
      {"[a/b]", "'[' without ']'"},
      {"[z-a]", "backwards"},
      {"[é]", "non-ASCII"},
      {"a**", "beside other characters"},
      {"x/***", "beside other characters"},
      {"a\\", "backslash"},
      {std::string(257, 'a'), "longer than 256"},
      {std::string("a\xff"), "UTF-8"},
  };
  for (const auto& [pattern, reason] : cases) {
    const auto glob = Glob::Parse(pattern);
    ASSERT_FALSE(glob) << pattern;
    EXPECT_EQ(glob.error().code, Code::kInvalid);
    EXPECT_THAT(glob.error().message, HasSubstr(reason)) << pattern;
  }
  EXPECT_TRUE(Glob::Parse(std::string(256, 'a')));
}

// Patterns that make a backtracking matcher run for years.
TEST(Glob, HostilePatternsAreBounded) {
  std::string stars, directories, path;
  for (int i = 0; i < 60; ++i) stars += "*a";
  for (int i = 0; i < 60; ++i) directories += "**/a/";
  for (int i = 0; i < 500; ++i) path += "a/";
  EXPECT_FALSE(Matches(stars + "*b", std::string(255, 'a')));
  EXPECT_FALSE(Matches(directories.substr(0, 240) + "b", path + "c"));
  EXPECT_TRUE(Matches(directories.substr(0, 240) + "c", path + "c"));
}

TEST(Selection, ExcludeWinsAndNarrowOnlyTakesAway) {
  const Selection selection =
      *Selection::Parse({"train/**", "labels.csv"}, {"**/*.tmp", "train/private/**"},
                        {"train/a*/**", "labels.csv", "test/**"});
  EXPECT_EQ(selection.Judge("train/a1/x.npy"), Verdict::kLeaves);
  EXPECT_EQ(selection.Judge("labels.csv"), Verdict::kLeaves);
  EXPECT_EQ(selection.Judge("train/a1/x.tmp"), Verdict::kExcluded);
  EXPECT_EQ(selection.Judge("train/private/a"), Verdict::kExcluded);
  EXPECT_EQ(selection.Judge("train/b1/x.npy"), Verdict::kNotNeeded);
  EXPECT_EQ(selection.Judge("test/x"), Verdict::kNotIncluded) << "a run cannot widen the dataset";
  EXPECT_EQ(VerdictName(Verdict::kNotNeeded), "not needed by the run");
}

TEST(Selection, EmptyListsMeanAllButNeverUnsafePaths) {
  const Selection all = *Selection::Parse({}, {}, {});
  EXPECT_TRUE(all.Leaves("a/b"));
  for (const char* path : {"", "/a", "../a", "a/../b", "a//b", "a/", ".", "a\nb", "a\xff"})
    EXPECT_EQ(all.Judge(path), Verdict::kUnsafePath) << path;
  EXPECT_FALSE(Selection::Parse({}, {"**"}, {})->Leaves("a"));
}

TEST(Selection, NamesTheListAndThePattern) {
  EXPECT_THAT(Selection::Parse({"ok", "/bad"}, {}, {}).error().message,
              HasSubstr("include[1]: pattern \"/bad\" is absolute"));
  EXPECT_THAT(Selection::Parse({}, {}, {"[x"}).error().message, HasSubstr("select[0]"));
  EXPECT_THAT(Selection::Parse({}, std::vector<std::string>(257, "a"), {}).error().message,
              HasSubstr("exclude: 257 patterns"));
}

TEST(Path, Utf8IsStrict) {
  for (const char* good : {"plain", "grün", "日本", "\xf0\x9f\x9a\x80"}) EXPECT_TRUE(IsUtf8(good));
  for (const char* bad : {"\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xf8\x88\x80\x80\x80", "a\xc3"})
    EXPECT_FALSE(IsUtf8(bad));
  EXPECT_TRUE(CheckRelativePath("a/..b/c..."));
  EXPECT_FALSE(CheckRelativePath(std::string(256, 'n')));
  EXPECT_FALSE(CheckRelativePath(std::string(1025, 'n')));
}

std::vector<std::string> FilesCalled(std::initializer_list<std::string> directories, int each) {
  std::vector<std::string> files;
  for (const std::string& directory : directories)
    for (int i = 0; i < each; ++i) files.push_back(fmt::format("{}/{:04}.tar", directory, i));
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> Taken(const std::vector<std::string>& files,
                               const std::vector<Narrowing>& needs,
                               const std::vector<std::string>& exclude = {}) {
  const Selection selection = *Selection::ForNeeds({}, exclude, needs);
  Cut cut(selection);
  std::vector<std::string> taken;
  for (const std::string& file : files)
    if (selection.Leaves(file) && cut.Takes(file)) taken.push_back(file);
  return taken;
}

TEST(Shards, EveryFileIsInExactlyOne) {
  const std::vector<std::string> files = FilesCalled({"a", "b"}, 51);
  for (const std::int32_t of : {1, 2, 7, 101, 102, 103, 10'000}) {
    std::map<std::string, int> times;
    std::size_t least = files.size(), most = 0;
    for (std::int32_t index = 0; index < std::min(of, 200); ++index) {
      const auto taken = Taken(files, {{{}, {{index, of}}}});
      for (const std::string& file : taken) ++times[file];
      least = std::min(least, taken.size());
      most = std::max(most, taken.size());
    }
    EXPECT_EQ(times.size(), files.size()) << of;
    for (const auto& [file, count] : times) EXPECT_EQ(count, 1) << file << " of " << of;
    EXPECT_LE(most - least, 1u) << of;
  }
  EXPECT_TRUE(Taken(files, {{{}, {{102, 103}}}}).empty()) << "more shards than files";
}

TEST(Shards, AreThoseOfTheListThatAProgramCuts) {
  const std::vector<std::string> files = FilesCalled({"train"}, 10);
  EXPECT_THAT(Taken(files, {{{}, {{1, 4}}}}),
              ElementsAre("train/0001.tar", "train/0005.tar", "train/0009.tar"));
  EXPECT_EQ(Taken(files, {{{}, {{1, 4}}}}), Taken(files, {{{}, {{1, 4}}}}));
}

TEST(Shards, AreCutFromWhatIsSelected) {
  const std::vector<std::string> files = FilesCalled({"test", "train"}, 4);
  EXPECT_THAT(Taken(files, {{{"train/**"}, {{0, 2}}}}, {"train/0000.tar"}),
              ElementsAre("train/0001.tar", "train/0003.tar"));
  // Two readers with other patterns each have an order of their own.
  EXPECT_THAT(Taken(files, {{{"train/**"}, {{0, 2}}}, {{"*/0003.tar"}, {{1, 2}}}}),
              ElementsAre("train/0000.tar", "train/0002.tar", "train/0003.tar"));
  // One that reads all of it gets all of it.
  EXPECT_EQ(Taken(files, {{{"train/**"}, {{0, 2}}}, {{}, {}}}), files);
  EXPECT_EQ(Taken(files, {}), files);
}

TEST(Shards, ReadersOnOneMachineShare) {
  std::vector<Narrowing> all;
  AddNarrowing(all, {{"b", "a", "b"}, {{2, 4}}});
  AddNarrowing(all, {{"a", "b"}, {{1, 4}}});
  AddNarrowing(all, {{"a", "b"}, {{2, 4}}});
  EXPECT_THAT(all, ElementsAre(Narrowing{{"a", "b"}, {{1, 4}, {2, 4}}}));
  AddNarrowing(all, {{"c"}, {}});
  AddNarrowing(all, {{"a", "b"}, {}});
  EXPECT_THAT(all, ElementsAre(Narrowing{{"a", "b"}, {}}, Narrowing{{"c"}, {}}));
}

TEST(Shards, ThatDoNotExistAreRefused) {
  EXPECT_EQ(Selection::ForNeeds({}, {}, {{{}, {{4, 4}}}}).error().message,
            "there is no shard 4 of 4");
  EXPECT_FALSE(Selection::ForNeeds({}, {}, {{{}, {{-1, 4}}}}));
  EXPECT_FALSE(Selection::ForNeeds({}, {}, {{{}, {{0, 0}}}}));
}

}  // namespace
}  // namespace spillway::data
