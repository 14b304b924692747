// Reaction: how long from a pod that nobody has room for to the call that asks for a machine.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/plan.h"
#include "model/snapshot.h"
#include "store/store.h"

namespace spillway::daemon {

// Thread-safe. Real time by the steady clock. What it measures goes to metrics::OfProcess().
class Reaction {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  // Objects of the store changed. The time of a pod begins when it is first seen unschedulable; it
  // ends without a result when the pod has a node or is gone.
  void Changed(const std::vector<store::ObjectPtr>& objects, bool removed, Moment now);
  // Pods for which it was decided not to rent now: what happens later is no reaction to their
  // coming.
  void Decided(const Snapshot& snapshot, const std::vector<Decision>& decisions);
  // A machine for these pods is asked for now. `waited`: how much of the time others took, of whom
  // something was needed first.
  void Asked(const std::vector<PodRef>& pods, Moment now, std::chrono::nanoseconds waited);

 private:
  static constexpr std::size_t kMost = 200'000;  // pods; further ones are not measured

  struct Pending {
    Moment since;
    bool answered = false;  // kept, so that it does not begin again
  };
  void Answer(Pending& pod);

  std::mutex mutex_;
  std::unordered_map<std::string, Pending> pods_;  // by uid
  std::size_t open_ = 0;                           // not answered
};

}  // namespace spillway::daemon
