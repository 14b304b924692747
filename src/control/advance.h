// advance: the life of one BurstNode as a pure function.
//
//   Planned -> Requested -> Provisioned -> Joined -> Staged -> Running -> Returning -> Wiping ->
//   Deleting -> Gone
//        any state --> (failure noted) --> Wiping or Deleting --> Gone
//
// Rules that never bend:
//  * The returned state is stored before the returned commands are sent.
//  * One create call per BurstNode, ever. An unknown outcome is looked up; what is never found is
//    given up, and the orphan sweep takes it should it appear later.
//  * Absence needs two listings, read after the last possible effect, and one of them at least
//    kAbsenceGrace later than the call.
//  * Deleting ends only when the instance and every side object are confirmed gone. It is retried
//    for ever.
//  * The run key is destroyed before wiping counts and before the instance is deleted, on every
//  path
//    on which data may have been staged.
//  * Results are receipted before anything is destroyed; each wait has a deadline with an honest
//    lesser outcome.
//  * The budget is reserved (worst case) in the step that stores Planned, and settled in the step
//    that reaches Gone.
#pragma once

#include <vector>

#include "control/command.h"
#include "control/observation.h"
#include "model/burst_node.h"
#include "model/ledger.h"

namespace spillway::control {

inline constexpr Duration kAbsenceGrace{60s};  // listings may lag behind this long
inline constexpr Duration kDeleteRetry{5s};    // between two delete passes

struct Step {
  BurstNode node;
  bool changed = false;  // node differs from the input and must be stored
  std::vector<Command> commands;
  std::vector<LedgerEntry> entries;
  std::optional<Time> look_again;  // nothing happens before then without an event
};

Step Advance(const BurstNode& node, const Observation& observation, Time now);

// Cost so far (or final, once the meter stopped) under the node's terms; pure arithmetic of its
// meter, side objects and egress bytes.
struct CostNow {
  Duration paid{0};
  Money compute, side_objects, egress;
  Money Total() const { return compute + side_objects + egress; }
};
CostNow CostAt(const BurstNode& node, Time now);

}  // namespace spillway::control
