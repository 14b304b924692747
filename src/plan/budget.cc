#include "plan/budget.h"

namespace spillway::plan {

Purse::Purse(const Snapshot& snapshot) {
  for (std::size_t i = 0; i < snapshot.budgets.size(); ++i) {
    left_.push_back(snapshot.budgets[i].Left());
    for (const std::string& ns : snapshot.budgets[i].namespaces)
      by_ns_[ns].push_back(static_cast<int>(i));
  }
}

int Purse::Tightest(std::string_view ns) const {
  const auto it = by_ns_.find(ns);
  if (it == by_ns_.end()) return -1;
  int tightest = it->second.front();
  for (const int budget : it->second)
    if (Left(budget) < Left(tightest)) tightest = budget;
  return tightest;
}

Money Purse::Missing(std::string_view ns, Money worst_case) const {
  const int budget = Tightest(ns);
  if (budget < 0 || worst_case <= Left(budget)) return Money();
  return worst_case - Left(budget);
}

void Purse::Reserve(std::string_view ns, Money worst_case) {
  SPW_CHECK(Missing(ns, worst_case) == Money(), "a reservation is checked before it is made");
  const auto it = by_ns_.find(ns);
  if (it == by_ns_.end()) return;
  for (const int budget : it->second) left_[static_cast<std::size_t>(budget)] -= worst_case;
}

}  // namespace spillway::plan
