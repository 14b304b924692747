// All that happened, for machines: the base of the demonstration's report.json.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <tuple>

#include "server/view_parts.h"

namespace spillway::server {
namespace {

// Fields of a pod's status that the report needs.
struct PodFacts {
  std::string node;
  std::optional<Time> started;
  std::optional<Time> ended;
  int exit_code = -1;  // -1: none
  bool disrupted = false;
};

std::optional<Time> TimeAt(const json::value& object, std::string_view key) {
  const auto time = ParseTime(StringOr(object, key, ""));
  return time ? std::optional<Time>(*time) : std::nullopt;
}

bool ConditionHolds(const json::value& object, std::string_view type) {
  const json::value* status = Find(object, "status");
  const json::array* conditions = status == nullptr ? nullptr : FindArray(*status, "conditions");
  return conditions != nullptr && std::ranges::any_of(*conditions, [&](const json::value& c) {
           return StringOr(c, "type", "") == type && StringOr(c, "status", "") == "True";
         });
}

PodFacts FactsOfPod(const json::value& pod) {
  PodFacts facts;
  if (const json::value* spec = Find(pod, "spec")) facts.node = StringOr(*spec, "nodeName", "");
  facts.disrupted = ConditionHolds(pod, "DisruptionTarget");
  const json::value* status = Find(pod, "status");
  if (status == nullptr) return facts;
  const json::array* containers = FindArray(*status, "containerStatuses");
  if (containers != nullptr && !containers->empty())
    if (const json::value* state = Find(containers->front(), "state")) {
      if (const json::value* running = Find(*state, "running"))
        facts.started = TimeAt(*running, "startedAt");
      if (const json::value* ended = Find(*state, "terminated")) {
        facts.started = TimeAt(*ended, "startedAt");
        facts.ended = TimeAt(*ended, "finishedAt");
        facts.exit_code = static_cast<int>(IntOr(*ended, "exitCode", -1));
      }
    }
  return facts;
}

struct Entry {
  std::string name, ns;
  const json::value* object = nullptr;  // Job or Pod
  bool job = false;
  std::vector<PodFacts> pods;
};

// Jobs and pods that no Job controls. Keys sort by namespace, then kind, then name.
std::map<std::string, Entry> Entries(const ReportInputs& inputs, const Owners& owners) {
  std::map<std::string, Entry> entries;
  const auto text = [](const json::value& object, std::string_view key) {
    const json::value* metadata = Find(object, "metadata");
    return std::string(metadata == nullptr ? "" : StringOr(*metadata, key, ""));
  };
  for (const json::value& job : inputs.jobs) {
    const std::string ns = text(job, "namespace"), name = text(job, "name");
    entries[fmt::format("{}/Job/{}", ns, name)] = {name, ns, &job, true, {}};
  }
  for (const json::value& pod : inputs.pods) {
    const std::string ns = text(pod, "namespace"), name = text(pod, "name");
    const std::string& key = owners.at(ns + "/" + name);
    auto it = entries.find(key);
    if (it == entries.end()) {
      if (key != fmt::format("{}/Pod/{}", ns, name)) continue;  // its Job is gone
      it = entries.emplace(key, Entry{name, ns, &pod, false, {}}).first;
    }
    it->second.pods.push_back(FactsOfPod(pod));
  }
  return entries;
}

// Later is better; a rented place beats the site, because it is the one that needs explaining; a
// pod that was taken away by a disruption counts only if there is no other.
const PodFacts* TellingPod(const Entry& entry, const std::vector<BurstNode>& nodes) {
  const PodFacts* best = nullptr;
  const auto rank = [&](const PodFacts& pod) {
    return std::tuple(!pod.disrupted, FindNode(nodes, pod.node) != nullptr, *pod.started);
  };
  for (const PodFacts& pod : entry.pods)
    if (pod.started && (best == nullptr || rank(pod) > rank(*best))) best = &pod;
  return best;
}

// 0 once all is well; otherwise that of the pod that failed last.
json::value ExitCode(const Entry& entry) {
  if (entry.job && ConditionHolds(*entry.object, "Complete")) return 0;
  if (entry.job && !ConditionHolds(*entry.object, "Failed")) return nullptr;
  const PodFacts* last = nullptr;
  for (const PodFacts& pod : entry.pods)
    if (pod.exit_code >= 0 && (!entry.job || pod.exit_code != 0) && !pod.disrupted)
      if (last == nullptr || pod.ended >= last->ended) last = &pod;
  return last == nullptr ? json::value(nullptr) : json::value(last->exit_code);
}

std::int64_t WaitedSeconds(const Entry& entry, Time now) {
  const json::value* metadata = Find(*entry.object, "metadata");
  const auto created = metadata == nullptr ? std::nullopt : TimeAt(*metadata, "creationTimestamp");
  if (!created) return 0;
  std::optional<Time> first;
  for (const PodFacts& pod : entry.pods)
    if (pod.started && (!first || *pod.started < *first)) first = pod.started;
  return std::max<std::int64_t>(0, Seconds(first.value_or(now) - *created));
}

// The newest decision that was told about each workload's pods.
std::map<std::string, std::string> ToldDecisions(const std::vector<EventView>& events,
                                                 const Owners& owners) {
  std::map<std::string, const EventView*> newest;
  for (const EventView& event : events) {
    const auto owner = owners.find(event.about.ns + "/" + event.about.name);
    if (!IsDecisionEvent(event.reason) || owner == owners.end()) continue;
    const EventView*& known = newest[owner->second];
    if (known == nullptr || event.last > known->last) known = &event;
  }
  std::map<std::string, std::string> told;
  for (const auto& [workload, event] : newest) told[workload] = event->message;
  return told;
}

// By the keys of the workloads, and of the Jobs of which a gang's pods are.
using Decisions = std::map<std::string, const Decision*, std::less<>>;
Decisions DecisionsOf(const RoundView& round, const Owners& owners) {
  Decisions decided;
  for (const Decision& decision : round.plan.decisions) {
    const Workload& workload =
        round.snapshot.workloads[static_cast<std::size_t>(decision.workload)];
    decided[workload.key] = &decision;
    for (const std::int32_t pod : workload.pods)
      if (const auto owner = owners.find(PodAt(round.snapshot, pod).key); owner != owners.end())
        decided.emplace(owner->second, &decision);
  }
  return decided;
}

// A workload that ran at the site after it had waited ran there for the reason of its waiting.
std::string WhyFor(const Decisions& decided, const std::string& key,
                   const std::map<std::string, std::string>& told, const PodFacts* pod,
                   const BurstNode* node) {
  if (const auto it = decided.find(key); it != decided.end()) return it->second->sentence;
  if (node != nullptr) return node->why;
  if (const auto it = told.find(key); it != told.end()) return it->second;
  return pod == nullptr ? "it has not started" : "the site had room";
}

json::array WorkloadsJson(const RoundView& round, const ReportInputs& inputs, const Owners& owners,
                          Time now) {
  std::map<std::string, Amounts> amounts;
  for (const BurstNode& node : inputs.nodes)
    for (const auto& [workload, part] : SharesOf(node, owners, now)) amounts[workload] += part;
  const auto told = ToldDecisions(inputs.pod_events, owners);
  const Decisions decided = DecisionsOf(round, owners);
  json::array out;
  for (const auto& [key, entry] : Entries(inputs, owners)) {
    const PodFacts* pod = TellingPod(entry, inputs.nodes);
    const BurstNode* node = pod == nullptr ? nullptr : FindNode(inputs.nodes, pod->node);
    std::string ran_at;
    if (pod != nullptr) ran_at = node == nullptr ? "site" : PlaceOf(node->offer);
    out.push_back(json::object{{"name", entry.name},
                               {"namespace", entry.ns},
                               {"ranAt", std::move(ran_at)},
                               {"why", WhyFor(decided, key, told, pod, node)},
                               {"exitCode", ExitCode(entry)},
                               {"waitedSeconds", WaitedSeconds(entry, now)},
                               {"estimateMicroEuro", amounts[key].estimate.micro()},
                               {"actualMicroEuro", amounts[key].Actual().micro()}});
  }
  return out;
}

json::array BurstNodesJson(const std::vector<BurstNode>& nodes, Time now) {
  json::array out;
  for (const BurstNode& node : nodes) {
    const Amounts amounts = AmountsOf(node, now);
    out.push_back(json::object{{"name", node.name},
                               {"provider", node.offer.provider},
                               {"region", node.offer.region},
                               {"type", node.offer.instance_type},
                               {"phase", Name(node.phase)},
                               {"secondsPaid", amounts.paid_ms / 1000},
                               {"secondsComputed", amounts.computed_ms / 1000},
                               {"costMicroEuro", amounts.Actual().micro()},
                               {"bytesIn", node.bytes_in},
                               {"bytesOut", node.bytes_out},
                               {"wipe", WipeJson(node)}});
  }
  return out;
}

bool ParksOffer(Failure failure) {
  return failure == Failure::kCapacity || failure == Failure::kQuota ||
         failure == Failure::kRefused || failure == Failure::kBootTimeout ||
         failure == Failure::kWrongHardware;
}

json::object OffersJson(const Snapshot& snapshot, const std::vector<BurstNode>& nodes) {
  std::set<std::tuple<std::string, std::string, std::string, std::string_view>> rejected;
  const auto reject = [&](const Offer& offer, OfferReason reason) {
    rejected.emplace(offer.provider, offer.region, offer.instance_type, Name(reason));
  };
  const plan::Options options;
  const plan::Index index(snapshot, options);
  for (const Policy& policy : snapshot.policies)
    for (std::size_t i = 0; i < snapshot.offers.size(); ++i) {
      const auto objection = plan::ByLaw(index, policy, static_cast<std::int32_t>(i));
      if (objection.reason != OfferReason::kChosen) reject(snapshot.offers[i], objection.reason);
    }
  for (const BurstNode& node : nodes)
    if (ParksOffer(node.failure)) reject(node.offer, OfferReason::kParked);
  json::array out;
  for (const auto& [provider, region, type, reason] : rejected)
    out.push_back(json::object{
        {"provider", provider}, {"region", region}, {"type", type}, {"reason", reason}});
  return {{"considered", snapshot.offers.size()}, {"rejected", std::move(out)}};
}

// What stayed at the site. The machines of one workload read the same Datasets, together or one
// after the other, so what stayed counts once for it: at least as much as for the machine that got
// most.
json::object NeverLeftJson(std::span<const BurstNode> nodes) {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> stayed;
  for (const BurstNode& node : nodes) {
    if (node.bytes_in == 0) continue;
    const std::pair now(node.never_left_objects, node.never_left_bytes);
    auto& [objects, bytes] = stayed.try_emplace(node.workload, now).first->second;
    objects = std::min(objects, now.first);
    bytes = std::min(bytes, now.second);
  }
  std::int64_t objects = 0, bytes = 0;
  for (const auto& [workload, sums] : stayed) {
    objects += sums.first;
    bytes += sums.second;
  }
  return {{"objects", objects}, {"bytes", bytes}};
}

}  // namespace

json::value ReportView(const RoundView& round, const ReportInputs& inputs,
                       const ViewContext& context) {
  const Owners owners = OwnersOf(inputs.pods);
  std::int64_t scanned = 0, windows = 0;
  for (const Inspection& inspection : inputs.inspections) {
    scanned += inspection.scanned_bytes;
    windows += inspection.plaintext_windows;
  }
  return json::object{{"workloads", WorkloadsJson(round, inputs, owners, context.now)},
                      {"burstNodes", BurstNodesJson(inputs.nodes, context.now)},
                      {"offers", OffersJson(round.snapshot, inputs.nodes)},
                      {"neverLeft", NeverLeftJson(inputs.nodes)},
                      {"plaintextFoundOnRentedDisks", windows},
                      {"scannedBytes", scanned},
                      {"leftovers", inputs.existing.instances + inputs.existing.side_objects},
                      {"audit", json::object{{"records", inputs.ledger_records}}},
                      {"simulated", Simulated(context)}};
}

}  // namespace spillway::server
