// Rules between pods, from waiting pod to rental.
#include <gtest/gtest.h>

#include <set>

#include "plan/planner.h"
#include "plan/snapshot_builder.h"

namespace spillway::plan {
namespace {

constexpr const char* kRegion = "topology.kubernetes.io/region";
constexpr const char* kHostname = "kubernetes.io/hostname";

// A full site, and one provider with two regions; instances of the first one are cheaper.
class RulesTest : public testing::Test {
 protected:
  RulesTest() {
    Node& node = builder_.SiteNode("n1", 1);
    node.labels[kRegion] = "home";
    builder_.Runs("a", "one", "n1", GpuShape(1));
    builder_.Provider("p");
    builder_.MayRent("rules", {"a"}).max_nodes = 8;
    for (const char* region : {"east", "west"}) {
      Offer& offer = builder_.Sells("p", "big", 8, Money::Euro(region[0] == 'e' ? 8 : 9));
      offer.region = region;
      offer.labels[kRegion] = region;
    }
  }
  PodShape Shape() {
    PodShape shape = GpuShape(1);
    shape.groups = {0};
    return shape;
  }
  Plan Make() {
    world_ = builder_.Build();
    world_.groups.resize(1);
    return MakePlan(world_);
  }
  std::string RegionOf(const Rental& rental) const {
    return world_.offers[static_cast<std::size_t>(rental.offer)].region;
  }

