// RuleClock: the clock that the rules live by. It follows the wall clock without its jumps.
//
// The rules of advance.h measure waits, leases and prices as differences of stored moments. An
// operator or NTP that sets the wall clock forward by five hours must not end every wait, and one
// that sets it back must not make a lease last for ever. So this clock goes with the steady clock,
// starts at the wall clock (or at the newest stored moment, if the wall clock was set back while
// the program was down), and approaches the wall clock by at most a tenth of the time that passes.
// One program has one RuleClock, and everything that is compared with another moment is read from
// it.
#pragma once

#include <mutex>
#include <vector>

#include "base/time.h"
#include "model/burst_node.h"

namespace spillway::control {

class RuleClock final : public Clock {
 public:
  // `base` must outlive it. `floor`: NewestMoment of what the journal holds.
  RuleClock(const Clock& base, Time floor);

  Time Now() const override;
  Duration SteadyNow() const override { return base_.SteadyNow(); }

 private:
  const Clock& base_;
  mutable std::mutex mutex_;
  mutable Time now_;  // at last_steady_
  mutable Duration last_steady_;
  mutable Duration owed_{0};  // fractions of slewing not yet applied
};

// The newest moment that is stored in any of the nodes; the epoch if there is none.
Time NewestMoment(const std::vector<BurstNode>& nodes);

}  // namespace spillway::control
