// Time for this folder: a clock that a paused machine cannot stop, waiting that can be cut short,
// backoff and rate limits. All of it is handed in, so tests wait for nothing.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/rng.h"
#include "base/time.h"

namespace spillway::kube {

// Real time. SteadyNow() is CLOCK_BOOTTIME, which also counts while the machine is suspended: a
// lease must not look fresh to a process that slept (clock_gettime(2)). Thread-safe.
class BootClock final : public Clock {
 public:
  Time Now() const override;
  Duration SteadyNow() const override;
};

// Waits; a test's waiter moves a clock by hand instead. Implementations are thread-safe.
class Waiter {
 public:
  virtual ~Waiter() = default;
  // True after `d`, false as soon as `stop` is requested.
  virtual bool Wait(Duration d, const std::stop_token& stop) = 0;
};

class RealWaiter final : public Waiter {
 public:
  bool Wait(Duration d, const std::stop_token& stop) override;

 private:
  std::mutex mutex_;
  std::condition_variable_any never_;
};

// What everything here is built with; borrowed, must outlive its users.
struct Timing {
  const Clock* clock = nullptr;
  Waiter* waiter = nullptr;
  std::uint64_t seed = 0;  // for jitter only
};

// Exponential backoff: Next() is uniform in [base/2, base], where base doubles up to the cap, so
// that clients that failed together do not come back together. Not thread-safe.
class Backoff {
 public:
  Backoff(Duration first, Duration cap, std::uint64_t seed);
  Duration Next();
  void Reset() { base_ = first_; }

 private:
  Duration first_, cap_, base_;
  Rng rng_;
};

// Kubernetes' MicroTime, which takes exactly six digits: "2026-11-24T08:15:30.250000Z".
std::string MicroTime(Time t);

// Token bucket: `burst` at once, `per_second` in the long run. Thread-safe.
class TokenBucket {
 public:
  TokenBucket(double per_second, double burst) : rate_(per_second), burst_(burst), level_(burst) {}

  // Takes a token and says how long to wait before using it; more than `patience` takes none and
  // gives nullopt. `now` is steady time.
  std::optional<Duration> Take(Duration now, Duration patience);

 private:
  std::mutex mutex_;
  double rate_, burst_, level_;
  std::optional<Duration> filled_at_;
};

}  // namespace spillway::kube
