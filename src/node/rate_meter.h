// How fast something comes lately, for people.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "base/time.h"

namespace spillway::node {

// Thread-safe. Time is handed in and never goes back.
class RateMeter {
 public:
  void Add(std::int64_t bytes, Duration now);
  // The mean of the last whole seconds, five at most; 0 before the first is over.
  std::int64_t PerSecond(Duration now) const;

 private:
  static constexpr std::int64_t kSeconds = 5;
  struct Slot {
    std::int64_t second = -1, bytes = 0;
  };
  mutable std::mutex mutex_;
  std::array<Slot, kSeconds + 1> slots_{};  // by second; the newest is not over yet
  std::int64_t first_second_ = -1;
};

}  // namespace spillway::node
