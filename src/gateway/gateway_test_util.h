// Shared by the tests of this folder: directories, a clock, datasets.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/time.h"

namespace spillway::gateway {

// A directory that goes with the object; in memory where the machine has room for that, because
// these tests sync a lot.
class TempDir {
 public:
  TempDir() {
    for (std::string name : {"/dev/shm/spw-gateway-XXXXXX", "/tmp/spw-gateway-XXXXXX"}) {
      if (mkdtemp(name.data()) == nullptr) continue;
      path_ = name;
      std::error_code error;
      if (std::filesystem::space(path_, error).available >= kRoomBytes && !error) return;
      if (name.starts_with("/dev")) std::filesystem::remove_all(path_);
    }
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  static constexpr std::uintmax_t kRoomBytes = 256 << 20;
  std::string path_;
};

// Set by hand, read by the threads of a server.
class TestClock final : public Clock {
 public:
  Time Now() const override { return Time{Duration(1'800'000'000'000 + passed_.load())}; }
  Duration SteadyNow() const override { return Duration(passed_.load()); }
  void Advance(Duration d) { passed_ += d.count(); }

 private:
  std::atomic<std::int64_t> passed_{0};
};

inline void WriteText(const std::string& path, std::string_view text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace spillway::gateway
