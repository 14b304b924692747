// Pods that the planner rents for can be bound by the real kube-scheduler to the nodes that it
// rents, beside what is there and beside each other.
//
//   SPILLWAY_ORACLE_PLANS=N   how many plans (default 2000)
//   SPILLWAY_ORACLE_SEED=N    the first seed (default 1)
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/quantity.h"
#include "plan/placement.h"
#include "plan/planner.h"
#include "tests/oracle/oracle_process.h"
#include "tests/oracle/our_view.h"

namespace spillway::oracle {
namespace {

void AddMarket(Rng& rng, Snapshot& world) {
  world.now = *ParseTime("2026-11-24T12:00:00Z");
  for (const char* name : {"east", "west"}) {
    ProviderAccount& account = world.accounts.emplace_back();
    account.name = account.catalog = name;
    ProviderFacts& facts = world.facts.emplace_back();
    facts.id = facts.name = name;
    facts.us_nexus = UsNexus::kNone;
    for (int i = 0; i < 4; ++i) {
      Offer& offer = world.offers.emplace_back();
      offer.provider = offer.catalog = name;
      offer.region = fmt::format("r{}", i % 2 + 1);
      offer.country = "FR";
      offer.area = "EU";
      offer.instance_type = fmt::format("t{}", i);
      offer.stock = Stock::kAvailable;
      offer.allocatable.cpu_milli = 1000 * rng.Between(2, 12);
      offer.allocatable.memory_bytes = rng.Between(2, 12) << 30;
      offer.allocatable.ephemeral_bytes = std::int64_t{20} << 30;
      offer.allocatable.gpus = rng.Between(0, 4);
      offer.allocatable.extended = {{"example.com/fpga", 2}, {"hugepages-2Mi", 16 << 20}};
      offer.labels = {{"topology.kubernetes.io/region", offer.region}};
      if (rng.Chance(4, 5)) offer.labels[kZoneLabel] = Pick(rng, {"a", "b", "d"});
      if (rng.Chance(2, 3)) offer.labels["disk"] = Pick(rng, {"ssd", "hdd"});
      if (rng.Chance(1, 2)) offer.labels["rack"] = Pick(rng, {"1", "3"});
      offer.price_per_hour = Money::Cents(rng.Between(100, 400));
      offer.read_at = world.now;
    }
  }
  std::sort(world.offers.begin(), world.offers.end(),
            [](const Offer& a, const Offer& b) { return a.Key() < b.Key(); });
  Policy& policy = world.policies.emplace_back();
  policy.name = "all";
  policy.namespaces = {"blue", "default", "green"};
  policy.max_nodes = 8;
}

// One workload per pending pod; every third one in the same gang as the one before it.
void AddWaiting(Rng& rng, const RandomCluster& cluster, const std::vector<std::int32_t>& shapes,
                Snapshot& world) {
  for (Pod& pod : world.pods) pod.key = "site/there";
  Workload& there = world.workloads.emplace_back();
  there.key = "0";  // of what is bound
  for (std::size_t i = 0; i < world.pods.size(); ++i) {
    world.pods[i].workload = 0;
    there.pods.push_back(static_cast<std::int32_t>(i));
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const json::value& metadata = cluster.pending[i].at("metadata");
    Pod pod;
    pod.ns = StringOr(metadata, "namespace", "");
    pod.key = fmt::format("{}/{}", pod.ns, StringOr(metadata, "name", ""));
    pod.uid = pod.key;
    pod.shape = shapes[i];
    pod.unschedulable = true;
    const bool joins = i > 0 && rng.Chance(1, 3) && world.workloads.back().ns == pod.ns;
    if (!joins) {
      Workload& workload = world.workloads.emplace_back();
      workload.key = fmt::format("w{}", i);
      workload.ns = pod.ns;
      workload.expected_duration = 10min;
      workload.waiting_since = world.now;
    }
    Workload& workload = world.workloads.back();
    workload.gang = workload.gang || (joins && rng.Chance(1, 2));
    pod.workload = static_cast<std::int32_t>(world.workloads.size()) - 1;
    workload.pods.push_back(static_cast<std::int32_t>(world.pods.size()));
    world.pods.push_back(std::move(pod));
  }
}

json::value NodeObject(const Node& node) {
  json::object labels, capacity{{"pods", "110"}};
  for (const auto& [key, value] : node.labels) labels[key] = value;
  capacity["cpu"] = FormatMilli(node.allocatable.cpu_milli);
  capacity["memory"] = std::to_string(node.allocatable.memory_bytes);
  capacity["ephemeral-storage"] = std::to_string(node.allocatable.ephemeral_bytes);
  capacity[kGpuResource] = std::to_string(node.allocatable.gpus);
  for (const auto& [name, amount] : node.allocatable.extended)
    capacity[name] = std::to_string(amount);
  return json::object{
      {"metadata", json::object{{"name", node.name}, {"labels", std::move(labels)}}},
      {"spec", json::object{{"taints", json::array{json::object{{"key", kBurstTaint},
                                                                {"value", node.name},
                                                                {"effect", "NoSchedule"}}}}}},
      {"status", json::object{{"capacity", std::move(capacity)}}}};
}

struct Totals {
  std::int64_t plans = 0, rentals = 0, pods = 0, related = 0, refused = 0;
};

// Puts the plan's nodes and pods into the cluster, in an order in which the scheduler can bind the
// pods; whether there is one.
bool Replay(const Snapshot& world, const Plan& plan, const std::vector<json::value>& pods,
            RandomCluster& cluster, Totals& totals) {
  plan::Placement placement(world);
  std::vector<std::pair<std::int32_t, std::int32_t>> waiting;  // pod, node
  const auto first = static_cast<std::int32_t>(world.pods.size() - pods.size());
  for (std::size_t i = 0; i < plan.rentals.size(); ++i) {
    Node node = plan::NodeOf(world.offers[static_cast<std::size_t>(plan.rentals[i].offer)], {},
                             fmt::format("bn-{}", i));
    cluster.nodes.push_back(NodeObject(node));
    const std::int32_t at = placement.AddNode(std::move(node));
    for (const std::int32_t pod : plan.rentals[i].pods) waiting.emplace_back(pod, at);
  }
  cluster.pending.clear();
  for (bool progress = true; progress && !waiting.empty();) {
    progress = false;
    std::erase_if(waiting, [&](const auto& next) {
      const std::int32_t shape = world.pods[static_cast<std::size_t>(next.first)].shape;
      if (!placement.Fits(shape, next.second, plan::Entry::kAdmitted)) return false;
      placement.Put(shape, next.second);
      json::value pod = pods[static_cast<std::size_t>(next.first - first)];
      json::object& spec = pod.at("spec").get_object();
      const std::string& name = placement.node(next.second).name;
      spec["nodeName"] = name;
      if (!spec.contains("tolerations")) spec["tolerations"] = json::array{};
      spec["tolerations"].get_array().push_back(
          json::object{{"key", kBurstTaint}, {"value", name}, {"effect", "NoSchedule"}});
      cluster.pending.push_back(std::move(pod));
      totals.related += placement.Related(shape);
      return progress = true;
    });
  }
  for (const auto& [pod, node] : waiting)
    fmt::print("pod {} on node {}: {}\n", world.pods[static_cast<std::size_t>(pod)].key,
               placement.node(node).name,
               placement.WhyNot(world.pods[static_cast<std::size_t>(pod)].shape, node,
                                plan::Entry::kAdmitted));
  totals.rentals += static_cast<std::int64_t>(plan.rentals.size());
  totals.pods += static_cast<std::int64_t>(cluster.pending.size());
  return waiting.empty();
}

TEST(RentalOracle, EveryPodFitsTheNodeThatIsRentedForIt) {
  const std::string program = ProgramPath();
  if (access(program.c_str(), X_OK) != 0)
    GTEST_SKIP()
        << "the real filters are not built; scripts/partners/kubernetes-oracle-build makes "
        << program;
  const std::uint64_t first = FromEnvironment("SPILLWAY_ORACLE_SEED", 1);
  const std::uint64_t count = FromEnvironment("SPILLWAY_ORACLE_PLANS", 2'000);
  Oracle oracle(program);
  Totals totals;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    Rng rng(seed);
    RandomCluster cluster = MakeCluster(rng);
    // Nobody stays at home, so that all pods of the plan are in it.
    for (json::value& node : cluster.nodes) node.at("spec").get_object()["unschedulable"] = true;
    for (json::value& pod : cluster.pending) pod.at("spec").get_object().erase("tolerations");
    OurView view = ViewOf(cluster, false);
    Snapshot& world = view.snapshot;
    AddMarket(rng, world);
    AddWaiting(rng, cluster, view.pending, world);
    // Every second plan mixes pods that would otherwise be packed exactly.
    const Plan plan = plan::MakePlan(world, {.exact_pods = seed % 2 == 0 ? 0u : 128u});
    if (plan.rentals.empty()) continue;
    const std::vector<json::value> pods = cluster.pending;
    const std::string replay = fmt::format("SPILLWAY_ORACLE_SEED={} SPILLWAY_ORACLE_PLANS=1 {}",
                                           seed, SPILLWAY_BIN_DIR "/planner_oracle_test");
    ASSERT_TRUE(Replay(world, plan, pods, cluster, totals))
        << "to replay: " << replay << "\n  snapshot: " << json::serialize(DocumentOf(cluster));
    ++totals.plans;
    const auto answer = oracle.Ask(DocumentOf(cluster));
    ASSERT_TRUE(answer) << replay;
    const json::array& results = answer->at("results").get_array();
    for (std::size_t i = 0; i < results.size(); ++i) {
      const json::value& planned = results[i].at("planned");
      if (planned.at("ok").as_bool()) continue;
      ++totals.refused;
      ADD_FAILURE() << "pod " << i << " does not fit " << json::serialize(planned) << ": "
                    << json::serialize(results[i].at("rejected")) << "\n  to replay: " << replay
                    << "\n  snapshot: " << json::serialize(DocumentOf(cluster));
      if (totals.refused > 3) return;
    }
  }
  fmt::print(
      "{} plans, {} rented nodes, {} pods on them ({} with rules about other pods): {} "
      "refused by kube-scheduler's filters\n",
      totals.plans, totals.rentals, totals.pods, totals.related, totals.refused);
  if (count >= 1000) {
    EXPECT_GT(totals.related, 100);
  }
}

}  // namespace
}  // namespace spillway::oracle
