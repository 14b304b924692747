// The status of the objects people declare: what was found, spent and rented.
#pragma once

#include "base/time.h"
#include "daemon/cluster.h"
#include "gateway/gateway.h"
#include "model/snapshot.h"
#include "store/store.h"

namespace spillway::daemon {

// Writes the status of every Budget, BurstPolicy and CloudProvider that differs from what the
// snapshot says, with a condition each. An object that changed meanwhile is left for the next
// round.
void WriteStatuses(Cluster& cluster, const Snapshot& snapshot, Time now);

// Looks at the source of every Dataset and writes what include and exclude select. May take as long
// as the directories are large, so it belongs to no round.
void WriteDatasetStatuses(Cluster& cluster, const store::Store& store, gateway::Gateway& gateway,
                          Time now);

}  // namespace spillway::daemon
