// Pods bound to a rented node, as orders for it; and what it says of them, as pod status.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "door/protocol.h"
#include "store/store.h"

namespace spillway::embedded {

// Orders for every pod bound to `node` that has not ended, and stop orders for those that should
// end. `clock_scale`: the node counts in real time.
std::vector<door::PodOrder> OrdersFor(const store::Store& store, const std::string& node,
                                      int clock_scale, Time now);

// Writes what the node reports into its pods (by uid; only pods bound to it that have not ended)
// and removes pods that were being deleted and have ended there.
void TakeStatuses(store::Store& store, const std::string& node,
                  const std::vector<door::PodStatus>& statuses, int clock_scale, Time now);

}  // namespace spillway::embedded
