// A run that is spread over machines: each gets the shard of its pod, and nothing else of the data.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "tests/integration/burst_manifests.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {
namespace {

constexpr std::string_view kDuration = "spillway.dev/expected-duration: 1m";

// The gang of burst_manifests.h, whose pods hash all that they see, with `annotation` besides.
std::string Cut(std::string_view annotation) {
  std::string text = BurstManifests(true);
  const std::size_t at = text.find(kDuration);
  SPW_CHECK(at != std::string::npos, "the Job has annotations");
  text.replace(at, kDuration.size(), fmt::format("{}, {}", kDuration, annotation));
  return text;
}

TEST(Shards, EachMachineOfAGangGetsThoseOfItsPod) {
  DaemonSetup setup;
  Daemon daemon(setup);
  WritePictures(daemon);
  daemon.Start();
  if (HasFatalFailure()) return;
  const auto applied = daemon.Apply(Cut("spillway.dev/shard: in=2"));
  ASSERT_TRUE(applied) << applied.error().message;
  ASSERT_TRUE(daemon.WaitFor([&] { return BurstComplete(daemon) && AllNodesGone(daemon); }, 120s))
      << daemon.Log();
  // Pictures 0, 2 and 4; and 1 and 3.
  for (int i = 0; i < 2; ++i) {
    std::string shard;
    for (int picture = i; picture < 5; picture += 2)
      shard += daemon.ReadFile(fmt::format("{}/pictures/train/{}.txt", daemon.data(), picture));
    EXPECT_EQ(daemon.ReadFile(fmt::format("{}/vision/hash-{}", daemon.results(), i)),
              Sha256Hex(shard) + "  -\n");
  }
  // What the other machine got did not stay.
  const std::int64_t stays =
      std::ssize(daemon.ReadFile(daemon.data() + "/pictures/private/names.txt"));
  std::vector<std::string> shards;
  for (const json::value& node : daemon.Items("burstnodes")) {
    const json::value& status = *Find(node, "status");
    EXPECT_EQ(StringOr(status, "failure", ""), "");
    EXPECT_EQ(IntOr(status, "neverLeftBytes", 0), stays);
    const json::array* of_node = FindArray(*Find(node, "spec"), "shards");
    shards.push_back(of_node == nullptr ? "none" : json::serialize(*of_node));
  }
  EXPECT_THAT(shards, ::testing::UnorderedElementsAre("[\"in=0/2\"]", "[\"in=1/2\"]"));
}

}  // namespace
}  // namespace spillway::integration
