// decide: one round over everything that is known. Pure: equal worlds and memories give equal
// results.
//
// Order: advance every BurstNode; plan with what they have become, so that the replacement of a
// refused one is rented in the same round; make BurstNodes of the plan's rentals; sweep orphans.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/advance.h"
#include "control/sweep.h"
#include "model/plan.h"
#include "model/snapshot.h"

namespace spillway::control {

// Everything one round looks at.
struct World {
  Snapshot snapshot;                                    // burst_nodes included
  std::map<std::string, Observation> observations;      // by BurstNode name
  std::map<std::string, ports::Inventory> inventories;  // newest list per CloudProvider name
  std::int64_t last_serial = 0;
  // The site's state was read completely at least once; before that nothing is decided.
  bool synced = false;
  // A dry run plans and explains; nothing advances and nothing is rented.
  bool dry_run = false;
};

// What one round remembers for the next. A crash loses it, which only delays the sweep and repeats
// commands that may be repeated.
struct Memory {
  OrphansSeen orphans;
  // Commands that are still wanted, by Describe().
  struct Sent {
    Time at{};      // last sending
    int times = 0;  // sendings in a row
  };
  std::map<std::string, Sent, std::less<>> sent;
};

// How long after the `times`-th sending in a row the same command may be sent again: kRepeat for
// the first minute or so, then ever longer up to kRepeatAtMost. A delete that a provider refuses
// for an hour must not become a thousand calls.
Duration RepeatAfter(int times);
inline constexpr Duration kRepeatAtMost{60s};

struct RoundResult {
  Plan plan;
  std::vector<BurstNode> changed;  // new and advanced ones, to be stored
  std::vector<LedgerEntry> entries;
  std::vector<Command> commands;  // to be sent after the commit, in this order
  Memory memory;
  std::optional<Time> look_again;
};

// Brings world.snapshot.burst_nodes, the budgets and the accounts' live_nodes up to date with what
// the round changed; nothing else in `world` changes.
RoundResult Decide(World& world, const Memory& memory);

// A new BurstNode (phase Planned, budget reserved) and its "reserved" ledger entry.
struct NewNode {
  BurstNode node;
  LedgerEntry reservation;
};
NewNode MakeBurstNode(const Rental& rental, const Snapshot& snapshot, std::int64_t serial);

}  // namespace spillway::control
