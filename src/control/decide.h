// decide: one round over everything that is known. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/advance.h"
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
  // A dry run plans and explains, and rents nothing.
  bool dry_run = false;
};

// Instances without a live BurstNode that were in the last listing; an orphan is deleted only when
// two listings in a row, at least kOrphanGrace apart, show it. Lost at a crash: the sweep then
// starts over, which only delays it.
inline constexpr Duration kOrphanGrace{30s};
struct SweepMemory {
  std::map<std::string, Time> first_seen;  // "provider/instance id or side object id" -> list time
};

struct RoundResult {
  Plan plan;
  std::vector<BurstNode> changed;  // new and advanced ones, to be stored
  std::vector<LedgerEntry> entries;
  std::vector<Command> commands;  // to be sent after the commit, in this order
  SweepMemory sweep;
  std::optional<Time> look_again;
};

RoundResult Decide(const World& world, const SweepMemory& sweep);

// A new BurstNode (phase Planned, budget reserved) and its "reserved" ledger entry.
struct NewNode {
  BurstNode node;
  LedgerEntry reservation;
};
NewNode MakeBurstNode(const Rental& rental, const Snapshot& snapshot, std::int64_t serial);

}  // namespace spillway::control
