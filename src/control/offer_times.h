// What past machines teach about the next ones.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/burst_node.h"
#include "model/offer.h"

namespace spillway::control {

// What was measured, by Offer::Key(). Of the newest 2000 nodes, the newest 50 machines of an offer
// count for each time; fewer than 5 teach nothing, and that time stays unlearned. In any order of
// `nodes` the same. A node whose record does not say when it registered did so when it joined.
std::map<std::string, OfferTimes> LearnOfferTimes(const std::vector<BurstNode>& nodes);

}  // namespace spillway::control
