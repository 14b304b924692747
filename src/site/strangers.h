// Strangers: pods that run on the site's nodes and only take room there. Nothing is decided about
// them, and no rule between pods names them, so a snapshot needs their sum by node, not each of
// them. On a large cluster nearly all pods are strangers.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/snapshot.h"
#include "store/store.h"

namespace spillway::site {

// Whether an owner waits for the pod's end, it may be one of a gang or came for a request, or
// Spillway was told something about it.
bool IsOfInterest(const json::value& pod);

// Where a pod of the store is bound; empty: nowhere. Quick for the same object again.
std::string_view BoundTo(const store::StoredObject& pod);

class Strangers {
 public:
  // Nobody on a rented node is a stranger; in namespaces that a policy names only pods are whose
  // owners keep them for good (ReplicaSets, DaemonSets, ...).
  Strangers(const std::vector<BurstNode>& burst_nodes, const std::vector<Policy>& policies);

  // Keeps the pod if it is a stranger, and leaves it out if it is finished; false: it is neither.
  // What a pod's object says is worked out once and kept with the object.
  bool Take(const store::ObjectPtr& pod);
  // Gives back, in the order of keys, those that a rule between pods names after all.
  std::vector<store::ObjectPtr> NamedBy(const std::vector<PodGroup>& groups);
  // Adds what the others take to nodes (sorted by name) and quotas.
  void AddTo(Snapshot& snapshot) const;

 private:
  std::vector<std::string> rented_, namespaces_;  // nodes, those of policies; sorted
  std::vector<store::ObjectPtr> pods_;
};

}  // namespace spillway::site
