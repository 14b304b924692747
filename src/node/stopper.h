// How the threads of the agent wait and are asked to end.
#pragma once

#include <condition_variable>
#include <mutex>

#include "base/time.h"

namespace spillway::node {

// Set once. Thread-safe.
class Stopper {
 public:
  void Stop();
  bool Stopped() const;
  // Waits for `real` time or until stopped; false if stopped.
  bool SleepFor(Duration real);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
};

// Waiting time between attempts: doubles from `first` to `most`. Not thread-safe.
class Backoff {
 public:
  Backoff(Duration first, Duration most) : first_(first), most_(most), next_(first) {}
  // False if `stopper` was stopped meanwhile.
  bool Wait(Stopper& stopper);
  void Reset() { next_ = first_; }
  Duration Next();

 private:
  Duration first_, most_, next_;
};

// Milliseconds that go on while the machine is suspended (CLOCK_BOOTTIME): a lease must not be
// stretched by a provider that freezes the machine.
Duration BootNow();

}  // namespace spillway::node
