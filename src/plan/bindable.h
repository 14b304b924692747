// Bindable: whether kube-scheduler could bring about a placement that was thought out as a whole.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "plan/placement.h"

namespace spillway::plan {

// A shape and a node of the placement.
using Bound = std::pair<std::int32_t, std::int32_t>;

// The scheduler takes pods in an order of its own, so these must be bindable one after the other in
// some order, and each of them as the last one, too. Indexes of those that are not, ascending.
// `pods` are placed on `ground`, which is left as it was.
std::vector<std::size_t> Unbindable(Placement& ground, const std::vector<Bound>& pods);

}  // namespace spillway::plan
