#include "gateway/rate_limit.h"

#include <algorithm>

namespace spillway::gateway {
namespace {

// What may leave at once after a pause, in time of the rate; but a piece at least.
constexpr std::int64_t kBurstMs = 50;
constexpr std::int64_t kLeastBurst = 64 << 10;

}  // namespace

RateLimit::Grant RateLimit::Take(std::int64_t most, Duration now) {
  if (bytes_per_s_ == 0) return {most, {}};
  const std::int64_t capacity = std::max(kLeastBurst, bytes_per_s_ * kBurstMs / 1000);
  const std::lock_guard lock(mutex_);
  if (filled_at_ < 0ms) {
    filled_at_ = now;
    bucket_bytes_ = capacity;
  }
  // In steps of a whole millisecond; what a step leaves over stays in the time.
  const std::int64_t passed_ms = std::min<std::int64_t>((now - filled_at_).count(), 60'000);
  const std::int64_t fresh = bytes_per_s_ * passed_ms / 1000;
  if (fresh > 0) {
    bucket_bytes_ = std::min(capacity, bucket_bytes_ + fresh);
    filled_at_ = now;
  }
  // Crumbs would cost more than they bring.
  const std::int64_t least = std::min(most, kLeastBurst / 4);
  if (bucket_bytes_ < least)
    return {0, Duration((least - bucket_bytes_) * 1000 / bytes_per_s_ + 1)};
  const std::int64_t granted = std::min(most, bucket_bytes_);
  bucket_bytes_ -= granted;
  return {granted, {}};
}

}  // namespace spillway::gateway
