// Strangers: pods that run on the site's nodes and only take room there. Nothing is decided about
// them, and no rule between pods names them, so a snapshot needs their sum by node, not each of
// them. On a large cluster nearly all pods are strangers.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "model/snapshot.h"
#include "store/store.h"

namespace spillway::site {

// Whether an owner waits for the pod's end, it may be one of a gang or came for a request, or
// Spillway was told something about it.
bool IsOfInterest(const json::value& pod);

// A name with its hash, so that tens of thousands of look-ups a round hash nothing.
struct HashedName {
  std::string_view text;  // borrowed
  std::size_t hash = 0;

  static HashedName Of(std::string_view text) {
    return {text, std::hash<std::string_view>()(text)};
  }
  bool operator==(const HashedName& other) const { return text == other.text; }
  struct Hash {
    std::size_t operator()(const HashedName& name) const { return name.hash; }
  };
};
using HashedNames = std::unordered_set<HashedName, HashedName::Hash>;

// Where a pod of the store is bound; empty: nowhere. Quick for the same object again.
HashedName BoundTo(const store::StoredObject& pod);

class Strangers {
 public:
  // Nobody on a rented node is a stranger; in namespaces that a policy names only pods are whose
  // owners keep them for good (ReplicaSets, DaemonSets, ...). Borrows both.
  Strangers(const std::vector<BurstNode>& burst_nodes, const std::vector<Policy>& policies);

  // Keeps the pod if it is a stranger, and leaves it out if it is finished; false: it is neither.
  // What a pod's object says is worked out once and kept with the object. Quick if pods come in
  // the order of keys.
  bool Take(const store::ObjectPtr& pod);
  // Gives back, in the order of keys, those that a rule between pods names after all.
  std::vector<store::ObjectPtr> NamedBy(const std::vector<PodGroup>& groups);
  // Adds what the others take to nodes (sorted by name) and quotas.
  void AddTo(Snapshot& snapshot) const;

 private:
  HashedNames rented_;                         // nodes
  std::vector<std::string_view> namespaces_;   // of policies, sorted
  std::pair<std::string_view, bool> last_ns_;  // whether it is one of them
  std::vector<store::ObjectPtr> pods_;
};

}  // namespace spillway::site
