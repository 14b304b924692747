#include "plan/mix.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "plan/bindable.h"
#include "plan/planner.h"
#include "plan/snapshot_builder.h"

namespace spillway::plan {
namespace {

constexpr const char* kZone = "topology.kubernetes.io/zone";

class MixTest : public testing::Test {
 protected:
  // Sizes 1 to 16 in each of three zones, at one price per CPU.
  MixTest() {
    builder_.MayRent("all", {"lab"}).max_nodes = 1'000;
    builder_.Provider("vendor");
    for (const char* zone : {"a", "b", "c"})
      for (std::int64_t size = 1; size <= 16; ++size) {
        Offer& offer =
            builder_.Sells("vendor", fmt::format("size-{:02}", size), 0, Money::Cents(30) * size);
        offer.region = zone;
        offer.labels = {{kZone, zone}};
        offer.allocatable.cpu_milli = 1'000 * size - 100;
        offer.allocatable.memory_bytes = (std::int64_t{2} << 30) * size;
      }
  }

  static PodShape Shape(std::int64_t cpu_milli, std::int64_t memory_mib) {
    PodShape shape;
    shape.requests.cpu_milli = cpu_milli;
    shape.requests.memory_bytes = memory_mib << 20;
    return shape;
  }

  // Pods of random sizes, each a workload of its own.
  template <typename Rules>
  void Wait(int pods, Rules rules) {
    Rng rng(11);
    for (int i = 0; i < pods; ++i) {
      PodShape shape = Shape(100 * rng.Between(1, 15), 128 * rng.Between(1, 32));
      rules(i, shape);
      builder_.Waits("lab", fmt::format("pod-{:04}", i), 1, shape);
    }
  }

  static Money Total(const Plan& plan) {
    Money total;
    for (const Rental& rental : plan.rentals) total += rental.forecast.total;
    return total;
  }
  static std::size_t Pods(const Plan& plan) {
    std::size_t pods = 0;
    for (const Rental& rental : plan.rentals) pods += rental.pods.size();
    return pods;
  }

  // That the scheduler can bring the plan about.
  static void ExpectBindable(const Snapshot& world, const Plan& plan) {
    Placement ground(world);
    std::vector<Bound> pods;
    for (std::size_t i = 0; i < plan.rentals.size(); ++i) {
      const std::int32_t node =
          ground.AddNode(NodeOf(world.offers[static_cast<std::size_t>(plan.rentals[i].offer)],
                                world.daemons, fmt::format("node-{}", i)));
      for (const std::int32_t pod : plan.rentals[i].pods) {
        pods.emplace_back(world.pods[static_cast<std::size_t>(pod)].shape, node);
        ground.Put(pods.back().first, node);
      }
    }
    EXPECT_THAT(Unbindable(ground, pods), testing::IsEmpty());
  }

