// Gangs: nodes that were rented together for pods that run together or not at all.
#pragma once

#include <vector>

#include "control/observation.h"
#include "model/burst_node.h"
#include "model/plan.h"

namespace spillway::control {

// What each node has to know of its gang, in the order of `nodes`. One
// attempt of a gang is the nodes of the same gang that were planned in the same round; a later
// attempt for the same workload is another gang.
struct GangState {
  bool all_staged = true;
  bool failed = false;
};
std::vector<GangState> GangStates(const std::vector<BurstNode>& nodes);

// Two gangs of three in a quota of four would refuse each other for ever: each gets a part, both
// fail, both are rented for again at the same moment. So, for as long as the snapshot remembers a
// gang that found no room for all of its nodes, gangs start one at a time; of several the one that
// failed least often goes first, so that one that can never start does not hold up the others.
// Takes the rentals of the others out of the plan and says so in their decisions.
void TakeTurns(Plan& plan, const Snapshot& snapshot);

}  // namespace spillway::control
