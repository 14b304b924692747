// Gangs: nodes that were rented together for pods that run together or not at all.
#pragma once

#include <vector>

#include "control/observation.h"
#include "model/burst_node.h"

namespace spillway::control {

// Fills gang_all_staged and gang_failed of each node's observation, in the order of `nodes`. One
// attempt of a gang is the nodes of the same gang that were planned in the same round; a later
// attempt for the same workload is another gang.
struct GangState {
  bool all_staged = true;
  bool failed = false;
};
std::vector<GangState> GangStates(const std::vector<BurstNode>& nodes);

}  // namespace spillway::control
