// The pods of the cluster with everything that decides where they fit, out of the store.
#pragma once

#include <vector>

#include "model/decode_pods.h"
#include "site/strangers.h"
#include "store/store.h"

namespace spillway::site {

class ClusterPods {
 public:
  // `keep_burst_tolerations` as PodObjects has it; `promised` pods are looked at as if they
  // existed. Pods that `strangers` takes are left to it.
  ClusterPods(const store::Store& store, bool keep_burst_tolerations,
              std::vector<store::ObjectPtr> promised = {}, Strangers* strangers = nullptr);

  // Pods that were left out.
  void Add(std::vector<store::ObjectPtr> pods);

  const std::vector<store::ObjectPtr>& pods() const { return pods_; }  // by key; none is finished
  // shape_of as pods().
  DecodedPods Decode() const { return DecodePods(objects_); }

 private:
  std::vector<store::ObjectPtr> pods_, others_;  // keep alive what objects_ points to
  PodObjects objects_;
};

// Has scheduling gates: nobody may bind it yet.
bool Gated(const json::value& pod);

}  // namespace spillway::site
