// Rules that hold for every plan, tried on random snapshots.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/rng.h"
#include "plan/law.h"
#include "plan/planner.h"
#include "plan/snapshot_builder.h"

namespace spillway::plan {
namespace {

constexpr std::uint64_t kSeeds = 400;

template <typename T>
void Shuffle(Rng& rng, std::vector<T>& list) {
  for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[rng.Below(i)]);
}

// The steps that build a random world; their order must not matter.
std::vector<std::function<void(SnapshotBuilder&)>> RandomSteps(Rng& rng) {
  std::vector<std::function<void(SnapshotBuilder&)>> steps;
  for (int i = 0; i < 3; ++i) {
    const auto gpus = rng.Between(1, 4), ends = rng.Between(0, 40);
    steps.push_back([=](SnapshotBuilder& builder) {
      builder.SiteNode(fmt::format("n{}", i), gpus + 1);
      Pod& pod = builder.Runs("base", fmt::format("r{}", i), fmt::format("n{}", i), GpuShape(gpus));
      if (ends > 10) pod.expected_end = SnapshotBuilder::Noon() + std::chrono::minutes(ends);
    });
  }
  for (int i = 0; i < 3; ++i) {
    const auto nodes = rng.Between(0, 3), nexus = rng.Between(0, 4), live = rng.Between(0, 1);
    const auto step = rng.Chance(1, 3) ? Duration(1h) : Duration(1min);
    const bool ready = rng.Chance(7, 8);
    steps.push_back([=](SnapshotBuilder& builder) {
      const std::string name = fmt::format("p{}", i);
      ProviderFacts& facts = builder.Provider(name, static_cast<int>(nodes));
      if (nexus > 3) facts.us_nexus = UsNexus::kOwner;
      facts.billing = {.step = step, .clock_aligned = step == 1h};
      builder.Account(name).live_nodes = static_cast<int>(live);
      builder.Account(name).ready = ready;
    });
  }
  for (int i = 0; i < 8; ++i) {
    const auto provider = rng.Below(3);
    const auto gpus = std::int64_t{1} << rng.Below(4);
    const auto cents = rng.Between(100, 400) * gpus, parked = rng.Between(0, 9);
    const bool spot = rng.Chance(1, 5), abroad = rng.Chance(1, 6), none = rng.Chance(1, 8);
    steps.push_back([=](SnapshotBuilder& builder) {
      Offer& offer = builder.Sells(fmt::format("p{}", provider), fmt::format("t{}", i), gpus,
                                   Money::Cents(cents));
      if (spot) offer.capacity = CapacityType::kSpot;
      if (abroad) offer.area = "US";
      if (none) offer.stock = Stock::kNone;
      if (parked == 0)
        builder.Rented(fmt::format("bn{}", i), "p-team0", Offer(offer)).failure =
            Failure::kCapacity;
    });
  }
  for (int i = 0; i < 2; ++i) {
    const auto nodes = rng.Between(0, 4), wait = rng.Between(0, 30), worth = rng.Between(0, 10);
    const auto budget = rng.Between(0, 60), quota = rng.Between(0, 12);
    const bool spot = rng.Chance(1, 2);
    steps.push_back([=](SnapshotBuilder& builder) {
      const std::string team = fmt::format("team{}", i);
      Policy& policy = builder.MayRent("p-" + team, {team});
      policy.max_nodes = static_cast<int>(nodes);
      policy.wait_at_most = std::chrono::minutes(wait);
      policy.allow_spot = spot;
      policy.max_per_gpu_hour = Money::Cents(350);
      if (worth > 5) policy.hour_is_worth = Money::Euro(worth);
      if (budget > 10) builder.HasBudget("b-" + team, {team}, Money::Euro(budget - 10));
      if (quota > 8) builder.HasQuota(team).gpus_hard = quota;
    });
  }
  for (int i = 0; i < 8; ++i) {
    const auto team = rng.Below(3), pods = rng.Below(4) + 1, gpus = rng.Below(3) + 1;
    const auto minutes = rng.Between(1, 4) * 10, age = rng.Between(0, 30);
    const auto data_class = static_cast<DataClass>(rng.Below(4));
    const bool gang = rng.Chance(1, 3), judged = rng.Chance(7, 8);
    steps.push_back([=](SnapshotBuilder& builder) {
      Workload& workload =
          builder.Waits(fmt::format("team{}", team), fmt::format("w{}", i), static_cast<int>(pods),
                        GpuShape(static_cast<std::int64_t>(gpus)));
      workload.gang = gang;
      workload.expected_duration = std::chrono::minutes(minutes);
      workload.waiting_since = SnapshotBuilder::Noon() - std::chrono::minutes(age);
      workload.data_class = data_class;
      builder.PodNamed(fmt::format("team{}/w{}-1000", team, i)).unschedulable = judged;
    });
  }
  return steps;
}

Snapshot BuildFrom(const std::vector<std::function<void(SnapshotBuilder&)>>& steps) {
  SnapshotBuilder builder;
  for (const auto& step : steps) step(builder);
  return builder.Build();
}

std::string Dump(const Snapshot& world, const Plan& plan) {
  std::string out;
  auto money = [](const std::optional<Money>& m) { return m ? FormatMoney(*m) : std::string("-"); };
  auto key = [&](std::int32_t offer) {
    return world.offers[static_cast<std::size_t>(offer)].Key();
  };
  auto pod = [&](std::int32_t i) { return world.pods[static_cast<std::size_t>(i)].key; };
  for (const Decision& d : plan.decisions) {
    out += fmt::format("{} {} {} '{}' {} {} {} {} {}\n",
                       world.workloads[static_cast<std::size_t>(d.workload)].key, Name(d.verdict),
                       Name(d.reason), d.sentence, d.until ? FormatTime(*d.until) : "-",
                       money(d.estimate), money(d.missing), d.burst_node, d.explanation);
    for (const std::int32_t rental : d.rentals) out += fmt::format("  rental {}\n", rental);
  }
  for (const Rental& r : plan.rentals) {
    out +=
        fmt::format("{} {} {} {} {} {} {} {}\n", key(r.offer), r.policy, r.budget, r.ns, r.gang,
                    r.gang_size, FormatMoney(r.forecast.total), FormatMoney(r.forecast.worst_case));
    for (const std::int32_t p : r.pods) out += "  " + pod(p) + "\n";
  }
  for (const Explanation& e : plan.explanations) {
    for (const OfferVerdict& v : e.offers)
      out += fmt::format("{} {} {} {}, ", key(v.offer), Name(v.reason), v.detail, money(v.total));
    out += "\n";
  }
  for (const Admission& a : plan.admissions) out += pod(a.pod) + " -> " + a.burst_node + "\n";
  return out;
}

class Checker {
 public:
  Checker(const Snapshot& world, const Plan& plan)
      : world_(world), plan_(plan), index_(world, options_) {}

