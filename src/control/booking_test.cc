// Places that are kept on a node for pods to come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/decide.h"
#include "control/test_node.h"

namespace spillway::control {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

World EmptyWorld(Time now) {
  World world;
  world.snapshot.now = now;
  world.synced = true;
  return world;
}

// Its time is for whoever promised the pod to end.
TEST(Booking, AMachineThatIsBookedForPodsToComeIsKept) {
  const BurstNode node = NodeIn(Phase::kRunning);
  const Time now = kStart + 2h;
  Observation o = AllWell(node, now);
  o.pods = Pods(PodPhase::kPending);
  for (PodReport& pod : *o.pods) pod.promised = true;
  EXPECT_EQ(Advance(node, o, now).node.phase, Phase::kRunning);
  o.pods = std::vector<PodReport>{};
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.phase, Phase::kReturning);
  EXPECT_FALSE(step.node.Failed());
}

TEST(Booking, APodThatCameTakesThePlaceThatWasKeptForIt) {
  World world = EmptyWorld(kStart + 2h);
  BurstNode node = NodeIn(Phase::kRunning);
  node.pods = {{"vision/ahead:0:0", "r/0:0"}, {"vision/ahead:0:1", "r/0:1"}};
  world.snapshot.burst_nodes = {node};
  world.snapshot.shapes.emplace_back();
  world.snapshot.workloads.emplace_back();
  world.snapshot.workloads[0].key = "vision/ProvisioningRequest/ahead";
  world.snapshot.workloads[0].pods = {0};
  Pod& pod = world.snapshot.pods.emplace_back();
  pod.key = "vision/hash", pod.uid = "uid-hash", pod.ns = "vision", pod.workload = 0;
  pod.takes = "r/0:1";
  Observation seen = AllWell(node, kStart + 2h);
  seen.pods = std::vector<PodReport>{{.key = "vision/ahead:0:0", .uid = "r/0:0", .promised = true},
                                     {.key = "vision/ahead:0:1", .uid = "r/0:1", .promised = true}};
  world.observations["bn-00001"] = seen;
  RoundResult result = Decide(world, {});
  ASSERT_THAT(result.changed, SizeIs(1));
  EXPECT_THAT(result.changed[0].pods,
              ElementsAre(PodRef{"vision/ahead:0:0", "r/0:0"}, PodRef{"vision/hash", "uid-hash"}));
  EXPECT_EQ(result.changed[0].announced, node.pods) << "what was decided stays on record";
  EXPECT_EQ(result.look_again, world.snapshot.now);
  EXPECT_THAT(result.plan.rentals, IsEmpty()) << "it has its place";
  // A node that is leaving gives no places.
  world = EmptyWorld(kStart + 2h);
  node.phase = Phase::kReturning;
  world.snapshot.burst_nodes = {node};
  world.snapshot.pods.push_back(Pod{.key = "vision/hash", .uid = "uid-hash", .takes = "r/0:1"});
  world.snapshot.pods[0].node = "elsewhere";
  world.observations["bn-00001"] = AllWell(node, kStart + 2h);
  result = Decide(world, {});
  for (const BurstNode& changed : result.changed) EXPECT_EQ(changed.pods, node.pods);
  EXPECT_EQ(world.snapshot.burst_nodes[0].pods, node.pods);
}

}  // namespace
}  // namespace spillway::control
