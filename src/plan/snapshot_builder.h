// A small vocabulary for snapshots in tests and benchmarks: says what matters, fills in the rest.
// The built snapshot is sorted as Snapshot demands, whatever the order of the calls.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/snapshot.h"

namespace spillway::plan {

inline Resources Gpus(std::int64_t gpus) {
  Resources resources;
  resources.cpu_milli = 8'000 * std::max<std::int64_t>(gpus, 1);
  resources.memory_bytes = (std::int64_t{32} << 30) * std::max<std::int64_t>(gpus, 1);
  resources.gpus = gpus;
  return resources;
}

// What one pod of a workload asks for; a little less than its share of a machine.
inline PodShape GpuShape(std::int64_t gpus) {
  PodShape shape;
  shape.requests = Gpus(gpus);
  shape.requests.cpu_milli /= 2;
  shape.requests.memory_bytes /= 2;
  return shape;
}

class SnapshotBuilder {
 public:
  static Time Noon() { return *ParseTime("2026-11-24T12:00:00Z"); }

  SnapshotBuilder() { snapshot_.now = Noon(); }

  SnapshotBuilder& Now(Time now) {
    snapshot_.now = now;
    return *this;
  }

  Node& SiteNode(const std::string& name, std::int64_t gpus) {
    Node& node = snapshot_.nodes.emplace_back();
    node.name = name;
    node.labels = {{"kubernetes.io/hostname", name}, {"nvidia.com/gpu.product", "A100"}};
    node.allocatable = Gpus(gpus);
    return node;
  }

  // Allows class internal to leave to the EU without US nexus.
  Policy& MayRent(const std::string& name, std::vector<std::string> namespaces) {
    Policy& policy = snapshot_.policies.emplace_back();
    policy.name = name;
    policy.namespaces = std::move(namespaces);
    policy.data_classes = {DataClass::kPublic, DataClass::kInternal};
    return policy;
  }

  // An account and its facts under one name: EU, no US nexus, billed by the minute.
  ProviderFacts& Provider(const std::string& name, int max_nodes = 0) {
    ProviderAccount& account = snapshot_.accounts.emplace_back();
    account.name = account.catalog = name;
    account.max_nodes = max_nodes;
    ProviderFacts& facts = snapshot_.facts.emplace_back();
    facts.id = facts.name = name;
    facts.us_nexus = UsNexus::kNone;
    facts.certificates = {"ISO27001"};
    return facts;
  }
  ProviderAccount& Account(const std::string& name) {
    for (ProviderAccount& account : snapshot_.accounts)
      if (account.name == name) return account;
    SPW_CHECK(false, "unknown account");
    return snapshot_.accounts.front();
  }

  Offer& Sells(const std::string& provider, const std::string& type, std::int64_t gpus,
               Money price_per_hour) {
    Offer& offer = snapshot_.offers.emplace_back();
    offer.provider = offer.catalog = provider;
    offer.region = provider + "-1";
    offer.country = "FR";
    offer.area = "EU";
    offer.instance_type = type;
    offer.stock = Stock::kAvailable;
    offer.allocatable = Gpus(gpus);
    offer.labels = {{"nvidia.com/gpu.product", "H100"}};
    offer.price_per_hour = price_per_hour;
    offer.source = "test";
    offer.read_at = snapshot_.now;
    return offer;
  }

  BudgetState& HasBudget(const std::string& name, std::vector<std::string> namespaces,
                         Money amount) {
    BudgetState& budget = snapshot_.budgets.emplace_back();
    budget.name = name;
    budget.namespaces = std::move(namespaces);
    budget.amount = amount;
    budget.period = "month";
    budget.period_ends = snapshot_.now + 24h * 6;
    return budget;
  }

  QuotaState& HasQuota(const std::string& ns) {
    QuotaState& quota = snapshot_.quotas.emplace_back();
    quota.ns = ns;
    return quota;
  }

