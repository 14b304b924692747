// The pods of the cluster with everything that decides where they fit, out of the store.
#pragma once

#include <vector>

#include "model/decode_pods.h"
#include "store/store.h"

namespace spillway::site {

class ClusterPods {
 public:
  // `keep_burst_tolerations` as PodObjects has it; `pods` by key, none finished.
  ClusterPods(const store::Store& store, bool keep_burst_tolerations,
              std::vector<store::ObjectPtr> pods);

  // Further pods, in any order.
  void Add(std::vector<store::ObjectPtr> pods);

  const std::vector<store::ObjectPtr>& pods() const { return pods_; }  // by key; none is finished
  // shape_of as pods().
  DecodedPods Decode() const { return DecodePods(objects_); }

 private:
  std::vector<store::ObjectPtr> pods_, others_;  // keep alive what objects_ points to
  PodObjects objects_;
};

// All pods of the store that are not finished, by key.
std::vector<store::ObjectPtr> UnfinishedPods(const store::Store& store);

// Has scheduling gates: nobody may bind it yet.
bool Gated(const json::value& pod);

}  // namespace spillway::site
