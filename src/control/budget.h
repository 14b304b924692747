// Budgets: what of an amount is spent and reserved in the current period. Views of BurstNodes; the
// periods are calendar periods in UTC.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "model/burst_node.h"
#include "model/rules.h"

namespace spillway::control {

// [start, end)
struct Period {
  Time start{}, end{};
};

// The "day", "week" (from Monday, ISO 8601), "month", "quarter" or "year" that contains `now`;
// nullopt for another word.
std::optional<Period> PeriodAt(std::string_view name, Time now);

// Fills `reserved`, `spent` and `period_ends` of each budget; opening_spend counts in the period in
// which the Budget was made. A live node holds its Reservation(); a settled node counts in the
// period in which it went. `nodes` must hold every live node and those Gone since the earliest
// period began.
void FillBudgets(std::vector<BudgetState>& budgets, const std::vector<BurstNode>& nodes, Time now);

// Every budget that names the node's namespace is charged, as the planner asks all of them.
bool Charges(const BudgetState& budget, const BurstNode& node);

// What one live node holds of its budget: its worst case, or what it has cost already where that is
// more. If only the end of its run key is left to wait for, what it has cost: that grows no more.
Money Reservation(const BurstNode& node, Time now);

}  // namespace spillway::control
