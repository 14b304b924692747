// Inputs that are served by a real mount, out of a real cache file.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>

#include "data/pack.h"
#include "fuse/test_mount.h"
#include "node/volumes_fixture.h"

namespace spillway::node {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class InputsTest : public VolumesTest {
 protected:
  explicit InputsTest(std::map<std::string, std::string> files = SmallFiles())
      : VolumesTest(std::move(files)) {}
  void SetUp() override {
    VolumesTest::SetUp();
    if (const std::string why = fuse::MayMount(); !why.empty()) GTEST_SKIP() << why;
  }
  AgentOptions Mounted() {
    AgentOptions options = Options();
    options.inputs_directory = dir_.File("k/inputs");
    return options;
  }
  void BeginPublished() {
    Begin(Mounted());
    const grpc::Status status = Publish(Message("dataset", "digits"));
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  std::string CachePath() const { return dir_.disk() + "/cache.extent"; }
  // Where chunk `index` of the door's layout begins: each takes whole blocks.
  std::int64_t PlaceOf(std::size_t index) const {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < index; ++i)
      at += (std::ssize(door_.sealed()[i]) + 4095) / 4096 * 4096;
    return at;
  }
  // The chunks of a file.
  std::vector<std::uint32_t> ChunksOf(const std::string& path) const {
    std::vector<data::FileEntry> entries;
    for (const auto& [name, bytes] : files_)
      entries.push_back({name, std::ssize(bytes), 0640, Time(1s)});
    std::vector<std::uint32_t> chunks;
    const data::Layout layout = *data::PackFiles(entries, 64 * 1024);
    for (const data::PackedFile& file : layout.files)
      for (const data::Extent& extent : file.extents)
        if (file.entry.path == path) chunks.push_back(extent.chunk);
    return chunks;
  }
  int ErrorOfReading(const std::string& path) const {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return errno;
    std::string bytes(1 << 20, '\0');
    ssize_t n = 0;
    while ((n = ::read(file.get(), bytes.data(), bytes.size())) > 0) {
    }
    return n == 0 ? 0 : errno;
  }
  bool WaitForProblem(const std::string& file, std::uint32_t chunk) {
    return door_.WaitFor([&](const State& s) {
      const std::string& problem = s.Last()->problem;
      return problem.find("'" + file + "'") != std::string::npos &&
             problem.find("chunk " + std::to_string(chunk)) != std::string::npos;
    });
  }
};

TEST_F(InputsTest, AreUnsealedAsTheyAreRead) {
  BeginPublished();
  constexpr long kFuse = 0x65735546;
  ExpectDigitsShown(kFuse);
  ASSERT_TRUE(Publish(Message("dataset", "digits", "u2")).ok());
  EXPECT_EQ(*IdentityOf(Target("digits")), *IdentityOf(Target("digits", "u2")));
  ASSERT_TRUE(Unpublish("digits").ok());
  EXPECT_FALSE(fs::exists(Target("digits")));
  EXPECT_TRUE(ReadFile(Target("digits", "u2") + "/a.txt") == files_.at("digits/a.txt"));
  EXPECT_TRUE(WaitForReleased({"u1"}));
  EXPECT_EQ(Publish(Message("dataset", "other")).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(InputsTest, SmallReadsAnywhere) {
  BeginPublished();
  const std::string& bytes = files_.at("digits/sub/big.bin");
  const Fd file(::open((Target("digits") + "/sub/big.bin").c_str(), O_RDONLY | O_DIRECT));
  ASSERT_TRUE(file);
  void* aligned = nullptr;
  ASSERT_EQ(::posix_memalign(&aligned, 4096, 8192), 0);
  Rng rng(7);
  for (int i = 0; i < 500; ++i) {
    const auto at = static_cast<std::int64_t>(rng.Below(std::size(bytes) / 512)) * 512;
    const ssize_t got = ::pread(file.get(), aligned, 8192, at);
    ASSERT_GT(got, 0);
    ASSERT_EQ(bytes.compare(static_cast<std::size_t>(at), 8192, static_cast<char*>(aligned),
                            static_cast<std::size_t>(got)),
              0)
        << at;
  }
  std::free(aligned);
}

TEST_F(InputsTest, AFlippedBitIsAnErrorThatNamesFileAndChunk) {
  BeginPublished();
  const std::vector<std::uint32_t> chunks = ChunksOf("digits/sub/big.bin");
  ASSERT_GE(chunks.size(), 4u);
  {
    const Fd cache(::open(CachePath().c_str(), O_RDWR));
    const std::int64_t at = PlaceOf(chunks[2]) + 1000;
    char byte = 0;
    ASSERT_EQ(::pread(cache.get(), &byte, 1, at), 1);
    byte ^= 4;
    ASSERT_EQ(::pwrite(cache.get(), &byte, 1, at), 1);
  }
  EXPECT_EQ(ErrorOfReading(Target("digits") + "/sub/big.bin"), EIO);
  EXPECT_TRUE(WaitForProblem("digits/sub/big.bin", chunks[2]));
  EXPECT_EQ(ErrorOfReading(Target("digits") + "/a.txt"), 0) << "what is whole is read";
}

TEST_F(InputsTest, ExchangedChunksAreRefused) {
  BeginPublished();
  const std::vector<std::uint32_t> chunks = ChunksOf("digits/sub/big.bin");
  const std::string &one = door_.sealed()[chunks[0]], &two = door_.sealed()[chunks[1]];
  ASSERT_EQ(one.size(), two.size());
  {
    const Fd cache(::open(CachePath().c_str(), O_RDWR));
    ASSERT_EQ(::pwrite(cache.get(), one.data(), one.size(), PlaceOf(chunks[1])), std::ssize(one));
    ASSERT_EQ(::pwrite(cache.get(), two.data(), two.size(), PlaceOf(chunks[0])), std::ssize(two));
  }
  EXPECT_EQ(ErrorOfReading(Target("digits") + "/sub/big.bin"), EIO);
  EXPECT_TRUE(WaitForProblem("digits/sub/big.bin", chunks[0]));
}

TEST_F(InputsTest, ATruncatedCacheIsAnErrorAndNoCrash) {
  BeginPublished();
  const std::vector<std::uint32_t> chunks = ChunksOf("digits/sub/big.bin");
  ASSERT_EQ(::truncate(CachePath().c_str(), PlaceOf(chunks[1])), 0);
  EXPECT_EQ(ErrorOfReading(Target("digits") + "/sub/big.bin"), EIO);
  EXPECT_TRUE(WaitForProblem("digits/sub/big.bin", chunks[1]));
}

TEST_F(InputsTest, AWipeTakesThemFromWhoeverHasThemOpen) {
  BeginPublished();
  const Fd file(::open((Target("digits") + "/sub/big.bin").c_str(), O_RDONLY));
  std::array<char, 4096> bytes;
  ASSERT_EQ(::pread(file.get(), bytes.data(), bytes.size(), 0), 4096);
  void* mapped = ::mmap(nullptr, 300'000, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  ASSERT_EQ(std::memcmp(mapped, bytes.data(), bytes.size()), 0);
  Want(door::Want::kWipe);
  ASSERT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->wiped; }));
  for (const std::int64_t at : {0, 200'000}) {
    EXPECT_EQ(::pread(file.get(), bytes.data(), bytes.size(), at), -1);
    EXPECT_EQ(errno, EIO);
  }
  std::vector<unsigned char> resident(74);
  ASSERT_EQ(::mincore(mapped, 300'000, resident.data()), 0);
  for (const unsigned char page : resident) EXPECT_EQ(page & 1, 0);
  ::munmap(mapped, 300'000);
  EXPECT_FALSE(fs::exists(Target("digits")));
  EXPECT_FALSE(fs::exists(dir_.File("k/inputs")));
  EXPECT_EQ(Publish(Message("dataset", "digits")).error_code(), StatusCode::PERMISSION_DENIED);
}

TEST_F(InputsTest, PodsMayStartBeforeAnythingHasArrivedAndAMissIsFetchedFirst) {
  door_.Change([](State& s) {
    s.desired.start_when_readable = true;
    s.hold_chunks = true;
  });
  BeginPublished();
  door_.Change([](State& s) { EXPECT_EQ(s.Last()->staged_chunks, 0); });
  const std::vector<std::uint32_t> chunks = ChunksOf("digits/sub/big.bin");
  const auto wanted = static_cast<int>(chunks.at(3));
  std::string got(4096, '\0');
  std::thread reader([&] {
    const Fd file(::open((Target("digits") + "/sub/big.bin").c_str(), O_RDONLY | O_CLOEXEC));
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM);  // no read-ahead
    if (::pread(file.get(), got.data(), got.size(), 3 * 65536 + 8192) != 4096) got.clear();
  });
  EXPECT_EQ(fs::file_size(Target("digits") + "/a.txt"), 1000u) << "names are here at once";
  door_.Change([&](State& s) { s.let_through = {wanted}; });
  reader.join();
  EXPECT_TRUE(got == files_.at("digits/sub/big.bin").substr(3 * 65536 + 8192, 4096));
  door_.Change([&](State& s) {
    EXPECT_EQ(s.chunk_gets.size(), 1u) << "it was the first to arrive";
    s.hold_chunks = false;
  });
  EXPECT_TRUE(door_.WaitFor([&](const State& s) {
    return s.Last()->staged_chunks == std::ssize(door_.sealed()) && s.Last()->problem.empty();
  }));
  EXPECT_TRUE(ReadFile(Target("digits") + "/sub/big.bin") == files_.at("digits/sub/big.bin"));
}

// Without a mount nothing starts early.
TEST_F(InputsTest, ACopyInMemoryWaitsForAll) {
  door_.Change([](State& s) {
    s.desired.start_when_readable = true;
    s.hold_chunks = true;
  });
  for (const char* uid : {"u1", "u2"}) fs::create_directories(Parent(uid));
  agent_ = std::make_unique<Agent>(Options());
  thread_ = std::thread([this] { end_ = agent_->Run(); });
  ASSERT_TRUE(door_.WaitForBeats(5));
  door_.Change([](State& s) {
    EXPECT_FALSE(s.Last()->staged);
    s.hold_chunks = false;
  });
  EXPECT_TRUE(door_.WaitFor([](const State& s) { return s.Last()->staged; }));
}

// 160 chunks, and places for 80.
class SmallDiskTest : public InputsTest {
 protected:
  SmallDiskTest() : InputsTest({{"digits/big", Noise(10'000'000, 4)}, {"digits/s", "small"}}) {}
};

TEST_F(SmallDiskTest, ChunksMakeRoomForEachOther) {
  AgentOptions options = Mounted();
  options.stage.cache.limit_bytes = 80 * 69'632;
  Begin(options);
  ASSERT_TRUE(Publish(Message("dataset", "digits")).ok());
  EXPECT_LE(fs::file_size(CachePath()), 80u * 69'632 + (1 << 20));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(ReadFile(Target("digits") + "/big") == files_.at("digits/big"));
    EXPECT_EQ(ReadFile(Target("digits") + "/s"), "small");
    const Fd file(::open((Target("digits") + "/big").c_str(), O_RDONLY));
    ASSERT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  }
  door_.Change([](State& s) {
    int gets = 0;
    for (const auto& [chunk, count] : s.chunk_gets) gets += count;
    EXPECT_GT(gets, 200) << "fetched again";
  });
}

TEST_F(SmallDiskTest, WithoutAMountTheDiskMustHoldAll) {
  AgentOptions options = Options();
  options.stage.cache.limit_bytes = 80 * 69'632;
  for (const char* uid : {"u1", "u2"}) fs::create_directories(Parent(uid));
  agent_ = std::make_unique<Agent>(std::move(options));
  thread_ = std::thread([this] { end_ = agent_->Run(); });
  EXPECT_TRUE(door_.WaitFor([](const State& s) {
    return s.Last() && s.Last()->problem.find("manifest") != std::string::npos;
  }));
}

}  // namespace
}  // namespace spillway::node