  // A Job of `pods` pods that the scheduler found no room for, computing for ten minutes on public
  // data. The reference stays valid until the next call.
  Workload& Waits(const std::string& ns, const std::string& name, int pods, const PodShape& shape) {
    Workload workload;
    workload.ns = ns;
    workload.key = ns + "/Job/" + name;
    workload.waiting_since = snapshot_.now;
    workload.expected_duration = 10min;
    const std::int32_t shape_index = Intern(shape);
    for (int i = 0; i < pods; ++i) {
      Pod pod;
      pod.key = ns + "/" + name + "-" + std::to_string(1000 + i);
      pod.uid = "uid-" + pod.key;
      pod.ns = ns;
      pod.shape = shape_index;
      pod.unschedulable = true;
      pods_.push_back({std::move(pod), workload.key});
    }
    return snapshot_.workloads.emplace_back(std::move(workload));
  }
  Workload& Gang(const std::string& ns, const std::string& name, int pods, const PodShape& shape) {
    Workload& workload = Waits(ns, name, pods, shape);
    workload.gang = true;
    return workload;
  }

  // A pod that runs on a node, alone in its workload. End unknown unless set by the caller.
  Pod& Runs(const std::string& ns, const std::string& name, const std::string& node,
            const PodShape& shape) {
    Workload workload;
    workload.ns = ns;
    workload.key = ns + "/Pod/" + name;
    snapshot_.workloads.push_back(workload);
    Pod pod;
    pod.key = ns + "/" + name;
    pod.uid = "uid-" + pod.key;
    pod.ns = ns;
    pod.shape = Intern(shape);
    pod.phase = PodPhase::kRunning;
    pod.node = node;
    pod.started = snapshot_.now - 1h;
    pods_.push_back({std::move(pod), workload.key});
    return pods_.back().first;
  }

  // Any pod by key, for changes.
  Pod& PodNamed(const std::string& key) {
    for (auto& [pod, workload] : pods_)
      if (pod.key == key) return pod;
    SPW_CHECK(false, "unknown pod");
    return pods_.front().first;
  }

  // A live BurstNode on the offer, in phase Requested.
  BurstNode& Rented(const std::string& name, const std::string& policy, const Offer& offer) {
    BurstNode& node = snapshot_.burst_nodes.emplace_back();
    node.name = name;
    node.policy = policy;
    node.offer = offer;
    node.phase = Phase::kRequested;
    node.created_at = node.phase_since = snapshot_.now;
    return node;
  }

  // Sorts everything and connects pods with workloads.
  Snapshot Build() const {
    Snapshot built = snapshot_;
    auto by = [](auto& list, auto key) {
      std::sort(list.begin(), list.end(),
                [&](const auto& a, const auto& b) { return key(a) < key(b); });
    };
    by(built.nodes, [](const Node& node) { return node.name; });
    by(built.workloads, [](const Workload& workload) { return workload.key; });
    by(built.policies, [](const Policy& policy) { return policy.name; });
    by(built.facts, [](const ProviderFacts& facts) { return facts.id; });
    by(built.accounts, [](const ProviderAccount& account) { return account.name; });
    by(built.offers, [](const Offer& offer) { return offer.Key(); });
    by(built.budgets, [](const BudgetState& budget) { return budget.name; });
    by(built.quotas, [](const QuotaState& quota) { return quota.ns; });
    by(built.burst_nodes, [](const BurstNode& node) { return node.name; });
    std::map<std::string, std::int32_t> workload_by_key;
    for (std::size_t i = 0; i < built.workloads.size(); ++i)
      workload_by_key[built.workloads[i].key] = static_cast<std::int32_t>(i);
    auto pods = pods_;
    by(pods, [](const auto& pod) { return pod.first.key; });
    for (auto& [pod, workload] : pods) {
      pod.workload = workload_by_key.at(workload);
      built.workloads[static_cast<std::size_t>(pod.workload)].pods.push_back(
          static_cast<std::int32_t>(built.pods.size()));
      built.pods.push_back(std::move(pod));
    }
    return built;
  }

 private:
  std::int32_t Intern(const PodShape& shape) {
    const auto it = std::find(snapshot_.shapes.begin(), snapshot_.shapes.end(), shape);
    const auto index = static_cast<std::int32_t>(it - snapshot_.shapes.begin());
    if (it == snapshot_.shapes.end()) snapshot_.shapes.push_back(shape);
    return index;
  }

  Snapshot snapshot_;
  std::vector<std::pair<Pod, std::string>> pods_;  // with the key of their workload
};

}  // namespace spillway::plan
