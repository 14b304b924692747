// What kube-scheduler's filters look at: labels, selectors, taints and tolerations, host ports,
// volumes, and the rules between pods.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
// https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/resources.h"

namespace spillway {

using Labels = std::map<std::string, std::string, std::less<>>;

// Labels whose copies share them until one is changed: every round copies those of thousands of
// nodes and changes none. A value like any other; what is behind it is never shared for writing.
class SharedLabels {
 public:
  SharedLabels() = default;
  SharedLabels(Labels labels) : labels_(std::make_shared<Labels>(std::move(labels))) {}
  SharedLabels(std::initializer_list<Labels::value_type> labels) : SharedLabels(Labels(labels)) {}

  const Labels& get() const {
    static const Labels kNone;
    return labels_ ? *labels_ : kNone;
  }
  operator const Labels&() const { return get(); }
  auto begin() const { return get().begin(); }
  auto end() const { return get().end(); }
  auto find(std::string_view key) const { return get().find(key); }
  bool contains(std::string_view key) const { return get().contains(key); }

  // For changes: a copy of its own, if another has it too.
  Labels& own() {
    if (!labels_ || labels_.use_count() > 1) labels_ = std::make_shared<Labels>(get());
    return *labels_;
  }
  std::string& operator[](const std::string& key) { return own()[key]; }
  bool operator==(const SharedLabels& other) const { return get() == other.get(); }

 private:
  std::shared_ptr<Labels> labels_;
};

// Taints of rented nodes. The pods that a node was rented for get a toleration of the first one;
// the second one goes when the node is ready.
inline constexpr std::string_view kBurstTaint = "spillway.dev/burst";
inline constexpr std::string_view kStartingTaint = "spillway.dev/starting";

inline constexpr std::string_view kHostnameLabel = "kubernetes.io/hostname";

enum class SelectorOperator : std::uint8_t { kIn, kNotIn, kExists, kDoesNotExist, kGt, kLt };

struct Requirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kExists;
  std::vector<std::string> values;
  auto operator<=>(const Requirement&) const = default;
};

// One nodeSelectorTerm: all requirements must hold. `fields` knows only metadata.name, as
// Kubernetes does. A term without any requirement matches nothing.
struct SelectorTerm {
  std::vector<Requirement> labels;
  std::vector<Requirement> fields;
  auto operator<=>(const SelectorTerm&) const = default;
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
  auto operator<=>(const Toleration&) const = default;
};

bool Matches(const Requirement& requirement, const Labels& labels);
bool Matches(const SelectorTerm& term, const Labels& labels, std::string_view node_name);
bool Tolerates(const std::vector<Toleration>& tolerations, const Taint& taint);

// Pods by namespace and labels, as a rule between pods names them.
struct PodSelector {
  bool all_namespaces = false;
  std::vector<std::string> namespaces;  // sorted; unless all_namespaces
  bool nothing = false;                 // a rule without labelSelector selects no pod
  std::vector<Requirement> labels;      // all must hold; empty: every pod of the namespaces
  auto operator<=>(const PodSelector&) const = default;
};
bool Matches(const PodSelector& selector, std::string_view ns, const Labels& labels);

// The pods that all of the selectors name. Shapes refer to groups by their index in
// Snapshot::groups, so that nobody compares labels of pods while planning.
using PodGroup = std::vector<PodSelector>;

// "No pod of the group in my domain": nodes with the same value of the label `key` are one domain.
struct PodRule {
  std::int32_t group = 0;
  std::string key;
  auto operator<=>(const PodRule&) const = default;
};

// A topologySpreadConstraint with whenUnsatisfiable: DoNotSchedule. Others never forbid.
struct SpreadRule {
  std::string key;
  std::int32_t max_skew = 1;
  std::int32_t min_domains = 1;
  std::int32_t group = -1;   // pods that count; -1: none does
  bool counts_self = false;  // the pod itself is selected
  bool honor_affinity = true;
  bool honor_taints = false;
  auto operator<=>(const SpreadRule&) const = default;
};

// A port of the node itself. Conflicts: same port and protocol, and same address or one of them
// all addresses (empty).
struct HostPort {
  std::int32_t port = 0;
  std::string protocol = "TCP";
  std::string address;
  auto operator<=>(const HostPort&) const = default;
};
bool Conflicts(const HostPort& a, const HostPort& b);

// Where a volume of the pod can be used: any of the terms must match the labels of the node.
struct VolumeRule {
  std::string node;  // chosen for it before; empty: none
  bool any_node = false;
  std::vector<SelectorTerm> terms;
  auto operator<=>(const VolumeRule&) const = default;
};

// A volume that counts against a node's limit of its CSI driver.
struct AttachedVolume {
  std::string driver, handle;
  auto operator<=>(const AttachedVolume&) const = default;
};

// Everything about a pod that decides where it fits. Pods with equal shapes share one entry of
// Snapshot::shapes, so that the planner looks at a shape once and not at every pod.
struct PodShape {
  Resources requests;
  Labels node_selector;
  bool has_required_affinity = false;        // an affinity with zero terms matches nothing
  std::vector<SelectorTerm> required_terms;  // OR of terms
  std::vector<Toleration> tolerations;
  std::vector<HostPort> host_ports;           // sorted
  std::vector<VolumeRule> volume_rules;       // all must hold
  std::vector<AttachedVolume> attached;       // sorted
  std::vector<std::string> exclusive_claims;  // ReadWriteOncePod: no two pods at a time; sorted
  std::vector<std::int32_t> groups;           // that the pod belongs to, ascending
  std::int32_t affinity_group = -1;           // its required affinity asks for these pods ...
  std::vector<std::string> affinity_keys;     // ... in its domain of each of these labels; sorted
  std::vector<PodRule> anti_affinity;         // required; sorted
  std::vector<SpreadRule> spread;             // all must hold
  std::string nowhere;  // why it fits nowhere at the moment ("persistentvolumeclaim ... not found")
  // Parts of the pod that this version does not understand ("resourceClaims", ...). Such a pod
  // fits nowhere and is never rented for, with this as the reason.
  std::vector<std::string> not_understood;

  bool MemberOf(std::int32_t group) const;
  // Whether other pods can change where it fits, beyond the room they take.
  bool HasPodRules() const {
    return affinity_group >= 0 || !anti_affinity.empty() || !spread.empty();
  }
  bool operator==(const PodShape&) const = default;
  auto operator<=>(const PodShape&) const = default;
};

}  // namespace spillway
