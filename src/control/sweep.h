// The orphan sweep: what carries our tag and belongs to no live BurstNode is deleted.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/time.h"
#include "control/command.h"
#include "model/burst_node.h"
#include "model/ledger.h"
#include "ports/cloud.h"

namespace spillway::control {

// An orphan is deleted only when two listings, at least this far apart, show it: a listing may lag
// behind a deletion, and a node may be about to adopt what was just created.
inline constexpr Duration kOrphanGrace{30s};

// Orphans that the last listing of their provider showed, by "provider/id", with the time of the
// first listing in a row that did. Lost at a crash: the sweep then starts over, which only delays
// it.
using OrphansSeen = std::map<std::string, Time, std::less<>>;

struct Orphan {
  Command command;  // DeleteOrphan
  LedgerEntry entry;
};
struct Sweep {
  OrphansSeen seen;
  std::vector<Orphan> orphans;  // to be deleted now
};

// `nodes` are those after this round's steps, sorted by name.
Sweep SweepOrphans(const std::map<std::string, ports::Inventory>& inventories,
                   const std::vector<BurstNode>& nodes, const OrphansSeen& seen, Time now);

}  // namespace spillway::control
