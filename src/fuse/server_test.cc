// Real mounts, seen through the kernel.
#include "fuse/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "fuse/test_mount.h"

namespace spillway::fuse {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAreArray;

using Files = std::map<std::string, std::string>;

std::string Pattern(std::size_t size, std::uint32_t seed) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    seed = seed * 1664525u + 1013904223u;
    bytes[i] = static_cast<char>(seed >> 24);
  }
  return bytes;
}

// Files in memory; reads can be held back, refused, or counted.
class Memory final : public Content {
 public:
  explicit Memory(const Files& files) {
    for (const auto& [path, bytes] : files) {
      EXPECT_TRUE(tree.Add(path, std::ssize(bytes), 0444, Time{Duration{1500}}));
      bytes_.push_back(bytes);
    }
    tree.Finish();
  }
  std::unique_ptr<Reader> NewReader() override { return std::make_unique<From>(*this); }
  void GaveUp(std::uint32_t) override { ++gave_up; }

  FileTree tree;
  std::atomic<int> reads = 0, gave_up = 0;
  std::atomic<bool> hold = false, refuse = false;
  std::atomic<int> hang_on_read = 0;  // the n-th read never returns

 private:
  struct From final : Reader {
    explicit From(Memory& m) : memory(m) {}
    Result<std::optional<ByteView>> Read(std::uint32_t file, std::int64_t offset,
                                         std::size_t size) override {
      if (++memory.reads == memory.hang_on_read) {
        for (;;) ::pause();
      }
      if (memory.refuse) return Fail(Code::kDenied, "refused");
      if (memory.hold) return std::nullopt;
      const ByteView all = AsBytes(memory.bytes_[file]);
      return all.subspan(static_cast<std::size_t>(offset), size);
    }
    void Done() override {}
    Memory& memory;
  };
  std::vector<std::string> bytes_;
};

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::set<std::string> List(const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    names.insert(entry.path().filename().string());
  return names;
}

class FuseServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = MayMount(); !why.empty()) GTEST_SKIP() << why;
  }
  // What is served; it outlives the server, as Server asks.
  Memory& Holding(const Files& files) {
    memory_ = std::make_unique<Memory>(files);
    return *memory_;
  }
  void Serve(Memory& memory, ServerOptions options = {}) {
    auto connection = Mount(directory_.path());
    ASSERT_TRUE(connection) << connection.error().message;
    connection_ = std::move(*connection);
    Resume(memory, options);
  }
  void Resume(Memory& memory, ServerOptions options = {}) {
    auto copy = Duplicate(connection_);
    ASSERT_TRUE(copy);
    auto server = Server::Start(std::move(*copy), directory_.path(), memory.tree, memory, options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  void TearDown() override {
    ::umount2(directory_.path().c_str(), MNT_DETACH);
    server_.reset();
  }

  TestDirectory directory_;
  std::unique_ptr<Memory> memory_;
  Connection connection_;
  std::unique_ptr<Server> server_;
};

TEST_F(FuseServerTest, FilesAreReadAndNothingIsWritten) {
  const Files files = {{"a.txt", "hello"},
                       {"d/none", ""},
                       {"d/e/f/g/h", "deep"},
                       {"big", Pattern(5'000'001, 1)},
                       {"page", Pattern(4096, 2)}};
  Memory& memory = Holding(files);
  Serve(memory);
  for (const auto& [path, bytes] : files) EXPECT_TRUE(ReadAll(directory_ / path) == bytes) << path;
  EXPECT_THAT(List(directory_.path()), ElementsAre("a.txt", "big", "d", "page"));
  EXPECT_THAT(List(directory_ / "d"), ElementsAre("e", "none"));
  struct stat info{};
  ASSERT_EQ(::stat((directory_ / "big").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 5'000'001);
  EXPECT_EQ(info.st_mode, S_IFREG | 0444u);
  EXPECT_EQ(info.st_mtim.tv_sec, 1);
  EXPECT_EQ(info.st_mtim.tv_nsec, 500'000'000);
  EXPECT_LT(::open((directory_ / "none").c_str(), O_RDONLY), 0);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_LT(::open((directory_ / "new").c_str(), O_WRONLY | O_CREAT, 0600), 0);
  EXPECT_EQ(errno, EROFS);
  EXPECT_LT(::open((directory_ / "a.txt").c_str(), O_WRONLY), 0);
  EXPECT_EQ(errno, EROFS);
  struct statfs system{};
  ASSERT_EQ(::statfs(directory_.path().c_str(), &system), 0);
  EXPECT_EQ(system.f_type, 0x65735546) << "FUSE_SUPER_MAGIC";
  const int before = memory.reads;
  EXPECT_TRUE(ReadAll(directory_ / "big") == files.at("big"));
  EXPECT_EQ(memory.reads, before) << "the second epoch is the page cache's";
}

TEST_F(FuseServerTest, PartsOfFilesWithAndWithoutThePageCache) {
  const std::string bytes = Pattern(3'000'000, 3);
  Memory& memory = Holding(Files{{"f", bytes}});
  Serve(memory);
  void* aligned = nullptr;
  ASSERT_EQ(::posix_memalign(&aligned, 4096, 1 << 20), 0);
  for (const int flags : {0, O_DIRECT}) {
    const Fd file(::open((directory_ / "f").c_str(), O_RDONLY | flags));
    ASSERT_TRUE(file);
    for (const std::int64_t offset : {0, 4096, 65536 - 4096, 1 << 20, 2'998'272}) {
      for (const std::size_t size : {4096, 65536, 1 << 20}) {
        const ssize_t got = ::pread(file.get(), aligned, size, offset);
        const std::string expected = bytes.substr(static_cast<std::size_t>(offset), size);
        ASSERT_EQ(got, std::ssize(expected));
        EXPECT_EQ(std::memcmp(aligned, expected.data(), expected.size()), 0) << offset;
      }
    }
    EXPECT_EQ(::pread(file.get(), aligned, 4096, 4'000'000), 0);
  }
  std::free(aligned);
}

// Every byte a name may hold, alone and in a row, and the longest one.
TEST_F(FuseServerTest, EveryLegalName) {
  Files files;
  std::set<std::string> expected;
  for (int c = 1; c < 256; ++c) {
    if (c == '/') continue;
    const std::string name = "n" + std::string(1, static_cast<char>(c));
    files["d/" + name] = name;
    expected.insert(name);
  }
  files["d/" + std::string(255, 'x')] = "long";
  expected.insert(std::string(255, 'x'));
  files["d/ "] = "blank";
  expected.insert(" ");
  Memory& memory = Holding(files);
  Serve(memory);
  EXPECT_THAT(List(directory_ / "d"), UnorderedElementsAreArray(expected));
  for (const auto& [path, bytes] : files) EXPECT_EQ(ReadAll(directory_ / path), bytes);
}

TEST_F(FuseServerTest, TwoHundredThousandFilesAreListedWithoutALookUpEach) {
  Files files;
  for (int i = 0; i < 200'000; ++i) files[fmt::format("train/{:06}.bin", i)] = "x";
  Memory& memory = Holding(files);
  Serve(memory);
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "train")) {
    ASSERT_EQ(entry.file_size(), 1u);
    ++seen;
  }
  EXPECT_EQ(seen, 200'000u);
}

TEST_F(FuseServerTest, AReadWaitsForItsBytesAndOthersDoNot) {
  Memory& memory = Holding(Files{{"a", "late"}, {"b", ""}});
  memory.hold = true;
  Serve(memory);
  std::vector<std::thread> readers;
  std::atomic<int> right = 0;
  for (int i = 0; i < 12; ++i)  // more than there are threads that answer
    readers.emplace_back([&] {
      std::array<char, 8> bytes{};
      const Fd file(::open((directory_ / "a").c_str(), O_RDONLY | O_DIRECT));
      if (::pread(file.get(), bytes.data(), 4, 0) == 4 && std::string(bytes.data()) == "late")
        ++right;
    });
  while (memory.reads < 12) std::this_thread::yield();
  struct stat info{};
  EXPECT_EQ(::stat((directory_ / "b").c_str(), &info), 0) << "names are answered meanwhile";
  EXPECT_EQ(right, 0);
  memory.hold = false;
  server_->Wake();
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(right, 12);
}

TEST_F(FuseServerTest, AReadThatWaitsTooLongFails) {
  Memory& memory = Holding(Files{{"a", "never"}});
  memory.hold = true;
  Serve(memory, {.patience = 50ms});
  const Fd file(::open((directory_ / "a").c_str(), O_RDONLY));
  char byte = 0;
  EXPECT_EQ(::pread(file.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_GE(memory.gave_up, 1);
}

TEST_F(FuseServerTest, AReaderThatIsKilledDoesNotHang) {
  Memory& memory = Holding(Files{{"a", "never"}});
  memory.hold = true;
  Serve(memory, {.patience = 1h});
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    const int file = ::open((directory_ / "a").c_str(), O_RDONLY | O_DIRECT);
    ::_exit(::pread(file, &byte, 1, 0) == 1 ? 1 : 2);
  }
  while (memory.reads < 1) std::this_thread::yield();
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_F(FuseServerTest, ForgottenPagesAreReadAgainAlsoWhereTheyAreMapped) {
  Memory& memory = Holding(Files{{"a", Pattern(100'000, 4)}});
  Serve(memory);
  const Fd file(::open((directory_ / "a").c_str(), O_RDONLY));
  std::array<char, 4096> bytes;
  ASSERT_EQ(::pread(file.get(), bytes.data(), bytes.size(), 0), 4096);
  const void* mapped = ::mmap(nullptr, 100'000, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(std::memcmp(mapped, bytes.data(), bytes.size()), 0);
  memory.refuse = true;
  EXPECT_EQ(::pread(file.get(), bytes.data(), bytes.size(), 0), 4096) << "still in the page cache";
  server_->ForgetPages();
  EXPECT_EQ(::pread(file.get(), bytes.data(), bytes.size(), 0), -1);
  EXPECT_EQ(errno, EIO);
  std::vector<unsigned char> resident(25);
  ASSERT_EQ(::mincore(const_cast<void*>(mapped), 100'000, resident.data()), 0);
  for (const unsigned char page : resident) EXPECT_EQ(page & 1, 0);
  ::munmap(const_cast<void*>(mapped), 100'000);
}

TEST_F(FuseServerTest, WithoutAnybodyTheMountIsDead) {
  Memory& memory = Holding(Files{{"a", "x"}});
  Serve(memory);
  const Fd file(::open((directory_ / "a").c_str(), O_RDONLY));
  server_.reset();
  connection_ = {};
  char byte = 0;
  EXPECT_EQ(::pread(file.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ENOTCONN);
}

// The server is a process that is killed while it holds a request; who has the connection starts
// another one.
TEST_F(FuseServerTest, AKilledServerIsFollowedByAnother) {
  const std::string bytes = Pattern(2'000'000, 5);
  Memory& memory = Holding(Files{{"f", bytes}});
  auto connection = Mount(directory_.path());
  ASSERT_TRUE(connection);
  connection_ = std::move(*connection);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t first = ::fork();
  if (first == 0) {
    memory.hang_on_read = 2;
    Resume(memory);
    for (;;) {
      if (memory.reads >= 2) {
        (void)!::write(ready[1], "x", 1);
        for (;;) ::pause();
      }
      std::this_thread::yield();
    }
  }
  std::string got;
  std::thread reader([&] {
    const Fd file(::open((directory_ / "f").c_str(), O_RDONLY | O_DIRECT));
    void* aligned = nullptr;
    if (::posix_memalign(&aligned, 4096, 1 << 20) != 0) return;
    for (std::int64_t at = 0; at < std::ssize(bytes);) {
      const ssize_t n = ::pread(file.get(), aligned, 1 << 20, at);
      if (n <= 0) break;
      got.append(static_cast<char*>(aligned), static_cast<std::size_t>(n));
      at += n;
    }
    std::free(aligned);
  });
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1) << "the second read is inside the server";
  ::kill(first, SIGKILL);
  ASSERT_EQ(::waitpid(first, nullptr, 0), first);
  Resume(memory);
  reader.join();
  EXPECT_TRUE(got == bytes);
  EXPECT_TRUE(ReadAll(directory_ / "f") == bytes);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(FuseServerTest, ParkedReadsOutliveTheServer) {
  Memory& memory = Holding(Files{{"a", "late"}});
  memory.hold = true;
  Serve(memory);
  std::string got;
  std::thread reader([&] { got = ReadAll(directory_ / "a"); });
  while (memory.reads < 1) std::this_thread::yield();
  server_.reset();
  memory.hold = false;
  Resume(memory);
  reader.join();
  EXPECT_EQ(got, "late");
}

}  // namespace
}  // namespace spillway::fuse
