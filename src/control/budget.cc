#include "control/budget.h"

#include <algorithm>

#include "control/advance.h"

namespace spillway::control {
namespace {

using std::chrono::days;
using std::chrono::month;
using std::chrono::months;
using std::chrono::year_month_day;
using std::chrono::years;

Time StartOf(year_month_day date) {
  return Time{std::chrono::sys_days{date}};
}

Period Months(year_month_day first, months length) {
  return {StartOf(first), StartOf(first + length)};
}

// When it went, or nullopt while it lives.
std::optional<Time> GoneAt(const BurstNode& node) {
  if (node.phase != Phase::kGone) return std::nullopt;
  for (const auto& [phase, at] : node.history)
    if (phase == Phase::kGone) return at;
  return node.phase_since;
}

}  // namespace

std::optional<Period> PeriodAt(std::string_view name, Time now) {
  const auto today = std::chrono::floor<days>(now);
  const year_month_day date{today};
  if (name == "day") return Period{Time{today}, Time{today + days{1}}};
  if (name == "week") {
    const std::chrono::weekday weekday{today};
    const auto monday = today - days{weekday.iso_encoding() - 1};
    return Period{Time{monday}, Time{monday + days{7}}};
  }
  const auto first = date.year() / date.month() / 1;
  if (name == "month") return Months(first, months{1});
  if (name == "quarter") {
    const unsigned m = (static_cast<unsigned>(date.month()) - 1) / 3 * 3 + 1;
    return Months(date.year() / month{m} / 1, months{3});
  }
  if (name == "year") return Months(date.year() / 1 / 1, months{12});
  return std::nullopt;
}

bool Charges(const BudgetState& budget, const BurstNode& node) {
  return budget.name == node.budget || std::find(budget.namespaces.begin(), budget.namespaces.end(),
                                                 node.ns) != budget.namespaces.end();
}

Money Reservation(const BurstNode& node, Time now) {
  const Money cost = CostAt(node, now).Total();
  return node.OnlyKeyLeft() ? cost : std::max(node.forecast.worst_case, cost);
}

void FillBudgets(std::vector<BudgetState>& budgets, const std::vector<BurstNode>& nodes, Time now) {
  for (BudgetState& budget : budgets) {
    const auto period = PeriodAt(budget.period, now);
    SPW_CHECK(period.has_value(), "a budget's period was validated");
    budget.period_ends = period->end;
    budget.reserved = Money{};
    // A Budget whose age is unknown was just made.
    const bool opened_now = budget.opened_at == Time{} || budget.opened_at >= period->start;
    budget.spent = opened_now ? budget.opening_spend : Money{};
    for (const BurstNode& node : nodes) {
      if (!Charges(budget, node)) continue;
      if (node.Live())
        budget.reserved += Reservation(node, now);
      else if (const Time gone = *GoneAt(node); gone >= period->start && gone < period->end)
        budget.spent += node.cost;
    }
  }
}

}  // namespace spillway::control
