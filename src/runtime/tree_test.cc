#include "runtime/tree.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace spillway::runtime {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Tree : public ::testing::Test {
 protected:
  Tree() {
    std::string name = (fs::temp_directory_path() / "spillway-tree-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~Tree() override { RemoveTree(root_); }
  void Put(const std::string& path) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << path;
  }
  Status Walk() {
    return WalkTree(root_, {.file =
                                [&](const std::string& path, int, const struct stat&) {
                                  files_.push_back(path);
                                  return Ok();
                                },
                            .skipped =
                                [&](const std::string& path, const std::string& why) {
                                  skipped_.push_back(path + " " + why);
                                  return Ok();
                                }});
  }
  std::string root_;
  std::vector<std::string> files_;
  std::vector<std::string> skipped_;
};

TEST_F(Tree, RegularFilesInOrderAndNothingElse) {
  Put("b/2");
  Put("b/1");
  Put("a");
  fs::create_symlink("/etc/passwd", root_ + "/link");
  fs::create_directory_symlink("/etc", root_ + "/b/dirlink");
  ASSERT_EQ(::mkfifo((root_ + "/pipe").c_str(), 0600), 0);
  ASSERT_TRUE(Walk());
  EXPECT_THAT(files_, ElementsAre("a", "b/1", "b/2"));
  EXPECT_THAT(skipped_,
              ElementsAre(HasSubstr("b/dirlink is a symbolic link"),
                          HasSubstr("link is a symbolic link"), HasSubstr("pipe is a named pipe")));
}

TEST_F(Tree, CreatesFilesBelowTheRootOnly) {
  const mode_t before = ::umask(077);
  const auto file = CreateBelow(root_, "a/b/c");
  ::umask(before);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(::write(file->get(), "x", 1), 1);
  struct stat info{};
  ASSERT_EQ(::stat((root_ + "/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
  EXPECT_TRUE(CreateBelow(root_, "a/d"));
  EXPECT_FALSE(CreateBelow(root_, "a/b/c")) << "exists";
  const std::string outside = root_ + "/outside";
  fs::create_directory(outside);
  fs::create_directory_symlink(outside, root_ + "/link");
  EXPECT_FALSE(CreateBelow(root_, "link/x"));
  fs::create_symlink(outside + "/y", root_ + "/dangling");
  EXPECT_FALSE(CreateBelow(root_, "dangling"));
  EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(Tree, WhatItsOwnerMadeUnreadableIsRead) {
  Put("closed/file");
  ASSERT_EQ(::chmod((root_ + "/closed/file").c_str(), 0), 0);
  ASSERT_EQ(::chmod((root_ + "/closed").c_str(), 0), 0);
  ASSERT_TRUE(Walk());
  EXPECT_THAT(files_, ElementsAre("closed/file"));
}

TEST_F(Tree, TooDeepIsSkippedAndSaid) {
  std::string path = "d";
  for (int i = 0; i < 80; ++i) path += "/d";
  Put(path + "/file");
  ASSERT_TRUE(Walk());
  EXPECT_TRUE(files_.empty());
  EXPECT_THAT(skipped_, ElementsAre(HasSubstr("nested deeper")));
}

TEST_F(Tree, ReadOnlyTreesHaveNoWriteBitAndCanBeRemoved) {
  Put("a/b/file");
  ASSERT_TRUE(MakeTreeReadOnly(root_));
  for (const char* path : {"", "/a", "/a/b", "/a/b/file"}) {
    struct stat info = {};
    ASSERT_EQ(::stat((root_ + path).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0222, 0U) << path;
  }
  RemoveTree(root_);
  EXPECT_FALSE(fs::exists(root_));
}

}  // namespace
}  // namespace spillway::runtime
