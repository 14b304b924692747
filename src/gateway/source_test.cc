#include "gateway/source.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "gateway/gateway_test_util.h"
#include "gateway/selection_cache.h"
#include "gateway/source_directory.h"

namespace spillway::gateway {
namespace {

using ::testing::HasSubstr;

data::Selection Select(std::vector<std::string> include, std::vector<std::string> exclude = {},
                       std::vector<std::string> narrow = {}) {
  return *data::Selection::Parse(include, exclude, narrow);
}

Result<SourceListing> ListSource(const std::string& directory, const data::Selection& selection) {
  return OpenDirectorySource(directory)->List(selection);
}

TEST(Source, SelectsAndCountsWhatStays) {
  TempDir dir;
  WriteText(dir / "train/b.bin", "bbbb");
  WriteText(dir / "train/a.bin", "aa");
  WriteText(dir / "train/secret.bin", "ssssss");
  WriteText(dir / "test/c.bin", "ccc");
  std::filesystem::create_symlink("/etc/passwd", dir / "link");
  const auto listing = ListSource(dir.path(), Select({"train/**"}, {"**/secret*"}));
  ASSERT_TRUE(listing) << listing.error().message;
  ASSERT_EQ(listing->selected.size(), 2u);
  EXPECT_EQ(listing->selected[0].path, "train/a.bin");
  EXPECT_EQ(listing->selected[1].path, "train/b.bin");
  EXPECT_EQ(listing->selected_bytes, 6);
  EXPECT_EQ(listing->objects, 5);
  EXPECT_EQ(listing->bytes, 15);
}

TEST(Source, LinksAreNeverFollowed) {
  TempDir dir, outside;
  WriteText(outside / "x", "outside");
  WriteText(dir / "a", "a");
  std::filesystem::create_directory_symlink(outside.path(), dir / "away");
  const auto selected = ListSource(dir.path(), Select({"**"}));
  ASSERT_FALSE(selected);
  EXPECT_EQ(selected.error().code, Code::kInvalid);
  EXPECT_THAT(selected.error().message, HasSubstr("away: is a symbolic link"));
  const auto below = ListSource(dir.path(), Select({"a", "away/**"}));
  ASSERT_TRUE(below);
  EXPECT_EQ(below->selected.size(), 1u);
}

TEST(Source, MissingAndWrongDirectoriesAreNamed) {
  TempDir dir;
  WriteText(dir / "file", "x");
  EXPECT_EQ(ListSource(dir / "nothing", Select({})).error().code, Code::kNotFound);
  EXPECT_EQ(ListSource(dir / "file", Select({})).error().code, Code::kInvalid);
}

TEST(Source, DepthIsLimited) {
  TempDir dir;
  std::string path = dir.path();
  for (int i = 0; i <= kMaxSourceDepth; ++i) path += "/d";
  WriteText(path + "/f", "x");
  const auto listing = ListSource(dir.path(), Select({}));
  ASSERT_FALSE(listing);
  EXPECT_THAT(listing.error().message, HasSubstr("deep"));
}

TEST(Source, AFileThatChangedIsNotRead) {
  TempDir dir;
  WriteText(dir / "d/a", "0123456789");
  const auto listing = ListSource(dir.path(), Select({}));
  ASSERT_TRUE(listing);
  const SourceFile& file = listing->selected[0];
  ByteBuffer out(4);
  auto reader = OpenDirectorySource(dir.path())->Open();
  ASSERT_TRUE(reader);
  ASSERT_TRUE((*reader)->Read(file, 3, out));
  EXPECT_EQ(AsText(out), "3456");
  // Same size, and the time set back: only the change time tells.
  const auto before = std::filesystem::last_write_time(dir / "d/a");
  WriteText(dir / "d/a", "9876543210");
  std::filesystem::last_write_time(dir / "d/a", before);
  EXPECT_EQ((*reader)->Read(file, 3, out).error().code, Code::kCorrupt) << "the file that is open";
  auto afresh = OpenDirectorySource(dir.path())->Open();
  EXPECT_EQ((*afresh)->Read(file, 3, out).error().code, Code::kCorrupt);
  std::filesystem::remove(dir / "d/a");
  std::filesystem::create_symlink("/etc/passwd", dir / "d/a");
  auto linked = OpenDirectorySource(dir.path())->Open();
  EXPECT_FALSE((*linked)->Read(file, 0, out)) << "a link in its place is not followed";
}

std::shared_ptr<Source> OpenShared(const std::string& directory) {
  return OpenDirectorySource(directory);
}

TEST(SelectionCache, LooksAgainWhenTheAnswerIsOld) {
  TempDir dir;
  WriteText(dir / "a", "12345");
  SelectionCache cache(10s);
  const auto look = [&](Duration now) {
    return *cache.Look(OpenShared(dir.path()), {}, {}, {"a"}, now);
  };
  EXPECT_EQ(look(0s).leaves_bytes, 5);
  WriteText(dir / "a", "1234567");
  WriteText(dir / "b", "123");
  EXPECT_EQ(look(9s).leaves_bytes, 5);
  EXPECT_EQ(look(10s).leaves_bytes, 7);
  EXPECT_EQ(look(10s).stays_objects, 1);
  EXPECT_EQ(look(10s).stays_bytes, 3);
  for (int i = 0; i < 1000; ++i)
    (void)cache.Look(OpenShared(dir.path()), {std::to_string(i)}, {}, {}, Duration(i));
  EXPECT_EQ(look(11s).leaves_bytes, 7);
  EXPECT_FALSE(cache.Look(OpenShared(dir.path()), {"../x"}, {}, {}, 0s));
}

}  // namespace
}  // namespace spillway::gateway