  SnapshotBuilder builder_;
  Snapshot world_;
};

TEST_F(RulesTest, WithoutRulesTheyShareTheCheapestInstance) {
  builder_.Waits("a", "job", 4, Shape());
  const Plan plan = Make();
  ASSERT_EQ(plan.rentals.size(), 1u);
  EXPECT_EQ(plan.rentals[0].pods.size(), 4u);
}

TEST_F(RulesTest, AntiAffinityByHostnameRentsOneInstanceEach) {
  PodShape shape = Shape();
  shape.anti_affinity = {{0, kHostname}};
  builder_.Waits("a", "job", 3, shape);
  const Plan plan = Make();
  ASSERT_EQ(plan.rentals.size(), 3u);
  for (const Rental& rental : plan.rentals) EXPECT_EQ(rental.pods.size(), 1u);
}

TEST_F(RulesTest, AntiAffinityByRegionRentsOneInEachAndSaysWhyNotMore) {
  PodShape shape = Shape();
  shape.anti_affinity = {{0, kRegion}};
  for (const char* name : {"x", "y", "z"}) builder_.Waits("a", name, 1, shape);
  const Plan plan = Make();
  ASSERT_EQ(plan.rentals.size(), 2u);
  EXPECT_EQ((std::set{RegionOf(plan.rentals[0]), RegionOf(plan.rentals[1])}),
            (std::set<std::string>{"east", "west"}));
  const Decision& last = plan.decisions[2];
  EXPECT_EQ(last.reason, Reason::kNoOfferFits);
  EXPECT_NE(last.sentence.find("rules about other pods"), std::string::npos) << last.sentence;
}

TEST_F(RulesTest, ThePodsAtHomeKeepThemOff) {
  PodShape shy = GpuShape(0);
  shy.anti_affinity = {{0, kRegion}};
  builder_.Runs("a", "shy", "n1", shy);
  builder_.SiteNode("n2", 8).labels[kRegion] = "home";
  builder_.Waits("a", "job", 1, Shape());
  const Plan plan = Make();
  ASSERT_EQ(plan.rentals.size(), 1u);  // n2 has room, in a region that it may not go to
}

TEST_F(RulesTest, HostPortsKeepThemApart) {
  PodShape shape = GpuShape(1);
  shape.host_ports = {{8080, "TCP", ""}};
  builder_.Waits("a", "job", 2, shape);
  EXPECT_EQ(Make().rentals.size(), 2u);
}

TEST_F(RulesTest, SpreadByHostnameCountsTheNodesOfTheSite) {
  PodShape shape = Shape();
  shape.spread = {{.key = kHostname, .group = 0, .counts_self = true}};
  builder_.Waits("a", "job", 3, shape);
  const Plan plan = Make();
  // The site's node holds none of them, so no other may hold two.
  ASSERT_EQ(plan.rentals.size(), 3u);
}

TEST_F(RulesTest, AGangThatWantsToBeTogetherIs) {
  PodShape shape = GpuShape(8);
  shape.groups = {0};
  shape.affinity_group = 0;
  shape.affinity_keys = {kRegion};
  builder_.Gang("a", "train", 3, shape);
  const Plan plan = Make();
  ASSERT_EQ(plan.rentals.size(), 3u);
  for (const Rental& rental : plan.rentals) EXPECT_EQ(RegionOf(rental), RegionOf(plan.rentals[0]));
}

TEST_F(RulesTest, AGangWhoseRulesCannotBeKeptIsNotRentedFor) {
  PodShape shape = Shape();
  shape.anti_affinity = {{0, kRegion}};
  builder_.Gang("a", "train", 2, shape);
  const Plan plan = Make();
  EXPECT_TRUE(plan.rentals.empty());
  EXPECT_EQ(plan.decisions[0].reason, Reason::kNoOfferFits);
}

TEST_F(RulesTest, AffinityToAPodThatIsOnARentedNode) {
  PodShape host = Shape(), guest = GpuShape(1);
  guest.affinity_group = 0;
  guest.affinity_keys = {kRegion};
  builder_.Waits("a", "host", 1, host).priority = 1;
  builder_.Waits("a", "lonely", 1, guest);
  const Plan plan = Make();
  ASSERT_EQ(plan.rentals.size(), 2u);
  EXPECT_EQ(RegionOf(plan.rentals[0]), RegionOf(plan.rentals[1]));
}

TEST_F(RulesTest, DaemonsTakeTheirPartOfEachNode) {
  builder_.Waits("a", "job", 8, GpuShape(1));
  world_ = builder_.Build();
  EXPECT_EQ(MakePlan(world_).rentals.size(), 1u);
  PodShape agent;
  agent.requests.memory_bytes = Gpus(8).memory_bytes / 2 + 1;
  agent.tolerations = {Toleration{.exists = true}};
  world_.daemons = {agent};
  EXPECT_EQ(MakePlan(world_).rentals.size(), 2u);
}

TEST_F(RulesTest, ANodeThatIsRentedLaterDoesNotSpoilWhatWasRentedBefore) {
  // One of its kind runs on every node there is, so two may share the first new one; a second new
  // node would be a domain without any.
  PodShape spread = Shape(), other = GpuShape(8);
  spread.spread = {{.key = kHostname, .group = 0, .counts_self = true}};
  builder_.Runs("a", "kind", "n1", [] {
    PodShape shape = GpuShape(0);
    shape.groups = {0};
    return shape;
  }());
  builder_.Waits("a", "pair", 2, spread).priority = 1;
  builder_.Waits("a", "other", 1, other);
  const Plan plan = Make();
  int most = 0;
  for (const Rental& rental : plan.rentals)
    if (rental.workload == "a/Job/pair")
      most = std::max(most, static_cast<int>(rental.pods.size()));
  EXPECT_TRUE(most == 1 || plan.rentals.size() == 1) << most << " " << plan.rentals.size();
}

TEST_F(RulesTest, DifferentPodsOfOneWorkloadAreExplainedByWhatWasRented) {
  PodShape never = Shape();
  never.node_selector = {{"nvidia.com/gpu.product", "B200"}};
  builder_.Waits("a", "mixed", 2, GpuShape(1));
  builder_.Waits("a", "never", 1, never);
  Snapshot world = builder_.Build();
  world.groups.resize(1);
  // The pod that no offer takes comes first, in the same workload as the others.
  std::int32_t moved = -1;
  for (std::size_t i = 0; i < world.pods.size(); ++i)
    if (world.pods[i].key == "a/never-1000") moved = static_cast<std::int32_t>(i);
  ASSERT_GE(moved, 0);
  for (std::size_t i = 0; i < world.workloads.size(); ++i)
    if (world.workloads[i].key == "a/Job/mixed") {
      world.workloads[i].pods.insert(world.workloads[i].pods.begin(), moved);
      world
          .workloads[static_cast<std::size_t>(world.pods[static_cast<std::size_t>(moved)].workload)]
          .pods.clear();
      world.pods[static_cast<std::size_t>(moved)].workload = static_cast<std::int32_t>(i);
    }
  const Plan plan = MakePlan(world);
  ASSERT_EQ(plan.decisions.size(), 1u);
  EXPECT_EQ(plan.decisions[0].verdict, Verdict::kRent);
  const Explanation& why =
      plan.explanations[static_cast<std::size_t>(plan.decisions[0].explanation)];
  EXPECT_EQ(why.offers[0].reason, OfferReason::kChosen);
}

TEST_F(RulesTest, GatedAndNominatedPodsAreLeftAlone) {
  builder_.Waits("a", "gated", 1, GpuShape(1));
  builder_.Waits("a", "nominated", 1, GpuShape(1));
  builder_.Gang("a", "part", 2, GpuShape(1));
  builder_.PodNamed("a/gated-1000").gated = true;
  builder_.PodNamed("a/nominated-1000").nominated = "n1";
  builder_.PodNamed("a/part-1001").gated = true;
  const Plan plan = Make();
  EXPECT_TRUE(plan.decisions.empty());
  EXPECT_TRUE(plan.rentals.empty());
}

TEST_F(RulesTest, AVolumeThatIsOnlyAtTheSiteIsNotFollowed) {
  PodShape shape = GpuShape(1);
  shape.volume_rules = {{"", false, {{{{kRegion, SelectorOperator::kIn, {"home"}}}, {}}}}};
  builder_.Waits("a", "job", 1, shape);
  const Plan plan = Make();
  EXPECT_TRUE(plan.rentals.empty());
  EXPECT_EQ(plan.decisions[0].reason, Reason::kNoOfferFits);
}

TEST_F(RulesTest, AClaimThatIsNotThereIsTheReason) {
  PodShape shape = GpuShape(1);
  shape.nowhere = "persistentvolumeclaim \"c\" not found";
  builder_.Waits("a", "job", 1, shape);
  const Plan plan = Make();
  EXPECT_EQ(plan.decisions[0].reason, Reason::kInputsUnknown);
  EXPECT_NE(plan.decisions[0].sentence.find("\"c\" not found"), std::string::npos);
}

}  // namespace
}  // namespace spillway::plan
