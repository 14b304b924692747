// Every filter alone. That all of them together agree with kube-scheduler is compared by
// tests/integration/planner_oracle_test.cc.
#include "plan/placement.h"

#include <gtest/gtest.h>

namespace spillway::plan {
namespace {

constexpr const char* kZone = "topology.kubernetes.io/zone";

// Two nodes in zone a, one in zone b, and pods by hand.
class PlacementTest : public testing::Test {
 protected:
  PlacementTest() {
    for (const auto& [name, zone] :
         {std::pair("n1", "a"), std::pair("n2", "a"), std::pair("n3", "b")}) {
      Node& node = world_.nodes.emplace_back();
      node.name = name;
      node.labels = {{std::string(kHostnameLabel), name}, {kZone, zone}};
      node.allocatable.cpu_milli = 4000;
    }
  }

  std::int32_t Shape(PodShape shape) {
    world_.shapes.push_back(std::move(shape));
    return static_cast<std::int32_t>(world_.shapes.size()) - 1;
  }
  std::int32_t Group() {
    world_.groups.emplace_back();
    return static_cast<std::int32_t>(world_.groups.size()) - 1;
  }
  Pod& Bound(std::int32_t shape, const char* node) {
    Pod& pod = world_.pods.emplace_back();
    pod.shape = shape;
    pod.node = node;
    return pod;
  }
  std::vector<int> Nodes(std::int32_t shape) const { return Nodes(Placement(world_), shape); }
  static std::vector<int> Nodes(const Placement& placement, std::int32_t shape,
                                Entry entry = Entry::kAsItIs) {
    std::vector<int> out;
    for (std::int32_t node = 0; node < placement.size(); ++node) {
      if (placement.Fits(shape, node, entry)) out.push_back(node + 1);
      EXPECT_EQ(placement.Fits(shape, node, entry), placement.WhyNot(shape, node, entry).empty());
    }
    return out;
  }
  PodShape Member(std::int32_t group) {
    PodShape shape;
    shape.groups = {group};
    return shape;
  }
  SpreadRule Over(const char* key, std::int32_t group) {
    return {.key = key, .group = group, .counts_self = true};
  }

