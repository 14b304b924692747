#include "gateway/machine_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/encoding.h"

namespace spillway::gateway {
namespace {

namespace fs = std::filesystem;

class MachineFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "machine-files-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
    Write("kubelet", std::string(MachineFiles::kSliceBytes + 10, 'k'));
    Write("cni/bridge", "bridge");
  }
  void TearDown() override { fs::remove_all(dir_); }
  void Write(const std::string& name, const std::string& text) {
    fs::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name) << text;
  }
  fs::path dir_;
};

TEST_F(MachineFilesTest, AreListedByNameWithTheirHashes) {
  const auto files = MachineFiles::Open(dir_);
  ASSERT_TRUE(files) << files.error().message;
  ASSERT_EQ(files->list().size(), 2u);
  EXPECT_EQ(files->list()[0].name, "cni/bridge");
  EXPECT_EQ(files->list()[0].sha256, Sha256Hex("bridge"));
  EXPECT_EQ(files->list()[0].bytes, 6);
}

TEST_F(MachineFilesTest, OneAnswerIsLimitedAndSaysWhereItIs) {
  const auto files = MachineFiles::Open(dir_);
  const std::string hash = files->list()[1].sha256;
  const auto begin = files->Read(hash, {});
  ASSERT_TRUE(begin);
  EXPECT_EQ(std::ssize(begin->bytes), MachineFiles::kSliceBytes);
  EXPECT_EQ(begin->total, MachineFiles::kSliceBytes + 10);
  const auto rest = files->Read(hash, {MachineFiles::kSliceBytes, {}});
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->bytes, "kkkkkkkkkk");
  EXPECT_EQ(files->Read(hash, {begin->total, {}}).error().code, Code::kInvalid);
  EXPECT_EQ(files->Read("00", {}).error().code, Code::kNotFound);
}

TEST_F(MachineFilesTest, AChangedFileIsNotServed) {
  const auto files = MachineFiles::Open(dir_);
  Write("cni/bridge", "another");
  EXPECT_EQ(files->Read(files->list()[0].sha256, {}).error().code, Code::kCorrupt);
}

TEST_F(MachineFilesTest, WhatCannotBeServedIsNamed) {
  Write("empty", "");
  const auto files = MachineFiles::Open(dir_);
  ASSERT_FALSE(files);
  EXPECT_NE(files.error().message.find("empty"), std::string::npos);
  EXPECT_FALSE(MachineFiles::Open(dir_ / "none"));
}

}  // namespace
}  // namespace spillway::gateway
