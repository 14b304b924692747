// How fast one run's data may leave the site.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/time.h"

namespace spillway::gateway {

// A bucket of bytes that fills at a rate; thread-safe. Shared by all streams of a run. Time is real
// and steady.
class RateLimit {
 public:
  // 0: without a limit.
  explicit RateLimit(std::int64_t bytes_per_s) : bytes_per_s_(bytes_per_s) {}

  std::int64_t bytes_per_s() const { return bytes_per_s_; }

  struct Grant {
    std::int64_t bytes = 0;  // 0: ask again after `wait`
    Duration wait{0};
  };
  // Up to `most` bytes, taken out of the bucket.
  Grant Take(std::int64_t most, Duration now);

 private:
  const std::int64_t bytes_per_s_;
  std::mutex mutex_;  // guards the two below
  std::int64_t bucket_bytes_ = 0;
  Duration filled_at_{-1};
};

}  // namespace spillway::gateway