  Snapshot world_;
};

TEST_F(PlacementTest, RoomAndNumberOfPods) {
  PodShape large;
  large.requests.cpu_milli = 3000;
  const std::int32_t shape = Shape(large);
  world_.nodes[1].max_pods = 1;
  Bound(shape, "n1");
  Bound(Shape({}), "n2");
  EXPECT_EQ(Nodes(shape), std::vector{3});
  EXPECT_EQ(Placement(world_).WhyNot(shape, 0), "Insufficient cpu");
  EXPECT_EQ(Placement(world_).WhyNot(shape, 1), "Too many pods");
}

TEST_F(PlacementTest, APodThatRoomIsMadeForHoldsIt) {
  PodShape large;
  large.requests.cpu_milli = 3000;
  const std::int32_t shape = Shape(large);
  Bound(shape, "").nominated = "n2";
  EXPECT_EQ(Nodes(shape), (std::vector{1, 3}));
}

TEST_F(PlacementTest, HostPorts) {
  PodShape any, local, other, udp;
  any.host_ports = {{8080, "TCP", ""}};
  local.host_ports = {{8080, "TCP", "127.0.0.1"}};
  other.host_ports = {{8080, "TCP", "127.0.0.2"}};
  udp.host_ports = {{8080, "UDP", ""}};
  Bound(Shape(local), "n1");
  EXPECT_EQ(Nodes(Shape(any)), (std::vector{2, 3}));
  EXPECT_EQ(Nodes(Shape(other)), (std::vector{1, 2, 3}));
  EXPECT_EQ(Nodes(Shape(udp)), (std::vector{1, 2, 3}));
}

TEST_F(PlacementTest, VolumesSayWhere) {
  PodShape bound, chosen;
  bound.volume_rules = {{"", false, {{{{kZone, SelectorOperator::kIn, {"b"}}}, {}}}}};
  chosen.volume_rules = {{"n2", true, {}}};
  EXPECT_EQ(Nodes(Shape(bound)), std::vector{3});
  EXPECT_EQ(Nodes(Shape(chosen)), std::vector{2});
}

TEST_F(PlacementTest, VolumesPerNodeAndDriver) {
  for (Node& node : world_.nodes) node.volume_limits = {{"d", 2}};
  PodShape one, same, two;
  one.attached = {{"d", "v1"}};
  two.attached = {{"d", "v2"}, {"d", "v3"}};
  same.attached = {{"d", "v1"}, {"d", "v2"}, {"e", "v3"}};
  Bound(Shape(one), "n1");
  EXPECT_EQ(Nodes(Shape(two)), (std::vector{2, 3}));
  EXPECT_EQ(Nodes(Shape(same)), (std::vector{1, 2, 3}));
}

TEST_F(PlacementTest, AReadWriteOncePodClaimIsForOne) {
  PodShape shape;
  shape.exclusive_claims = {"ns/c"};
  const std::int32_t index = Shape(shape);
  EXPECT_EQ(Nodes(index), (std::vector{1, 2, 3}));
  Placement placement(world_);
  placement.Put(index, 1);
  EXPECT_TRUE(Nodes(placement, index).empty());
  placement.Remove(index, 1);
  EXPECT_EQ(Nodes(placement, index), (std::vector{1, 2, 3}));
}

TEST_F(PlacementTest, WhatFitsNowhereOrIsNotUnderstood) {
  PodShape nowhere, strange;
  nowhere.nowhere = "persistentvolumeclaim \"c\" not found";
  strange.not_understood = {"resourceClaims"};
  const std::int32_t a = Shape(nowhere), b = Shape(strange);
  const Placement placement(world_);
  EXPECT_EQ(placement.WhyNot(a, 0), "persistentvolumeclaim \"c\" not found");
  EXPECT_EQ(placement.WhyNot(b, 0), "pod uses resourceClaims, which is not understood");
  EXPECT_FALSE(placement.Fits(a, 0));
  EXPECT_FALSE(placement.Fits(b, 0));
}

TEST_F(PlacementTest, AffinityToAPodsZone) {
  const std::int32_t group = Group();
  PodShape shape;
  shape.affinity_group = group;
  shape.affinity_keys = {kZone};
  const std::int32_t guest = Shape(shape), host = Shape(Member(group));
  EXPECT_TRUE(Nodes(guest).empty());
  Bound(host, "n1");
  EXPECT_EQ(Nodes(guest), (std::vector{1, 2}));
}

TEST_F(PlacementTest, TheFirstOfItsKindGoesAnywhereThatHasTheLabel) {
  const std::int32_t group = Group();
  PodShape shape = Member(group);
  shape.affinity_group = group;
  shape.affinity_keys = {kZone};
  const std::int32_t index = Shape(shape);
  world_.nodes[1].labels.own().erase(kZone);
  EXPECT_EQ(Nodes(index), (std::vector{1, 3}));
  Placement placement(world_);
  placement.Put(index, 2);
  EXPECT_EQ(Nodes(placement, index), std::vector{3});
}

TEST_F(PlacementTest, AntiAffinityOfThePodAndOfThoseThere) {
  const std::int32_t group = Group();
  PodShape shy;
  shy.anti_affinity = {{group, kZone}};
  const std::int32_t keeps_off = Shape(shy), member = Shape(Member(group));
  Placement placement(world_);
  placement.Put(member, 0);
  EXPECT_EQ(Nodes(placement, keeps_off), std::vector{3});
  EXPECT_EQ(placement.WhyNot(keeps_off, 0), "node(s) didn't match pod anti-affinity rules");
  placement.Remove(member, 0);
  placement.Put(keeps_off, 2);
  EXPECT_EQ(Nodes(placement, member), (std::vector{1, 2}));
  EXPECT_EQ(placement.WhyNot(member, 2),
            "node(s) didn't satisfy existing pods anti-affinity rules");
  EXPECT_EQ(Nodes(placement, keeps_off), (std::vector{1, 2, 3}));  // it is no member itself
}

TEST_F(PlacementTest, SpreadOverZones) {
  const std::int32_t group = Group();
  PodShape shape = Member(group);
  shape.spread = {Over(kZone, group)};
  const std::int32_t index = Shape(shape);
  Placement placement(world_);
  EXPECT_EQ(Nodes(placement, index), (std::vector{1, 2, 3}));
  placement.Put(index, 0);
  EXPECT_EQ(Nodes(placement, index), std::vector{3});
  placement.Put(index, 2);
  EXPECT_EQ(Nodes(placement, index), (std::vector{1, 2, 3}));
  placement.Remove(index, 2);
  EXPECT_EQ(Nodes(placement, index), std::vector{3});
  // Who is being deleted does not count.
  placement.Put(index, 2, false);
  EXPECT_EQ(Nodes(placement, index), std::vector{3});
}

TEST_F(PlacementTest, SpreadMinimumOfDomains) {
  const std::int32_t group = Group();
  PodShape shape = Member(group);
  shape.spread = {Over(kZone, group)};
  shape.spread[0].min_domains = 3;
  const std::int32_t index = Shape(shape);
  Bound(index, "n1"), Bound(index, "n3");
  EXPECT_TRUE(Nodes(index).empty());
}

TEST_F(PlacementTest, SpreadHonoursOrIgnoresWhereThePodCannotGo) {
  const std::int32_t group = Group();
  PodShape shape = Member(group);
  shape.spread = {Over(kZone, group)};
  shape.node_selector = {{kZone, "a"}};
  const std::int32_t honours = Shape(shape);
  shape.spread[0].honor_affinity = false;
  const std::int32_t ignores = Shape(shape);
  Bound(honours, "n1");
  EXPECT_EQ(Nodes(honours), (std::vector{1, 2}));
  EXPECT_TRUE(Nodes(ignores).empty());

  world_.nodes[2].taints = {{"x", "", TaintEffect::kNoSchedule}};
  shape.node_selector.clear();
  const std::int32_t counts_tainted = Shape(shape);
  shape.spread[0].honor_taints = true;
  const std::int32_t leaves_out_tainted = Shape(shape);
  EXPECT_TRUE(Nodes(counts_tainted).empty());
  EXPECT_EQ(Nodes(leaves_out_tainted), (std::vector{1, 2}));
}

TEST_F(PlacementTest, ANodeWithoutTheLabelOfASpreadRuleIsOut) {
  const std::int32_t group = Group();
  PodShape shape = Member(group);
  shape.spread = {Over(kZone, group)};
  world_.nodes[0].labels.own().erase(kZone);
  EXPECT_EQ(Nodes(Shape(shape)), (std::vector{2, 3}));
}

TEST_F(PlacementTest, ANewNodeCountsAndGoesAgain) {
  const std::int32_t group = Group();
  PodShape shape = Member(group);
  shape.spread = {Over("kubernetes.io/hostname", group)};
  const std::int32_t index = Shape(shape);
  for (const char* node : {"n1", "n2", "n3"}) Bound(index, node);
  Placement placement(world_);
  EXPECT_EQ(Nodes(placement, index), (std::vector{1, 2, 3}));
  Node fresh = world_.nodes[0];
  fresh.name = fresh.labels["kubernetes.io/hostname"] = "n4";
  fresh.taints = {{std::string(kBurstTaint), "n4", TaintEffect::kNoSchedule}};
  const std::int32_t at = placement.AddNode(fresh);
  EXPECT_EQ(placement.Find("n4"), at);
  EXPECT_TRUE(
      Nodes(placement, index).empty());  // its taint keeps the pod off; it counts all the same
  EXPECT_EQ(Nodes(placement, index, Entry::kAdmitted), std::vector{4});
  placement.DropLastNode();
  EXPECT_EQ(placement.Find("n4"), -1);
  EXPECT_EQ(Nodes(placement, index), (std::vector{1, 2, 3}));
}

TEST_F(PlacementTest, CopiesAreIndependent) {
  PodShape large;
  large.requests.cpu_milli = 3000;
  const std::int32_t shape = Shape(large);
  Placement placement(world_), copy = placement;
  copy.Put(shape, 0);
  EXPECT_TRUE(placement.Fits(shape, 0));
  EXPECT_FALSE(copy.Fits(shape, 0));
}

TEST_F(PlacementTest, OnlyRulesAndPortsMakePodsRelated) {
  const std::int32_t group = Group();
  PodShape shy;
  shy.anti_affinity = {{group, kZone}};
  const std::int32_t plain = Shape({}), member = Shape(Member(group)), keeps_off = Shape(shy);
  const Placement placement(world_);
  EXPECT_FALSE(placement.Related(plain));
  EXPECT_TRUE(placement.Related(member));
  EXPECT_TRUE(placement.Related(keeps_off));
}

}  // namespace
}  // namespace spillway::plan
