// Strangers: pods that run on the site's nodes and only take room there. Nothing is decided about
// them, and no rule between pods names them, so a snapshot needs their sum by node, not each of
// them. On a large cluster nearly all pods are strangers.
#pragma once

#include <string>
#include <vector>

#include "model/snapshot.h"
#include "site/pod_index.h"
#include "store/store.h"

namespace spillway::site {

// The pods of one moment.
class Strangers {
 public:
  // A plain pod (see PodIndex) is a stranger. Nobody on a rented node is, and in namespaces that a
  // policy names only those are whose owners keep them for good (ReplicaSets, DaemonSets, ...).
  // `promised` pods may have rules that name others.
  Strangers(const store::Store& store, const std::vector<BurstNode>& burst_nodes,
            const std::vector<Policy>& policies, const std::vector<store::ObjectPtr>& promised);

  // Pods that are neither strangers nor finished, by key.
  const std::vector<store::ObjectPtr>& others() const { return others_; }
  // Gives back those that one of the groups names after all. Groups of the others and the promised
  // only: without rules of theirs nothing is kept that could be given back.
  std::vector<store::ObjectPtr> NamedBy(const std::vector<PodGroup>& groups);
  // Adds what the strangers take to nodes (sorted by name) and quotas.
  void AddTo(Snapshot& snapshot) const;

 private:
  struct Room {
    std::string node;
    Resources taken;
    std::int32_t pods = 0;
  };
  struct Space {
    std::string ns;
    std::int64_t gpus = 0, pods = 0;
  };

  void Read(const PodIndex& index, const std::vector<BurstNode>& burst_nodes,
            const std::vector<Policy>& policies, const std::vector<store::ObjectPtr>& promised);
  void IsNone(const store::StoredObject& pod);  // takes it out of the sums

  std::vector<store::ObjectPtr> others_, strangers_;
  std::vector<Room> rooms_;    // by node
  std::vector<Space> spaces_;  // by namespace
};

}  // namespace spillway::site
