#include "plan/fit.h"

#include <gtest/gtest.h>

#include "plan/site.h"
#include "plan/snapshot_builder.h"

namespace spillway::plan {
namespace {

Node SomeNode() {
  Node node;
  node.name = "n1";
  node.labels = {{"gpu", "A100"}, {"zone", "a"}};
  node.allocatable = Gpus(4);
  return node;
}

// The answer for a node with this much room.
std::string WhyNot(const PodShape& shape, Node node, const Resources& free) {
  node.allocatable = free;
  Snapshot snapshot;
  snapshot.nodes = {std::move(node)};
  snapshot.shapes = {shape};
  return Placement(snapshot).WhyNot(0, 0);
}

TEST(WhyNot, AnEmptyFittingNodeHasNoReason) {
  EXPECT_EQ(WhyNot(GpuShape(4), SomeNode(), Gpus(4)), "");
}

TEST(WhyNot, NamesTheResourceThatIsShort) {
  EXPECT_EQ(WhyNot(GpuShape(5), SomeNode(), Gpus(4)), "Insufficient nvidia.com/gpu");
  PodShape shape = GpuShape(1);
  shape.requests.cpu_milli = 1'000'000;
  EXPECT_EQ(WhyNot(shape, SomeNode(), Gpus(4)), "Insufficient cpu");
}

TEST(WhyNot, TaintsNeedTolerations) {
  Node node = SomeNode();
  node.taints = {{"team", "x", TaintEffect::kNoExecute}};
  PodShape shape = GpuShape(1);
  EXPECT_EQ(WhyNot(shape, node, Gpus(4)), "node(s) had untolerated taint {team: x}");
  shape.tolerations = {Toleration{.key = "team", .exists = true}};
  EXPECT_EQ(WhyNot(shape, node, Gpus(4)), "");
  node.taints = {{"soft", "", TaintEffect::kPreferNoSchedule}};
  EXPECT_EQ(WhyNot(GpuShape(1), node, Gpus(4)), "");
}

TEST(WhyNot, CordonedAndNotReadyNodesTakeNothingThatDoesNotTolerateIt) {
  Node node = SomeNode();
  node.unschedulable = true;
  EXPECT_EQ(WhyNot(GpuShape(1), node, Gpus(4)), "node(s) were unschedulable");
  PodShape all = GpuShape(1);
  all.tolerations = {Toleration{.exists = true}};
  EXPECT_EQ(WhyNot(all, node, Gpus(4)), "");
  node.unschedulable = false;
  node.ready = false;
  EXPECT_NE(WhyNot(GpuShape(1), node, Gpus(4)), "");
}

TEST(WhyNot, SelectorAndAffinityMustBothMatch) {
  PodShape shape = GpuShape(1);
  shape.node_selector = {{"gpu", "H100"}};
  EXPECT_EQ(WhyNot(shape, SomeNode(), Gpus(4)),
            "node(s) didn't match Pod's node affinity/selector");
  EXPECT_EQ(FirstMismatch(shape, SomeNode().labels, "n1"), "gpu");
  shape.node_selector = {{"gpu", "A100"}};
  shape.has_required_affinity = true;
  EXPECT_EQ(FirstMismatch(shape, SomeNode().labels, "n1"), "affinity");
  shape.required_terms = {{{{"zone", SelectorOperator::kIn, {"b"}}}, {}},
                          {{{"zone", SelectorOperator::kIn, {"a"}}}, {}}};
  EXPECT_EQ(WhyNot(shape, SomeNode(), Gpus(4)), "");
  shape.required_terms.pop_back();
  EXPECT_EQ(FirstMismatch(shape, SomeNode().labels, "n1"), "zone");
  shape.required_terms = {{{}, {{"metadata.name", SelectorOperator::kIn, {"n2"}}}}};
  EXPECT_EQ(FirstMismatch(shape, SomeNode().labels, "n1"), "metadata.name");
}

TEST(SiteRoom, BoundPodsTakeRoomAndRentedNodesAreNotTheSite) {
  SnapshotBuilder builder;
  builder.SiteNode("n1", 2);
  builder.SiteNode("rented", 8).rented = true;
  builder.Runs("a", "one", "n1", GpuShape(1));
  builder.Waits("a", "job", 1, GpuShape(1));
  const Snapshot snapshot = builder.Build();
  Placement ground(snapshot);
  SiteRoom site(snapshot, ground);
  EXPECT_TRUE(site.Place(0));
  EXPECT_FALSE(site.Place(0));
}

TEST(SiteRoom, AGangThatDoesNotFitLeavesEverythingFree) {
  SnapshotBuilder builder;
  builder.SiteNode("n1", 3);
  builder.SiteNode("n2", 3);
  builder.Waits("a", "job", 1, GpuShape(2));
  const Snapshot snapshot = builder.Build();
  Placement ground(snapshot);
  SiteRoom site(snapshot, ground);
  EXPECT_FALSE(site.PlaceAll({0, 0, 0}));
  EXPECT_TRUE(site.PlaceAll({0, 0}));
  EXPECT_FALSE(site.PlaceAll({0}));
  EXPECT_TRUE(site.PlaceAll({}));
}

TEST(QuotaRoom, CountsGpusAndPods) {
  SnapshotBuilder builder;
  QuotaState& quota = builder.HasQuota("a");
  quota.gpus_hard = 4, quota.gpus_used = 2;
  quota.pods_hard = 3;
  const Snapshot snapshot = builder.Build();
  QuotaRoom room(snapshot);
  EXPECT_FALSE(room.Take("a", 3, 1));
  EXPECT_TRUE(room.Take("a", 2, 1));
  EXPECT_FALSE(room.Take("a", 1, 1));
  EXPECT_TRUE(room.Take("a", 0, 2));
  EXPECT_FALSE(room.Take("a", 0, 1));
  EXPECT_TRUE(room.Take("b", 100, 100));
}

}  // namespace
}  // namespace spillway::plan
