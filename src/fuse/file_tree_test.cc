#include "fuse/file_tree.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Names(const FileTree& tree, FileTree::Node directory) {
  std::vector<std::string> names;
  for (const FileTree::Node node : tree.Children(directory)) names.emplace_back(tree.Name(node));
  return names;
}

FileTree TreeOf(const std::vector<std::string>& paths) {
  FileTree tree;
  std::int64_t size = 0;
  for (const std::string& path : paths) {
    ++size;
    EXPECT_TRUE(tree.Add(path, size, 0440, Time{Duration{size}}));
  }
  tree.Finish();
  return tree;
}

TEST(FileTree, DirectoriesAreMadeAndNamesFound) {
  // The order of paths is not that of names: '-' and '.' stand before '/'.
  const FileTree tree = TreeOf({"a-b", "a.txt", "a/x", "a/y/z", "a/y0", "b/y/z"});
  EXPECT_THAT(Names(tree, FileTree::kRoot), ElementsAre("a", "a-b", "a.txt", "b"));
  const auto a = tree.Find(FileTree::kRoot, "a");
  ASSERT_TRUE(a);
  EXPECT_TRUE(tree.Of(*a).directory);
  EXPECT_THAT(Names(tree, *a), ElementsAre("x", "y", "y0"));
  const auto y = tree.Find(*a, "y");
  ASSERT_TRUE(y);
  const auto z = tree.Find(*y, "z");
  ASSERT_TRUE(z);
  EXPECT_EQ(tree.Path(*z), "a/y/z");
  EXPECT_EQ(tree.FileOf(*z), 3u);
  EXPECT_EQ(tree.NodeOf(3), *z);
  EXPECT_EQ(tree.Of(*z).size_bytes, 4);
  EXPECT_EQ(tree.Of(*z).mode, 0440u);
  EXPECT_EQ(tree.Of(*a).mtime, Time{Duration{5}}) << "of its newest file";
  EXPECT_EQ(tree.total_bytes(), 21);
  EXPECT_FALSE(tree.Find(*a, "none"));
  EXPECT_FALSE(tree.Find(*a, ""));
}

TEST(FileTree, AnEmptyTreeHasARoot) {
  const FileTree tree = TreeOf({});
  EXPECT_EQ(tree.nodes(), 1u);
  EXPECT_THAT(Names(tree, FileTree::kRoot), IsEmpty());
}

TEST(FileTree, PathsMustAscendAndNamesFit) {
  FileTree tree;
  ASSERT_TRUE(tree.Add("b", 1, 0444, {}));
  EXPECT_FALSE(tree.Add("b", 1, 0444, {}));
  EXPECT_FALSE(tree.Add("a", 1, 0444, {}));
  EXPECT_FALSE(tree.Add("c//d", 1, 0444, {}));
  EXPECT_FALSE(tree.Add(std::string(256, 'd'), 1, 0444, {}));
  EXPECT_TRUE(tree.Add(std::string(255, 'd'), 1, 0444, {}));
}

TEST(FileTree, DeepPaths) {
  std::string path;
  for (int i = 0; i < 1000; ++i) path += "d/";
  const FileTree tree = TreeOf({path + "a", path + "b"});
  EXPECT_EQ(tree.nodes(), 1003u);
  EXPECT_EQ(tree.Path(tree.NodeOf(1)), path + "b");
}

}  // namespace
}  // namespace spillway::fuse
