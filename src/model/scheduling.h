// Node labels, selectors, taints and tolerations, with the meaning kube-scheduler gives them.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/resources.h"

namespace spillway {

using Labels = std::map<std::string, std::string, std::less<>>;

enum class SelectorOperator : std::uint8_t { kIn, kNotIn, kExists, kDoesNotExist, kGt, kLt };

struct Requirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kExists;
  std::vector<std::string> values;
  bool operator==(const Requirement&) const = default;
};

// One nodeSelectorTerm: all requirements must hold. `fields` knows only metadata.name, as
// Kubernetes does. A term without any requirement matches nothing.
struct SelectorTerm {
  std::vector<Requirement> labels;
  std::vector<Requirement> fields;
  bool operator==(const SelectorTerm&) const = default;
};

enum class TaintEffect : std::uint8_t { kNoSchedule, kPreferNoSchedule, kNoExecute };

struct Taint {
  std::string key, value;
  TaintEffect effect = TaintEffect::kNoSchedule;
  bool operator==(const Taint&) const = default;
};

// operator Exists (value ignored) or Equal; an empty key with Exists tolerates everything; no
// effect means every effect.
struct Toleration {
  std::string key, value;
  bool exists = false;
  bool any_effect = true;
  TaintEffect effect = TaintEffect::kNoSchedule;
  bool operator==(const Toleration&) const = default;
};

bool Matches(const Requirement& requirement, const Labels& labels);
bool Matches(const SelectorTerm& term, const Labels& labels, std::string_view node_name);
bool Tolerates(const std::vector<Toleration>& tolerations, const Taint& taint);

// Everything about a pod that decides where it fits. Pods with equal shapes share one entry of
// Snapshot::shapes, so that the planner looks at a shape once and not at every pod.
struct PodShape {
  Resources requests;
  Labels node_selector;
  bool has_required_affinity = false;        // an affinity with zero terms matches nothing
  std::vector<SelectorTerm> required_terms;  // OR of terms
  std::vector<Toleration> tolerations;
  // Parts of the pod that this version does not understand ("topologySpreadConstraints", ...). A
  // pod with such a part is never rented for, with this as the reason.
  std::vector<std::string> not_understood;
  bool operator==(const PodShape&) const = default;
};

}  // namespace spillway
