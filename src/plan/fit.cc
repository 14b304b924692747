#include "plan/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace spillway::plan {
namespace {

// The taints that Kubernetes itself puts on a node that is cordoned or not ready.
const Taint kCordoned{"node.kubernetes.io/unschedulable", "", TaintEffect::kNoSchedule};
const Taint kNotReady{"node.kubernetes.io/not-ready", "", TaintEffect::kNoSchedule};

std::string Untolerated(const Taint& taint) {
  return fmt::format("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value);
}

// The first taint that keeps the shape away; nullptr: none.
const Taint* FirstUntolerated(const PodShape& shape, const Node& node, Entry entry) {
  for (const Taint& taint : node.taints) {
    if (taint.effect == TaintEffect::kPreferNoSchedule) continue;
    if (entry == Entry::kAdmitted && (taint.key == kBurstTaint || taint.key == kStartingTaint))
      continue;
    if (!Tolerates(shape.tolerations, taint)) return &taint;
  }
  return nullptr;
}

// The key of the first requirement of the term that does not hold.
std::string FirstMismatch(const SelectorTerm& term, const Labels& labels,
                          std::string_view node_name) {
  for (const Requirement& requirement : term.labels)
    if (!Matches(requirement, labels)) return requirement.key;
  return Matches(term, labels, node_name) ? std::string() : std::string("metadata.name");
}

// Where a volume can be used is said by labels, not by the names of nodes.
bool Holds(const VolumeRule& rule, const Node& node) {
  if (!rule.node.empty() && rule.node != node.name) return false;
  return rule.any_node ||
         std::any_of(rule.terms.begin(), rule.terms.end(),
                     [&](const SelectorTerm& term) { return Matches(term, node.labels, ""); });
}

}  // namespace

std::string FirstMismatch(const PodShape& shape, const Labels& labels, std::string_view node_name) {
  for (const auto& [key, value] : shape.node_selector) {
    const auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return key;
  }
  if (!shape.has_required_affinity) return {};
  if (std::any_of(shape.required_terms.begin(), shape.required_terms.end(),
                  [&](const SelectorTerm& term) { return Matches(term, labels, node_name); }))
    return {};
  // A person is told about the first alternative; an affinity without one matches nothing.
  if (shape.required_terms.empty()) return "affinity";
  return FirstMismatch(shape.required_terms.front(), labels, node_name);
}

std::string WhyNeverOn(const PodShape& shape, const Node& node, Entry entry) {
  if (!shape.not_understood.empty())
    return fmt::format("pod uses {}, which is not understood", shape.not_understood.front());
  if (!shape.nowhere.empty()) return shape.nowhere;
  if (entry == Entry::kAsItIs) {
    if (node.unschedulable && !Tolerates(shape.tolerations, kCordoned))
      return "node(s) were unschedulable";
    if (!node.ready && !Tolerates(shape.tolerations, kNotReady)) return Untolerated(kNotReady);
  }
  if (const Taint* taint = FirstUntolerated(shape, node, entry)) return Untolerated(*taint);
  if (!FirstMismatch(shape, node.labels, node.name).empty())
    return "node(s) didn't match Pod's node affinity/selector";
  for (const VolumeRule& rule : shape.volume_rules)
    if (!Holds(rule, node)) return "node(s) had volume node affinity conflict";
  return {};
}

std::vector<std::int32_t> NodeDemands(const std::vector<PodShape>& shapes) {
  auto demands = [](const PodShape& shape) {
    return std::tie(shape.node_selector, shape.has_required_affinity, shape.required_terms,
                    shape.tolerations, shape.volume_rules, shape.nowhere, shape.not_understood);
  };
  auto less = [&](const PodShape* a, const PodShape* b) { return demands(*a) < demands(*b); };
  std::map<const PodShape*, std::int32_t, decltype(less)> known(less);
  std::vector<std::int32_t> classes;
  classes.reserve(shapes.size());
  for (const PodShape& shape : shapes)
    classes.push_back(
        known.try_emplace(&shape, static_cast<std::int32_t>(known.size())).first->second);
  return classes;
}

bool SpreadCounts(const PodShape& shape, const SpreadRule& rule, const Node& node, Entry entry) {
  for (const SpreadRule& each : shape.spread)
    if (!node.labels.contains(each.key)) return false;
  if (rule.honor_affinity && !FirstMismatch(shape, node.labels, node.name).empty()) return false;
  return !rule.honor_taints || FirstUntolerated(shape, node, entry) == nullptr;
}

Node NodeOf(const Offer& offer, const std::vector<PodShape>& daemons, const std::string& name) {
  Node node;
  node.name = name;
  node.rented = true;
  node.labels = offer.labels;
  node.labels[std::string(kHostnameLabel)] = name;
  node.labels[std::string(kBurstTaint)] = name;
  node.labels["spillway.dev/provider"] = offer.provider;
  node.taints = {{std::string(kBurstTaint), name, TaintEffect::kNoSchedule}};
  node.allocatable = offer.allocatable;
  Resources taken;
  for (const PodShape& daemon : daemons)
    if (WhyNeverOn(daemon, node).empty()) taken += daemon.requests;
  node.allocatable -= taken;
  return node;
}

}  // namespace spillway::plan
