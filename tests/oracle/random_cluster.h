// Random clusters as an API server would hold them: every feature that kube-scheduler's filters
// look at, small enough that rules meet each other.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/rng.h"

namespace spillway::oracle {

struct RandomCluster {
  std::vector<json::value> nodes, bound, pending;
  std::vector<json::value> objects;  // namespaces, claims, volumes, classes, CSINodes, ...
};

RandomCluster MakeCluster(Rng& rng);

// Parts of MakeCluster.
json::value MakePod(Rng& rng, const std::string& name, const std::string& ns,
                    const std::vector<std::string>& claims);
// Adds volumes to the cluster; names of claims of a namespace that pods may use.
std::vector<std::string> AddVolumes(Rng& rng, const std::string& ns, RandomCluster& cluster);

// One of the words.
inline const char* Pick(Rng& rng, std::initializer_list<const char*> words) {
  return words.begin()[rng.Below(words.size())];
}

inline constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";
inline constexpr const char* kHostLabel = "kubernetes.io/hostname";

}  // namespace spillway::oracle
