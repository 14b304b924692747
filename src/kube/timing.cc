#include "kube/timing.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>

namespace spillway::kube {

Time BootClock::Now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

Duration BootClock::SteadyNow() const {
  timespec now{};
  SPW_CHECK(::clock_gettime(CLOCK_BOOTTIME, &now) == 0, "no CLOCK_BOOTTIME");
  return std::chrono::seconds(now.tv_sec) +
         std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(now.tv_nsec));
}

bool RealWaiter::Wait(Duration d, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  never_.wait_for(lock, stop, d, [] { return false; });
  return !stop.stop_requested();
}

Backoff::Backoff(Duration first, Duration cap, std::uint64_t seed)
    : first_(first), cap_(cap), base_(first), rng_(seed) {}

Duration Backoff::Next() {
  const Duration wait(rng_.Between(base_.count() / 2, base_.count()));
  base_ = std::min(cap_, base_ * 2);
  return wait;
}

std::string MicroTime(Time t) {
  const Time second = std::chrono::floor<std::chrono::seconds>(t);
  std::string text = FormatTime(second);
  text.pop_back();
  return text + fmt::format(".{:06}Z", (t - second).count() * 1000);
}

std::optional<Duration> TokenBucket::Take(Duration now, Duration patience) {
  const std::lock_guard lock(mutex_);
  if (filled_at_)
    level_ = std::min(burst_,
                      level_ + rate_ * static_cast<double>((now - *filled_at_).count()) / 1000.0);
  filled_at_ = now;
  const double missing = 1.0 - level_;
  const Duration wait(
      missing <= 0 ? 0 : static_cast<std::int64_t>(std::ceil(missing / rate_ * 1000.0)));
  if (wait > patience) return std::nullopt;
  level_ -= 1.0;
  return wait;
}

}  // namespace spillway::kube
