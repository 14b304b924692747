// Explain: a verdict with a reason on every offer.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "plan/items.h"
#include "plan/market.h"

namespace spillway::plan {

// What is explained: some pods under a policy, and what was done for them.
struct Question {
  int policy = 0;
  std::vector<Item> items;               // in packing order, at least one
  std::map<std::int32_t, Money> chosen;  // offers that were taken, with what they cost together
  std::string_view not_rented;           // why nothing was taken, when nothing was
  bool mixed = false;                    // not exactly the cheapest there is
  int policy_left = 0;                   // limits at the time of the decision
  std::vector<int> accounts_left;
};

// Chosen offers first, then allowed ones by total, then refused ones by rule. Every total is that
// of all items: of an offer that was not taken, as if they were all put on instances of it.
Explanation ExplainOffers(Market& market, const Question& question);

// For a workload for which no offer is looked at, because it may not or need not leave.
Explanation ExplainNone(const Index& index, std::string_view because);

}  // namespace spillway::plan