  SnapshotBuilder builder_;
};

TEST_F(MixTest, DifferentPodsFillInstancesTogether) {
  Wait(300, [](int, PodShape&) {});
  const Snapshot world = builder_.Build();
  const Plan plan = MakePlan(world);
  EXPECT_EQ(Pods(plan), 300u);
  ExpectBindable(world, plan);
  // Less than a tenth above what the pods ask for, at the price of the resource they want most of.
  std::int64_t cpu = 0, memory = 0;
  for (const Pod& pod : world.pods) {
    cpu += world.shapes[static_cast<std::size_t>(pod.shape)].requests.cpu_milli;
    memory += world.shapes[static_cast<std::size_t>(pod.shape)].requests.memory_bytes;
  }
  const std::int64_t needed = std::max(cpu / 1'000, memory >> 31);
  const Money bound =
      MakeForecast(Index(world, {}), world.policies[0], 0, {10min, 30min, 0, 0}).total * needed;
  EXPECT_LT(Total(plan), Money::Micro(bound.micro() * 11 / 10));
}

TEST_F(MixTest, PodsWithDifferentDemandsShareInstances) {
  Wait(200, [](int i, PodShape& shape) {
    if (i % 2 == 0) shape.node_selector = {{kZone, "b"}};
  });
  const Snapshot world = builder_.Build();
  const Plan plan = MakePlan(world);
  EXPECT_EQ(Pods(plan), 200u);
  int shared = 0;
  for (const Rental& rental : plan.rentals) {
    int picky = 0;
    for (const std::int32_t pod : rental.pods)
      picky +=
          !world.shapes[static_cast<std::size_t>(world.pods[static_cast<std::size_t>(pod)].shape)]
               .node_selector.empty();
    if (picky > 0) {
      EXPECT_EQ(world.offers[static_cast<std::size_t>(rental.offer)].region, "b");
    }
    shared += picky > 0 && picky < static_cast<int>(rental.pods.size());
  }
  EXPECT_GT(shared, 0);
}

TEST_F(MixTest, RulesBetweenPodsAreKept) {
  Wait(400, [](int i, PodShape& shape) {
    shape.groups = {i % 4};
    if (i % 8 == 1) shape.anti_affinity = {{1, "kubernetes.io/hostname"}};
    if (i % 8 == 2) shape.spread = {{.key = kZone, .group = 2, .counts_self = true}};
    if (i % 8 == 3) shape.affinity_group = 3, shape.affinity_keys = {kZone};
    if (i % 8 == 4) shape.spread = {{.key = "kubernetes.io/hostname", .group = 2}};
  });
  Snapshot world = builder_.Build();
  world.groups.resize(4);
  const Plan plan = MakePlan(world);
  EXPECT_EQ(Pods(plan), 400u);
  ExpectBindable(world, plan);
  for (const Decision& decision : plan.decisions) {
    EXPECT_EQ(decision.verdict, Verdict::kRent);
    EXPECT_EQ(decision.explanation, plan.decisions.front().explanation);
  }
}

TEST_F(MixTest, WhatCannotBeHelpedDoesNotHoldUpTheRest) {
  Wait(300, [](int i, PodShape& shape) {
    if (i == 17) shape.requests.cpu_milli = 64'000;
  });
  const Snapshot world = builder_.Build();
  const Plan plan = MakePlan(world);
  EXPECT_EQ(Pods(plan), 299u);
  EXPECT_EQ(plan.decisions[17].verdict, Verdict::kRefuse);
  EXPECT_EQ(plan.decisions[17].reason, Reason::kNoOfferFits);
}

TEST_F(MixTest, LimitsAreKeptAndTheFirstComeFirst) {
  Wait(300, [](int, PodShape&) {});
  Snapshot world = builder_.Build();
  world.policies[0].max_nodes = 3;
  const Plan plan = MakePlan(world);
  EXPECT_EQ(plan.rentals.size(), 3u);
  EXPECT_EQ(plan.decisions.front().verdict, Verdict::kRent);
  EXPECT_EQ(plan.decisions.back().reason, Reason::kNodeLimit);
}

TEST_F(MixTest, ABudgetThatIsTooSmallIsToldAsEver) {
  Wait(300, [](int, PodShape&) {});
  builder_.HasBudget("small", {"lab"}, Money::Euro(2));
  const Snapshot world = builder_.Build();
  const Plan plan = MakePlan(world);
  Money worst;
  for (const Rental& rental : plan.rentals) worst += rental.forecast.worst_case;
  EXPECT_LE(worst, Money::Euro(2));
  EXPECT_GT(plan.rentals.size(), 0u);
  EXPECT_EQ(plan.decisions.back().reason, Reason::kBudget);
}

TEST_F(MixTest, InputsAreStagedOncePerInstance) {
  Wait(200, [](int, PodShape&) {});
  Snapshot world = builder_.Build();
  for (Workload& workload : world.workloads) {
    workload.data_class_source = "Dataset lab/images";
    workload.input_bytes = std::int64_t{50} << 30;
  }
  const Plan plan = MakePlan(world);
  EXPECT_EQ(Pods(plan), 200u);
  for (const Rental& rental : plan.rentals)
    EXPECT_EQ(rental.forecast.stage, plan.rentals.front().forecast.stage);
}

}  // namespace
}  // namespace spillway::plan
