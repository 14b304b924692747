#include "plan/pack.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace spillway::plan {
namespace {

// Offers with a size, a fixed price and a price per minute of the longest item, billed in steps.
struct Kit {
  struct Machine {
    int account = 0, size = 1;
    std::int64_t fixed = 0, per_minute = 1, step = 1;
  };
  std::vector<Machine> machines;
  std::vector<std::int64_t> minutes;  // by item, falling
  std::vector<int> limits;
  int max_instances = 100;

  std::int64_t Cost(const Machine& machine, std::int64_t longest, int count) const {
    if (count > machine.size) return kDoesNotFit;
    const std::int64_t billed = (longest + machine.step - 1) / machine.step * machine.step;
    return machine.fixed + billed * machine.per_minute + count;
  }

  PackProblem Problem() const {
    PackProblem problem;
    for (const std::int64_t minute : minutes) problem.kinds.push_back(static_cast<int>(minute));
    for (const Machine& machine : machines) problem.accounts.push_back(machine.account);
    problem.account_limits = limits;
    problem.max_instances = max_instances;
    problem.max_items_per_instance = 64;
    problem.cost = [this](int first, int count, const std::vector<int>& choices,
                          std::vector<std::int64_t>& costs) {
      for (std::size_t i = 0; i < choices.size(); ++i)
        costs[i] = Cost(machines[static_cast<std::size_t>(choices[i])],
                        minutes[static_cast<std::size_t>(first)], count);
    };
    return problem;
  }
};

// Tries every assignment of every subset, not only runs of neighbours.
class BruteForce {
 public:
  explicit BruteForce(const Kit& kit) : kit_(kit), left_(kit.limits) {}
  // (cost, instances), or (kDoesNotFit, 0).
  std::pair<std::int64_t, int> Best() {
    Place((1u << kit_.minutes.size()) - 1, 0, 0);
    return best_;
  }

 private:
  void Place(unsigned rest, std::int64_t cost, int instances) {
    if (cost >= best_.first && best_.first != kDoesNotFit && cost > best_.first) return;
    if (rest == 0) {
      best_ = std::min(best_, std::pair(cost, instances));
      return;
    }
    if (instances == kit_.max_instances) return;
    const unsigned longest = rest & -rest;  // item 0 is the longest
    const unsigned others = rest ^ longest;
    for (unsigned with = others;; with = (with - 1) & others) {
      const int count = 1 + __builtin_popcount(with);
      for (const Kit::Machine& machine : kit_.machines) {
        const std::int64_t price = kit_.Cost(
            machine, kit_.minutes[static_cast<std::size_t>(__builtin_ctz(longest))], count);
        int& left = left_[static_cast<std::size_t>(machine.account)];
        if (price == kDoesNotFit || left == 0) continue;
        --left;
        Place(others & ~with, cost + price, instances + 1);
        ++left;
      }
      if (with == 0) break;
    }
  }

  const Kit& kit_;
  std::vector<int> left_;
  std::pair<std::int64_t, int> best_{kDoesNotFit, 0};
};

// Every item on exactly one instance, within all limits, at the cost that is claimed.
void ExpectValid(const Kit& kit, const Packing& packing) {
  std::vector<int> left = kit.limits;
  std::int64_t cost = 0;
  int next = 0;
  for (const Packed& packed : packing.instances) {
    const Kit::Machine& machine = kit.machines[static_cast<std::size_t>(packed.choice)];
    EXPECT_EQ(packed.first, next);
    next += packed.count;
    EXPECT_GE(--left[static_cast<std::size_t>(machine.account)], 0);
    cost += kit.Cost(machine, kit.minutes[static_cast<std::size_t>(packed.first)], packed.count);
  }
  EXPECT_EQ(next, static_cast<int>(kit.minutes.size()));
  EXPECT_LE(static_cast<int>(packing.instances.size()), kit.max_instances);
  EXPECT_EQ(cost, packing.cost);
}

Kit RandomKit(Rng& rng) {
  Kit kit;
  const auto accounts = rng.Between(1, 3);
  for (int account = 0; account < accounts; ++account)
    kit.limits.push_back(rng.Chance(1, 2) ? 100 : static_cast<int>(rng.Between(0, 2)));
  const auto machines = rng.Between(1, 4);
  for (int i = 0; i < machines; ++i)
    kit.machines.push_back({static_cast<int>(rng.Below(static_cast<std::uint64_t>(accounts))),
                            static_cast<int>(rng.Between(1, 4)), rng.Between(0, 30),
                            rng.Between(1, 9), rng.Chance(1, 3) ? 60 : 1});
  const auto items = rng.Between(1, 6);
  for (int i = 0; i < items; ++i) kit.minutes.push_back(rng.Between(1, 3) * 20);
  std::sort(kit.minutes.rbegin(), kit.minutes.rend());
  if (rng.Chance(1, 2)) kit.max_instances = static_cast<int>(rng.Between(1, 4));
  return kit;
}

TEST(Pack, IsAsCheapAsBruteForce) {
  int feasible = 0, infeasible = 0;
  for (std::uint64_t seed = 0; seed < 800; ++seed) {
    Rng rng(seed);
    const Kit kit = RandomKit(rng);
    const auto [cost, instances] = BruteForce(kit).Best();
    const std::optional<Packing> packing = Pack(kit.Problem());
    ASSERT_EQ(packing.has_value(), cost != kDoesNotFit) << "seed " << seed;
    if (!packing) {
      ++infeasible;
      continue;
    }
    ++feasible;
    ASSERT_EQ(packing->cost, cost) << "seed " << seed;
    ASSERT_EQ(static_cast<int>(packing->instances.size()), instances) << "seed " << seed;
    ExpectValid(kit, *packing);
  }
  EXPECT_GT(feasible, 500);
  EXPECT_GT(infeasible, 20);
}

TEST(Pack, NothingNeedsNothing) {
  const std::optional<Packing> packing = Pack(Kit{.machines = {{}}, .limits = {1}}.Problem());
  ASSERT_TRUE(packing);
  EXPECT_TRUE(packing->instances.empty());
}

TEST(Pack, EqualCostsTakeFewerInstancesThenTheFirstChoice) {
  Kit kit{.machines = {{.size = 1, .fixed = 9, .per_minute = 1},
                       {.size = 2, .fixed = 19, .per_minute = 1},
                       {.size = 2, .fixed = 19, .per_minute = 1}},
          .minutes = {1, 1},
          .limits = {100}};
  // 2 x (9 + 1 + 1) = 22 = 19 + 1 + 2
  const std::optional<Packing> packing = Pack(kit.Problem());
  ASSERT_TRUE(packing);
  EXPECT_EQ(packing->cost, 22);
  EXPECT_EQ(packing->instances, (std::vector<Packed>{{1, 0, 2}}));
}

TEST(Pack, ManyBindingLimitsAreStillKept) {
  Kit kit;
  for (int account = 0; account < 12; ++account) {
    kit.machines.push_back({account, 2, account, 1, 1});
    kit.limits.push_back(5);
  }
  kit.minutes.assign(100, 10);
  const std::optional<Packing> packing = Pack(kit.Problem());
  ASSERT_TRUE(packing);
  ExpectValid(kit, *packing);
}

}  // namespace
}  // namespace spillway::plan
