#include "plan/wait.h"

#include <gtest/gtest.h>

#include "plan/snapshot_builder.h"

namespace spillway::plan {
namespace {

// Expected starts by pod key, minutes from now; absent: unknown.
std::map<std::string, std::int64_t> Starts(const Snapshot& world,
                                           const std::vector<std::string>& workloads) {
  std::vector<Waiter> waiters;
  for (const std::string& key : workloads)
    for (const Workload& workload : world.workloads)
      if (workload.key == key) waiters.push_back({workload.gang, workload.pods});
  Placement ground(world);
  SiteRoom room(world, ground);
  const auto starts = ExpectedStarts(world, room, waiters);
  std::map<std::string, std::int64_t> minutes;
  for (std::size_t pod = 0; pod < world.pods.size(); ++pod)
    if (starts[pod])
      minutes[world.pods[pod].key] =
          std::chrono::duration_cast<std::chrono::minutes>(*starts[pod] - world.now).count();
  return minutes;
}
using Minutes = std::map<std::string, std::int64_t>;

TEST(ExpectedStarts, ReleasesGoToTheWaitingInTheirOrder) {
  SnapshotBuilder builder;
  builder.SiteNode("n1", 2);
  builder.Runs("x", "r1", "n1", GpuShape(1)).expected_end = SnapshotBuilder::Noon() + 30min;
  builder.Runs("x", "r2", "n1", GpuShape(1)).expected_end = SnapshotBuilder::Noon() + 10min;
  builder.Waits("a", "first", 1, GpuShape(1));
  builder.Waits("a", "second", 2, GpuShape(1));
  const Snapshot world = builder.Build();
  EXPECT_EQ(Starts(world, {"a/Job/first", "a/Job/second"}),
            (Minutes{{"a/first-1000", 10}, {"a/second-1000", 30}}));
  EXPECT_EQ(Starts(world, {"a/Job/second", "a/Job/first"}),
            (Minutes{{"a/second-1000", 10}, {"a/second-1001", 30}}));
}

TEST(ExpectedStarts, UnknownEndsNeverFree) {
  SnapshotBuilder builder;
  builder.SiteNode("n1", 1);
  builder.Runs("x", "r1", "n1", GpuShape(1));
  builder.Waits("a", "job", 1, GpuShape(1));
  EXPECT_EQ(Starts(builder.Build(), {"a/Job/job"}), Minutes{});
}

TEST(ExpectedStarts, AGangStartsWhenAllOfItHasRoom) {
  SnapshotBuilder builder;
  builder.SiteNode("n1", 4);
  builder.SiteNode("n2", 4);
  builder.Runs("x", "r1", "n1", GpuShape(4)).expected_end = SnapshotBuilder::Noon() + 10min;
  builder.Runs("x", "r2", "n2", GpuShape(4)).expected_end = SnapshotBuilder::Noon() + 25min;
  builder.Gang("a", "gang", 2, GpuShape(4));
  builder.Waits("a", "small", 1, GpuShape(1));
  const Snapshot world = builder.Build();
  EXPECT_EQ(Starts(world, {"a/Job/gang"}), (Minutes{{"a/gang-1000", 25}, {"a/gang-1001", 25}}));
  // Nothing is held free for a gang: the small one takes what is there, and the gang is stuck.
  EXPECT_EQ(Starts(world, {"a/Job/gang", "a/Job/small"}), (Minutes{{"a/small-1000", 10}}));
}

TEST(ExpectedStarts, RoomOnAForbiddenNodeDoesNotHelp) {
  SnapshotBuilder builder;
  builder.SiteNode("n1", 1);
  builder.Runs("x", "r1", "n1", GpuShape(1)).expected_end = SnapshotBuilder::Noon() + 10min;
  PodShape picky = GpuShape(1);
  picky.node_selector = {{"zone", "b"}};
  builder.Waits("a", "job", 1, picky);
  EXPECT_EQ(Starts(builder.Build(), {"a/Job/job"}), Minutes{});
}

TEST(ExpectedRelease, OverduePodsAreGivenATenthMoreAndThenGivenUp) {
  const Time now = SnapshotBuilder::Noon();
  Pod pod;
  EXPECT_EQ(ExpectedRelease(pod, now), std::nullopt);
  pod.started = now - 60min;
  pod.expected_end = now + 1min;
  EXPECT_EQ(ExpectedRelease(pod, now), now + 1min);
  pod.expected_end = now - 10min;  // expected to take 50 minutes
  EXPECT_EQ(ExpectedRelease(pod, now), now + 5min);
  pod.expected_end = now - 40min;  // expected to take 20 minutes
  EXPECT_EQ(ExpectedRelease(pod, now), std::nullopt);
}

}  // namespace
}  // namespace spillway::plan
