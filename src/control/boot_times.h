// What past machines teach about the next ones.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/burst_node.h"
#include "model/offer.h"

namespace spillway::control {

// How long machines took from the request until they joined, by Offer::Key(): for offers of which
// at least 5 joined, out of the newest 50. In any order of `nodes` the same.
std::map<std::string, BootTimes> LearnBootTimes(const std::vector<BurstNode>& nodes);

}  // namespace spillway::control
