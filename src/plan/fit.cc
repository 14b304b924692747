#include "plan/fit.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/planner.h"

namespace spillway::plan {
namespace {

// The taints that Kubernetes itself puts on a node that is cordoned or not ready.
const Taint kCordoned{"node.kubernetes.io/unschedulable", "", TaintEffect::kNoSchedule};
const Taint kNotReady{"node.kubernetes.io/not-ready", "", TaintEffect::kNoSchedule};

std::string Untolerated(const Taint& taint) {
  return fmt::format("node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value);
}

// The key of the first requirement of the term that does not hold.
std::string FirstMismatch(const SelectorTerm& term, const Labels& labels,
                          std::string_view node_name) {
  for (const Requirement& requirement : term.labels)
    if (!Matches(requirement, labels)) return requirement.key;
  return Matches(term, labels, node_name) ? std::string() : std::string("metadata.name");
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

std::string WhyNeverOn(const PodShape& shape, const Node& node) {
  if (node.unschedulable && !Tolerates(shape.tolerations, kCordoned))
    return "node(s) were unschedulable";
  if (!node.ready && !Tolerates(shape.tolerations, kNotReady)) return Untolerated(kNotReady);
  for (const Taint& taint : node.taints)
    if (taint.effect != TaintEffect::kPreferNoSchedule && !Tolerates(shape.tolerations, taint))
      return Untolerated(taint);
  if (!FirstMismatch(shape, node.labels, node.name).empty())
    return "node(s) didn't match Pod's node affinity/selector";
  return {};
}

std::string WhyNot(const PodShape& shape, const Node& node, const Resources& free) {
  if (std::string why = WhyNeverOn(shape, node); !why.empty()) return why;
  const std::string shortage = free.FirstShortage(shape.requests);
  return shortage.empty() ? std::string() : "Insufficient " + shortage;
}

}  // namespace spillway::plan
