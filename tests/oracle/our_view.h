// A random cluster as the planner's snapshot, decoded the way the real one is.
#pragma once

#include <vector>

#include "model/snapshot.h"
#include "tests/oracle/random_cluster.h"

namespace spillway::oracle {

struct OurView {
  Snapshot snapshot;                  // nodes, pods that are bound, shapes and groups
  std::vector<std::int32_t> pending;  // shapes of the pending pods
};

// `keep_burst_tolerations` as PodObjects has it. Objects that cannot be read end the program: the
// random ones can.
OurView ViewOf(const RandomCluster& cluster, bool keep_burst_tolerations);

// The document for the oracle.
json::value DocumentOf(const RandomCluster& cluster);

// What the filters said, for people.
std::string Sentence(const json::array& rejections);

// A number from the environment.
std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise);

}  // namespace spillway::oracle
