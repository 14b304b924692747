// advance: the life of one BurstNode as a pure function.
//
//   Planned -> Requested -> Provisioned -> Joined -> Staged -> Running -> Returning -> Wiping ->
//   Deleting -> Gone
//        any state --> (failure noted) --> Returning, Wiping or Deleting --> Gone
//
// A step has two halves. The transitions (advance_start.cc, advance_run.cc, advance_end.cc) look at
// the observation and move the state. The needs (needs.cc) then say which commands the new state
// wants, every round anew, until an observation shows that they had their effect. So nothing has to
// be remembered about commands, and a crash loses none; decide.cc keeps repeats apart.
//
// Rules that never bend:
//  * The returned state is stored before the returned commands are sent.
//  * One create call per BurstNode, ever: it belongs to the step Planned -> Requested and to no
//    other. An unknown outcome is looked up; what is never found is given up, and the orphan sweep
//    takes it should it appear later.
//  * Absence needs two listings, one read after the other, both read after the last possible effect
//    and at least kAbsenceGrace after the create request.
//  * Deleting ends only when the instance and every side object are confirmed gone: the adapter
//    said so and two later listings agree. It is retried for ever.
//  * The run key is destroyed before wiping counts and before the instance is deleted, on every
//    path on which the run may have been prepared. A key service that does not do it within
//    deadlines.key is waited for no longer: the instance is deleted, and the destruction stays owed
//    (key_owed_since), is asked for until it is done, and only then the node is Gone.
//  * Results are receipted before anything is destroyed; each wait has a deadline with an honest
//    lesser outcome.
//  * The budget is reserved (worst case) in the step that stores Planned, and settled in the step
//    that reaches Gone.
//
// Time. `now` should come from a RuleClock, which does not follow jumps of the wall clock. Should
// it jump all the same: stored moments that lie in the future are taken as `now` (so no duration is
// negative and no wait longer than its deadline), a heartbeat from the future counts as one from
// now, and waiting is counted from Observation::watching_since at the earliest.
#pragma once

#include <vector>

#include "control/command.h"
#include "control/observation.h"
#include "model/burst_node.h"
#include "model/ledger.h"

namespace spillway::control {

inline constexpr Duration kAbsenceGrace{60s};  // listings may lag behind this long
inline constexpr Duration kRepeat{5s};         // between two sendings of the same command, at first
inline constexpr int kAbsentLists = 2;         // listings that prove absence

struct Step {
  BurstNode node;
  bool changed = false;  // node differs from the input and must be stored
  std::vector<Command> commands;
  std::vector<LedgerEntry> entries;
  std::optional<Time> look_again;  // nothing happens before then without an event
};

// One step; several phases may be passed in it. Equal arguments give equal steps. A Gone node never
// changes and needs nothing.
Step Advance(BurstNode node, const Observation& observation, Time now);

// Cost so far (or final, once the meter stopped) under the node's terms; pure arithmetic of its
// meter, side objects and egress bytes. Only bytes that leave the provider (results) are egress.
struct CostNow {
  Duration paid{0};
  Money compute, side_objects, egress;
  Money Total() const { return compute + side_objects + egress; }
};
CostNow CostAt(const BurstNode& node, Time now);

}  // namespace spillway::control
