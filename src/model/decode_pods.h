// Pods of a cluster -> shapes: what kube-scheduler's filters look at, each rule resolved as far as
// it does not depend on a node.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "model/snapshot.h"

namespace spillway {

// Objects as the API server has them; none is owned, none may be null.
struct PodObjects {
  using List = std::vector<const json::value*>;
  List pods;  // without finished ones
  List daemon_sets;
  List namespaces;
  List claims, volumes, storage_classes, csi_drivers;  // PersistentVolumeClaim, ...
  // The toleration that admits a pod to its rented node is not part of what it needs. The scheduler
  // that binds it has to look at it all the same.
  bool keep_burst_tolerations = false;
};

struct DecodedPods {
  std::vector<PodShape> shapes;
  std::vector<PodGroup> groups;
  std::vector<PodShape> daemons;
  std::vector<std::int32_t> shape_of;  // by PodObjects::pods; -1: cannot be read
  std::vector<std::string> problems;   // one sentence per object that cannot be read
};

DecodedPods DecodePods(const PodObjects& objects);

// The limits of a CSINode, by driver.
std::map<std::string, std::int32_t> DecodeVolumeLimits(const json::value& csi_node);

}  // namespace spillway
