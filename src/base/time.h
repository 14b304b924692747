// Time as values. Time is UTC with millisecond resolution; Duration is a signed span. Only the
// programs in src/apps own a real Clock; everything else is handed the time.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway {

using Duration = std::chrono::milliseconds;
using Time = std::chrono::sys_time<Duration>;
using namespace std::chrono_literals;

// Kubernetes and Go style: "300ms", "90s", "10m", "1h30m", "12h". A unit is required, except for
// "0". Negative values, unknown units and values above 100 years are kInvalid.
Result<Duration> ParseDuration(std::string_view text);

// Shortest exact form: "0s", "90s" -> "1m30s", "1h30m", "12h", "1.5s" -> "1s500ms".
std::string FormatDuration(Duration d);

// For people, two units at most, rounded down: "4m10s", "2h", "350ms".
std::string HumanDuration(Duration d);

// RFC 3339 in UTC: "2026-11-24T08:15:30.250Z" (milliseconds only when they are not zero).
std::string FormatTime(Time t);
Result<Time> ParseTime(std::string_view text);

// Wall time for records and people, steady time for deadlines and leases.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
  virtual Duration SteadyNow() const = 0;  // since an arbitrary start; never goes back
};

// The machine's clocks, optionally running `scale` times faster than real time from the moment of
// construction: a demonstration can show hours in minutes. Thread-safe.
class SystemClock final : public Clock {
 public:
  explicit SystemClock(int scale = 1);
  Time Now() const override;
  Duration SteadyNow() const override;
  int scale() const { return scale_; }
  // How long to really sleep for `d` of this clock.
  Duration Real(Duration d) const { return d / scale_; }
  // A moment that somebody with a real clock wrote down, on this clock.
  Time FromReal(Time real) const { return wall_start_ + (real - wall_start_) * scale_; }

 private:
  int scale_;
  Time wall_start_;
  std::chrono::steady_clock::time_point steady_start_;
};

// Set by hand; for tests and the simulator. Not thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Time start) : now_(start) {}
  Time Now() const override { return now_; }
  Duration SteadyNow() const override { return steady_; }
  void Advance(Duration d) { now_ += d, steady_ += d; }
  void JumpWall(Duration d) { now_ += d; }  // what NTP or an operator does

 private:
  Time now_;
  Duration steady_{0};
};

}  // namespace spillway
