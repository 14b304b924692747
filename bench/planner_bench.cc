// Milliseconds per plan for a site of 200 nodes, by pending pods, offers and distinct pod shapes.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/rng.h"
#include "plan/planner.h"
#include "plan/snapshot_builder.h"

namespace spillway {
namespace {

constexpr int kNodes = 200;
constexpr int kNamespaces = 8;
constexpr int kProviders = 10;

// 200 full nodes of eight GPUs whose pods end one after the other.
void AddSite(plan::SnapshotBuilder& builder) {
  for (int i = 0; i < kNodes; ++i) {
    const std::string name = fmt::format("node-{:03}", i);
    builder.SiteNode(name, 8);
    for (int gpu = 0; gpu < 8; ++gpu) {
      Pod& pod =
          builder.Runs("base", fmt::format("load-{:03}-{}", i, gpu), name, plan::GpuShape(1));
      if (gpu % 2 == 0)
        pod.expected_end = plan::SnapshotBuilder::Noon() + std::chrono::minutes(5 + i + 40 * gpu);
    }
  }
}

void AddMarket(plan::SnapshotBuilder& builder, int offers) {
  for (int p = 0; p < kProviders; ++p) {
    ProviderFacts& facts = builder.Provider(fmt::format("provider-{}", p), 40);
    facts.us_nexus = p % 4 == 3 ? UsNexus::kListing : UsNexus::kNone;
    facts.us_nexus_evidence = "listed at a US exchange, annual report of 2026-03-31";
    facts.side_objects = {{"disk", Money::Cents(1), false},
                          {"address", Money::Micro(5'000), false}};
    facts.billing = {.step = p % 3 == 0 ? Duration(1h) : Duration(1min),
                     .clock_aligned = p % 3 == 0};
    facts.egress_per_gib = Money::Micro(10'000);
  }
  for (int i = 0; i < offers; ++i) {
    const std::int64_t gpus = std::int64_t{1} << (i % 4);
    Offer& offer = builder.Sells(fmt::format("provider-{}", i % kProviders),
                                 fmt::format("type-{:03}", i), gpus, Money::Cents(180 + i) * gpus);
    offer.region = fmt::format("region-{}", i % 7);
  }
}

// Pods in Jobs of ten. A shape differs from the next one in its request for CPU; every 25th Job is
// a gang.
void AddPending(plan::SnapshotBuilder& builder, int pods, int shapes, bool patient) {
  Rng rng(7);
  for (int ns = 0; ns < kNamespaces; ++ns) {
    const std::string name = fmt::format("team-{}", ns);
    Policy& policy = builder.MayRent("policy-" + name, {name});
    policy.max_nodes = 16;
    policy.max_per_gpu_hour = Money::Euro(5);
    if (patient) policy.wait_at_most = 20min, policy.hour_is_worth = Money::Euro(12);
    builder.HasBudget("budget-" + name, {name}, Money::Euro(2'000));
  }
  for (int job = 0; job * 10 < pods; ++job) {
    PodShape shape = plan::GpuShape(std::int64_t{1} << (job % shapes % 3));
    shape.requests.cpu_milli -= job % shapes;
    Workload& workload =
        builder.Waits(fmt::format("team-{}", job % kNamespaces), fmt::format("job-{:04}", job),
                      std::min(10, pods - job * 10), shape);
    workload.gang = job % 25 == 24;
    workload.waiting_since =
        plan::SnapshotBuilder::Noon() - std::chrono::minutes(rng.Between(0, 30));
    workload.expected_duration = std::chrono::minutes(10 + 5 * (job % shapes % 7));
    workload.data_class_source = fmt::format("Dataset team-{}/images", job % kNamespaces);
    workload.input_bytes = 20'000'000'000;
    workload.output_bytes_guess = 500'000'000;
  }
}

// Rules between pods for every third Job each: one pod per host; spread over regions.
void AddRules(Snapshot& snapshot) {
  const auto shapes = static_cast<std::int32_t>(snapshot.shapes.size());
  for (std::int32_t i = 0; i < shapes; ++i) {
    PodShape& shape = snapshot.shapes[static_cast<std::size_t>(i)];
    snapshot.groups.emplace_back();
    shape.groups = {i};
    if (i % 3 == 1) shape.anti_affinity = {{i, "kubernetes.io/hostname"}};
    if (i % 3 == 2)
      shape.spread = {
          {.key = "topology.kubernetes.io/region", .max_skew = 3, .group = i, .counts_self = true}};
  }
  for (Node& node : snapshot.nodes) node.labels["topology.kubernetes.io/region"] = "home";
  for (Offer& offer : snapshot.offers) {
    offer.labels["topology.kubernetes.io/region"] = offer.region;
  }
}

void MakePlan(benchmark::State& state) {
  plan::SnapshotBuilder builder;
  AddSite(builder);
  AddMarket(builder, static_cast<int>(state.range(1)));
  AddPending(builder, static_cast<int>(state.range(0)), static_cast<int>(state.range(2)),
             state.range(3) != 0);
  Snapshot snapshot = builder.Build();
  if (state.range(4) != 0) AddRules(snapshot);
  std::size_t rentals = 0;
  for (auto _ : state) {
    const Plan plan = plan::MakePlan(snapshot);
    rentals = plan.rentals.size();
    benchmark::DoNotOptimize(plan.decisions.data());
  }
  state.counters["rentals"] = static_cast<double>(rentals);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"pods", "offers", "shapes", "patient", "rules"});
  for (const auto& [pods, offers] : {std::pair(50, 40), std::pair(500, 100), std::pair(5000, 400)})
    for (const int shapes : {1, 10, 100})
      for (const int patient : {0, 1}) benchmark->Args({pods, offers, shapes, patient, 0});
  for (const auto& [pods, offers] : {std::pair(50, 40), std::pair(500, 100), std::pair(5000, 400)})
    for (const int patient : {0, 1}) benchmark->Args({pods, offers, 30, patient, 1});
  benchmark->Unit(benchmark::kMillisecond);
}
BENCHMARK(MakePlan)->Apply(Sizes);

}  // namespace
}  // namespace spillway

BENCHMARK_MAIN();
