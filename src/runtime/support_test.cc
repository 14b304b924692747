#include "runtime/support.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace spillway::runtime {
namespace {

constexpr const char* kV1Mounts =
    "30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "31 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(LocateCgroups, VersionOneIsFoundPerController) {
  const auto places =
      LocateCgroups("5:memory:/user/me\n4:cpu,cpuacct:/\n3:cpuset:/\n0::/\n", kV1Mounts);
  EXPECT_EQ(places.memory.version, 1);
  EXPECT_EQ(places.memory.directory, "/sys/fs/cgroup/memory/user/me");
  EXPECT_EQ(places.cpu.version, 1);
  EXPECT_EQ(places.cpu.directory, "/sys/fs/cgroup/cpu,cpuacct");
}

TEST(LocateCgroups, VersionTwoIsOneDirectory) {
  const auto places = LocateCgroups("0::/user.slice/x.scope\n",
                                    "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  EXPECT_EQ(places.memory.version, 2);
  EXPECT_EQ(places.memory.directory, "/sys/fs/cgroup/user.slice/x.scope");
  EXPECT_EQ(places.cpu.directory, places.memory.directory);
}

TEST(LocateCgroups, AContainersMountIsStripped) {
  const auto places = LocateCgroups("4:memory:/docker/abc/pod\n",
                                    "31 30 0:27 /docker/abc /cg rw - cgroup cgroup rw,memory\n");
  EXPECT_EQ(places.memory.directory, "/cg/pod");
  EXPECT_EQ(
      LocateCgroups("4:memory:/other\n", "31 30 0:27 /docker/abc /cg rw - cgroup c rw,memory\n")
          .memory.version,
      0);
}

TEST(LocateCgroups, NonsenseIsNothing) {
  const auto places = LocateCgroups("x\n\n:::\n", "one two\n - \n");
  EXPECT_EQ(places.memory.version, 0);
  EXPECT_EQ(places.cpu.version, 0);
}

TEST(Probe, SaysOneSentencePerQuestionAndLeavesNothing) {
  const SandboxSupport support = Probe();
  ASSERT_EQ(support.findings.size(), 4U);
  for (const Finding& finding : support.findings) {
    EXPECT_GT(finding.sentence.size(), 10U) << finding.name;
    if (!finding.ok) {
      EXPECT_NE(finding.sentence.find("remedy"), std::string::npos) << finding.sentence;
    }
    std::printf("%-12s %s %s\n", finding.name.c_str(), finding.ok ? "yes" : "no",
                finding.sentence.c_str());
  }
  EXPECT_EQ(support.findings[0].ok, support.sandbox());
  for (const CgroupPlace* place : {&support.cgroups.memory, &support.cgroups.cpu})
    if (place->version != 0) {
      EXPECT_FALSE(std::filesystem::exists(place->directory + "/spillway-pod-" +
                                           std::to_string(::getpid()) + "-probe"));
    }
}

std::string FirstWord(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

TEST(PodCgroup, SetsLimitsAndRemovesItself) {
  const CgroupPlaces places = Probe().cgroups;
  if (places.memory.version == 0 || places.cpu.version == 0)
    GTEST_SKIP() << "no control group can be used on this machine";
  std::string directory;
  {
    auto group = PodCgroup::Create(places, "spillway-pod-" + std::to_string(::getpid()) + "-test",
                                   64 << 20, 500);
    ASSERT_TRUE(group) << group.error().message;
    ASSERT_TRUE(group->AddMemory(1 << 20));
    directory = group->memory_directory();
    EXPECT_EQ(FirstWord(directory +
                        (places.memory.version == 1 ? "/memory.limit_in_bytes" : "/memory.max")),
              std::to_string(65 << 20));
    EXPECT_EQ(FirstWord(group->cpu_directory() +
                        (places.cpu.version == 1 ? "/cpu.cfs_quota_us" : "/cpu.max")),
              "50000");
    EXPECT_EQ(group->OomKills(), 0);
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
}

}  // namespace
}  // namespace spillway::runtime
