// A BurstNode and observations for the tests of control.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "control/advance.h"

namespace spillway::control::testing {

inline const Time kStart = Time{} + std::chrono::hours{24 * 365 * 56};

inline BurstNode PlannedNode() {
  BurstNode node;
  node.name = "bn-00001";
  node.serial = 1;
  node.ns = "vision";
  node.budget = "vision-month";
  node.workload = "vision/Job/sweep";
  node.pods = {{"vision/sweep-0", "uid-0"}, {"vision/sweep-1", "uid-1"}};
  node.offer.provider = "scaleway";
  node.offer.region = "fr-par-2";
  node.offer.instance_type = "H100";
  node.offer.price_per_hour = Money::Euro(3);
  node.offer.allocatable = Resources{8000, std::int64_t{64} << 30, 0, 2, {}};
  node.offer.labels = {{"nvidia.com/gpu.product", "H100"}};
  node.billing.step = 1min;
  node.forecast.worst_case = Money::Euro(40);
  node.created_at = node.phase_since = kStart;
  node.history = {{Phase::kPlanned, kStart}};
  return node;
}

// The node as it is in `phase` after a life without trouble, which entered it at `since`.
inline BurstNode NodeIn(Phase phase, Time since = kStart + 1h) {
  BurstNode node = PlannedNode();
  if (phase == Phase::kPlanned) return node;
  node.history.emplace_back(Phase::kRequested, kStart + 1s);
  node.instance_may_exist = true;
  for (int p = static_cast<int>(Phase::kProvisioned); p <= static_cast<int>(phase); ++p)
    node.history.emplace_back(static_cast<Phase>(p), since);
  node.phase = phase;
  node.phase_since = since;
  if (phase == Phase::kRequested) node.history.back().second = since;
  if (phase >= Phase::kProvisioned) {
    node.instance_id = "i-1";
    node.meter_start = kStart + 2s;
  }
  if (phase >= Phase::kStaged) node.run_prepared = true;
  if (phase >= Phase::kRunning) node.pods_admitted = true, node.running_since = since;
  if (phase >= Phase::kWiping) node.results_complete = true;
  if (phase >= Phase::kDeleting) {
    node.key_destroyed = true;
    node.wipe_class = WipeClass::kFull;
    node.certificate = "bn-00001.json";
  }
  return node;
}

inline ports::Instance InstanceIn(ports::InstanceState state, std::string id = "i-1") {
  ports::Instance instance;
  instance.id = std::move(id);
  instance.name = "bn-00001";
  instance.state = state;
  instance.created = kStart + 2s;
  return instance;
}

inline Seen Listed(Time read_at, std::vector<ports::Instance> instances) {
  return Seen{read_at, std::move(instances), {}};
}

inline NodeReport GoodReport(Time heartbeat) {
  NodeReport report;
  report.last_heartbeat = heartbeat;
  report.hardware = PlannedNode().offer.allocatable;
  report.labels = PlannedNode().offer.labels;
  return report;
}

inline std::vector<PodReport> Pods(PodPhase phase, std::string node = {}) {
  return {{"vision/sweep-0", "uid-0", phase, node, {}, {}},
          {"vision/sweep-1", "uid-1", phase, node, {}, {}}};
}

// Everything is well at `now`: the node lives, the instance runs, the pods are where they should
// be.
inline Observation AllWell(const BurstNode& node, Time now) {
  Observation o;
  if (!node.instance_id.empty())
    o.seen = Listed(now, {InstanceIn(ports::InstanceState::kRunning, node.instance_id)});
  if (node.phase >= Phase::kJoined) o.node = GoodReport(now);
  o.run = RunReport{};
  o.run->prepared = node.run_prepared;
  o.run->key_destroyed = node.key_destroyed;
  if (node.phase < Phase::kRunning)
    o.pods = Pods(PodPhase::kPending);
  else if (node.phase == Phase::kRunning)
    o.pods = Pods(PodPhase::kRunning, node.name);
  else
    o.pods = Pods(PodPhase::kSucceeded, node.name);
  return o;
}

template <typename T>
const T* Sent(const Step& step) {
  for (const Command& command : step.commands)
    if (const T* found = std::get_if<T>(&command)) return found;
  return nullptr;
}

inline bool Recorded(const Step& step, std::string_view name) {
  return std::any_of(step.entries.begin(), step.entries.end(),
                     [&](const LedgerEntry& e) { return e.step == name; });
}

}  // namespace spillway::control::testing
