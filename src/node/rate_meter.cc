#include "node/rate_meter.h"

#include <algorithm>

namespace spillway::node {

void RateMeter::Add(std::int64_t bytes, Duration now) {
  const std::int64_t second = now / 1s;
  const std::lock_guard lock(mutex_);
  if (first_second_ < 0) first_second_ = second;
  Slot& slot = slots_[static_cast<std::size_t>(second) % slots_.size()];
  if (slot.second != second) slot = {second, 0};
  slot.bytes += bytes;
}

std::int64_t RateMeter::PerSecond(Duration now) const {
  const std::int64_t second = now / 1s;
  const std::lock_guard lock(mutex_);
  if (first_second_ < 0 || second <= first_second_) return 0;
  const std::int64_t seconds = std::min(kSeconds, second - first_second_);
  std::int64_t bytes = 0;
  for (const Slot& slot : slots_)
    if (slot.second < second && slot.second >= second - seconds) bytes += slot.bytes;
  return bytes / seconds;
}

}  // namespace spillway::node
