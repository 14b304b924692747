// Budget: what may still be reserved in this plan.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/snapshot.h"

namespace spillway::plan {

// Tracks Left() of every budget while the plan reserves worst cases. Every budget that names a
// namespace must have enough.
class Purse {
 public:
  explicit Purse(const Snapshot& snapshot);

  // Index of the namespace's budget with the least left (then the first name); -1: no budget.
  int Tightest(std::string_view ns) const;
  // What the tightest budget lacks for `worst_case`; zero: enough.
  Money Missing(std::string_view ns, Money worst_case) const;
  Money Left(int budget) const { return left_[static_cast<std::size_t>(budget)]; }
  // Missing() must be zero.
  void Reserve(std::string_view ns, Money worst_case);

 private:
  std::vector<Money> left_;                                     // as Snapshot::budgets
  std::map<std::string, std::vector<int>, std::less<>> by_ns_;  // ascending
};

}  // namespace spillway::plan
