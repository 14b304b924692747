// What goes wrong while data goes out and results come home, to the real programs.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/rng.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {
namespace {

namespace fs = std::filesystem;

// `script` instead of what the Job does.
std::string Manifests(std::string_view script) {
  std::string text = BurstManifests(false);
  const std::string_view command =
      "cat /data/train/* | sha256sum > "
      "/results/hash-$(JOB_COMPLETION_INDEX) && echo hashed";
  return text.replace(text.find(command), command.size(), script);
}

// Noise of many chunks in the Dataset; its hash.
std::string WriteNoise(Daemon& daemon, std::int64_t bytes) {
  Rng rng(11);
  std::string noise(static_cast<std::size_t>(bytes), ' ');
  for (char& c : noise) c = static_cast<char>(rng.Below(256));
  daemon.WriteFile(daemon.data() + "/pictures/train/noise", noise);
  return Sha256Hex(noise);
}

// Of the only transfer there is; null while there is none.
json::value Transfer(Daemon& daemon) {
  const auto transfers = daemon.Get("/api/v1/transfers");
  const json::array* items = transfers ? FindArray(*transfers, "items") : nullptr;
  return items == nullptr || items->empty() ? json::value(nullptr) : items->front();
}

bool HalfSentResult(const Daemon& daemon) {
  std::error_code error;
  const fs::path uploads = daemon.state() + "/gateway/runs/bn-00001/uploads";
  for (const auto& entry : fs::directory_iterator(uploads, error))
    if (entry.is_regular_file() && entry.file_size() > 0) return true;
  return false;
}

void ExpectComplete(Daemon& daemon) {
  ASSERT_TRUE(daemon.WaitFor([&] { return BurstComplete(daemon) && AllNodesGone(daemon); }, 120s))
      << daemon.Log();
  EXPECT_TRUE(daemon.Machines().empty());
}

TEST(DataTrouble, TheGatewayIsKilledWhileDataIsStaged) {
  DaemonSetup setup;
  setup.extra = {"--run-bandwidth", "6Mi"};
  Daemon daemon(setup);
  const std::string hash = WriteNoise(daemon, 30 << 20);
  daemon.Start();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(daemon.Apply(BurstManifests(false)));
  for (int kill = 0; kill < 2; ++kill) {
    ASSERT_TRUE(
        daemon.WaitFor([&] { return IntOr(Transfer(daemon), "stagedBytesPerSecond", 0) > 0; }, 60s))
        << daemon.Log();
    daemon.Kill();
    daemon.Start();
    if (HasFatalFailure()) return;
  }
  ExpectComplete(daemon);
  EXPECT_EQ(daemon.ReadFile(daemon.results() + "/vision/hash-0"), hash + "  -\n");
}

TEST(DataTrouble, TheGatewayIsKilledWhileResultsArrive) {
  Daemon daemon(DaemonSetup{});
  WritePictures(daemon);
  daemon.Start();
  if (HasFatalFailure()) return;
  // A large one, one of no bytes, and the large one's hash.
  ASSERT_TRUE(daemon.Apply(Manifests(
      "head -c 200000000 /dev/zero | openssl enc -aes-256-ctr -nosalt -K 07 -iv 07 2>/dev/null "
      "> /results/large; : > /results/nothing; sha256sum < /results/large > /results/hash")));
  ASSERT_TRUE(daemon.WaitFor([&] { return HalfSentResult(daemon); }, 60s)) << daemon.Log();
  daemon.Kill();
  EXPECT_FALSE(fs::exists(daemon.results() + "/vision/large")) << "never half a file";
  daemon.Start();
  if (HasFatalFailure()) return;
  ExpectComplete(daemon);
  const std::string large = daemon.ReadFile(daemon.results() + "/vision/large");
  EXPECT_EQ(large.size(), 200'000'000u);
  EXPECT_EQ(Sha256Hex(large) + "  -\n", daemon.ReadFile(daemon.results() + "/vision/hash"));
  EXPECT_TRUE(fs::exists(daemon.results() + "/vision/nothing"));
  EXPECT_EQ(fs::file_size(daemon.results() + "/vision/nothing"), 0u);
}

// A file system of its own for the results; goes with the object.
class SmallDisk {
 public:
  SmallDisk(std::string path, const std::string& size) : path_(std::move(path)) {
    mounted_ = ::mount("results", path_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  bool Resize(const std::string& size) const {
    return ::mount("results", path_.c_str(), "tmpfs", MS_REMOUNT, ("size=" + size).c_str()) == 0;
  }

 private:
  const std::string path_;
  bool mounted_ = false;
};

TEST(DataTrouble, AFullDiskForResultsIsSaidAndWaitedFor) {
  Daemon daemon(DaemonSetup{});
  const SmallDisk disk(daemon.results(), "4m");
  if (!disk.mounted()) GTEST_SKIP() << "needs root: it mounts a small disk";
  WritePictures(daemon);
  daemon.Start();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(daemon.Apply(Manifests("head -c 12000000 /dev/urandom > /results/large")));
  std::string problem;
  ASSERT_TRUE(daemon.WaitFor(
      [&] {
        problem = StringOr(Transfer(daemon), "problem", "");
        return problem.find("No space left") != std::string::npos;
      },
      60s))
      << daemon.Log();
  EXPECT_NE(problem.find("result of vision/hash"), std::string::npos) << problem;
  EXPECT_FALSE(fs::exists(daemon.results() + "/vision/large")) << "never half a file";
  ASSERT_TRUE(disk.Resize("64m"));
  ExpectComplete(daemon);
  EXPECT_EQ(fs::file_size(daemon.results() + "/vision/large"), 12'000'000u);
}

}  // namespace
}  // namespace spillway::integration
