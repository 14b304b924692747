#include "node/stopper.h"

#include <time.h>

#include <algorithm>

namespace spillway::node {

void Stopper::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

bool Stopper::Stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

bool Stopper::SleepFor(Duration real) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, real, [this] { return stopped_; });
}

Duration Backoff::Next() {
  const Duration wait = next_;
  next_ = std::min(next_ * 2, most_);
  return wait;
}

bool Backoff::Wait(Stopper& stopper) {
  return stopper.SleepFor(Next());
}

Duration BootNow() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return Duration(std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000);
}

}  // namespace spillway::node
