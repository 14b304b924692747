#include "control/rule_clock.h"

#include <algorithm>

namespace spillway::control {

RuleClock::RuleClock(const Clock& base, Time floor)
    : base_(base), now_(std::max(base.Now(), floor)), last_steady_(base.SteadyNow()) {}

Time RuleClock::Now() const {
  const std::scoped_lock lock(mutex_);
  const Duration steady = base_.SteadyNow();
  const Duration passed = std::max(steady - last_steady_, Duration{0});
  last_steady_ = std::max(steady, last_steady_);
  now_ += passed;
  owed_ += passed;
  const Duration slew{owed_.count() / 10};
  owed_ -= slew * 10;
  // `passed` is at least `slew`, so time never goes back.
  now_ += std::clamp(base_.Now() - now_, -slew, slew);
  return now_;
}

Time NewestMoment(const std::vector<BurstNode>& nodes) {
  Time newest{};
  for (const BurstNode& node : nodes) {
    newest = std::max({newest, node.created_at, node.phase_since});
    for (const auto& [phase, at] : node.history) newest = std::max(newest, at);
  }
  return newest;
}

}  // namespace spillway::control