  void Check() {
    CheckRentals();
    CheckLimits();
    CheckBudgets();
    CheckGangs();
    CheckDecisions();
  }

 private:
  const Workload& WorkloadOf(std::int32_t pod) const {
    return world_
        .workloads[static_cast<std::size_t>(world_.pods[static_cast<std::size_t>(pod)].workload)];
  }

  void CheckRentals() {
    std::set<std::int32_t> placed;
    for (const Rental& rental : plan_.rentals) {
      const Offer& offer = world_.offers[static_cast<std::size_t>(rental.offer)];
      const Policy& policy = world_.policies[static_cast<std::size_t>(rental.policy)];
      EXPECT_EQ(ByLaw(index_, policy, rental.offer).reason, OfferReason::kChosen);
      EXPECT_EQ(ByState(index_, rental.offer).reason, OfferReason::kChosen);
      EXPECT_GE(rental.forecast.worst_case, rental.forecast.total);
      EXPECT_FALSE(rental.pods.empty());
      Resources used;
      std::set<DataClass> classes;
      for (const std::int32_t index : rental.pods) {
        const Pod& pod = world_.pods[static_cast<std::size_t>(index)];
        const Workload& workload = WorkloadOf(index);
        EXPECT_TRUE(placed.insert(index).second) << "placed twice";
        EXPECT_TRUE(pod.unschedulable);
        EXPECT_EQ(workload.ns, rental.ns);
        EXPECT_EQ(MayLeave(index_, workload, rental.policy).reason, Reason::kNone);
        EXPECT_NE(workload.data_class, DataClass::kRestricted);
        classes.insert(workload.data_class);
        used += world_.shapes[static_cast<std::size_t>(pod.shape)].requests;
        EXPECT_EQ(ByFit(index_, pod.shape, rental.offer).reason, OfferReason::kChosen);
      }
      EXPECT_TRUE(offer.allocatable.Covers(used));
      EXPECT_EQ(classes.size(), 1u);
    }
  }

  void CheckLimits() const {
    for (std::size_t i = 0; i < world_.policies.size(); ++i) {
      std::int64_t nodes = 0;
      for (const BurstNode& node : world_.burst_nodes)
        nodes += node.Live() && node.policy == world_.policies[i].name;
      std::int64_t planned = 0;
      for (const Rental& rental : plan_.rentals) planned += rental.policy == static_cast<int>(i);
      if (planned > 0) {
        EXPECT_LE(nodes + planned, world_.policies[i].max_nodes);
      }
    }
    for (const ProviderAccount& account : world_.accounts) {
      std::int64_t planned = 0;
      for (const Rental& rental : plan_.rentals)
        planned += world_.offers[static_cast<std::size_t>(rental.offer)].provider == account.name;
      if (planned > 0 && account.max_nodes > 0) {
        EXPECT_LE(account.live_nodes + planned, account.max_nodes);
      }
    }
  }

  void CheckBudgets() const {
    for (const BudgetState& budget : world_.budgets) {
      Money reserved;
      for (const Rental& rental : plan_.rentals)
        for (const std::string& ns : budget.namespaces)
          if (ns == rental.ns) reserved += rental.forecast.worst_case;
      EXPECT_LE(reserved, budget.Left());
    }
  }

  void CheckGangs() const {
    for (std::size_t i = 0; i < world_.workloads.size(); ++i) {
      const Workload& workload = world_.workloads[i];
      if (!workload.gang) continue;
      std::size_t placed = 0;
      int nodes = 0;
      std::set<std::pair<std::string, std::string>> places;
      for (const Rental& rental : plan_.rentals) {
        if (rental.gang != workload.key) continue;
        ++nodes;
        placed += rental.pods.size();
        const Offer& offer = world_.offers[static_cast<std::size_t>(rental.offer)];
        places.insert({offer.provider, offer.region});
        for (const std::int32_t pod : rental.pods) EXPECT_EQ(WorkloadOf(pod).key, workload.key);
      }
      EXPECT_TRUE(placed == 0 || placed == workload.pods.size()) << workload.key;
      EXPECT_LE(places.size(), 1u);
      for (const Rental& rental : plan_.rentals)
        if (rental.gang == workload.key) {
          EXPECT_EQ(rental.gang_size, nodes);
        }
    }
  }

  void CheckDecisions() const {
    std::set<std::int32_t> decided;
    for (const Decision& decision : plan_.decisions) {
      EXPECT_TRUE(decided.insert(decision.workload).second);
      EXPECT_FALSE(decision.sentence.empty());
      EXPECT_EQ(decision.verdict == Verdict::kRent, !decision.rentals.empty());
      if (decision.reason == Reason::kBudget && decision.verdict != Verdict::kRent) {
        EXPECT_GT(decision.missing.value_or(Money()), Money());
      }
      ASSERT_GE(decision.explanation, 0);
      const auto& offers =
          plan_.explanations[static_cast<std::size_t>(decision.explanation)].offers;
      std::set<std::int32_t> listed;
      Money chosen;
      for (const OfferVerdict& verdict : offers) {
        listed.insert(verdict.offer);
        if (verdict.reason == OfferReason::kChosen) chosen += *verdict.total;
        if (verdict.reason == OfferReason::kCostsMore && verdict.total) {
          EXPECT_GE(*verdict.total, chosen);
        }
      }
      EXPECT_EQ(listed.size(), world_.offers.size());
      EXPECT_EQ(offers.size(), world_.offers.size());
      for (const std::int32_t rental : decision.rentals) {
        const std::int32_t offer = plan_.rentals[static_cast<std::size_t>(rental)].offer;
        EXPECT_TRUE(std::any_of(offers.begin(), offers.end(), [&](const OfferVerdict& verdict) {
          return verdict.offer == offer && verdict.reason == OfferReason::kChosen;
        }));
      }
    }
    for (std::size_t i = 0; i < world_.workloads.size(); ++i) {
      bool waits = false;
      for (const std::int32_t pod : world_.workloads[i].pods)
        waits |= world_.pods[static_cast<std::size_t>(pod)].node.empty();
      EXPECT_EQ(decided.count(static_cast<std::int32_t>(i)), waits ? 1u : 0u);
    }
  }

  const Snapshot& world_;
  const Plan& plan_;
  const Options options_;
  const Index index_;
};

TEST(Property, EveryPlanKeepsEveryRule) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Rng rng(seed);
    const Snapshot world = BuildFrom(RandomSteps(rng));
    const Plan plan = MakePlan(world);
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Checker(world, plan).Check();
    Checker(world, MakePlan(world, {.exact_pods = 0})).Check();
    if (testing::Test::HasFailure()) return;
    for (const Decision& decision : plan.decisions)
      ++seen[fmt::format("{}/{}", Name(decision.verdict), Name(decision.reason))];
    for (const Rental& rental : plan.rentals)
      if (!rental.gang.empty()) ++seen["gang"];
  }
  // The worlds are rich enough to mean something.
  for (const char* kind :
       {"rent/none", "rent/budget", "fits-site/none", "stays-home/data-class",
        "stays-home/no-policy", "wait/budget", "wait/node-limit", "wait/site-soon", "wait/none",
        "wait/cheaper-to-wait", "wait/quota", "gang"})
    EXPECT_GT(seen[kind], 0) << kind;
}

TEST(Property, TheSameWorldGivesTheSamePlanByteForByte) {
  for (std::uint64_t seed = 0; seed < kSeeds / 4; ++seed) {
    Rng rng(seed);
    auto steps = RandomSteps(rng);
    const Snapshot world = BuildFrom(steps);
    const std::string first = Dump(world, MakePlan(world));
    ASSERT_EQ(Dump(world, MakePlan(world)), first) << "seed " << seed;
    Shuffle(rng, steps);
    const Snapshot same = BuildFrom(steps);
    ASSERT_EQ(Dump(same, MakePlan(same)), first) << "seed " << seed;
  }
}

}  // namespace
}  // namespace spillway::plan
