#include "plan/parking.h"

#include <algorithm>

namespace spillway::plan {

Time FailedAt(const BurstNode& node, Time now) {
  for (const auto& [phase, at] : node.history)
    if (phase >= Phase::kWiping) return at;
  return node.phase >= Phase::kWiping ? node.phase_since : now;
}

Parking::Parking(const Snapshot& snapshot, Duration rest) : now_(snapshot.now) {
  for (const BurstNode& node : snapshot.burst_nodes) {
    const Time until = FailedAt(node, snapshot.now) + rest;
    switch (node.failure) {
      case Failure::kCapacity:
      case Failure::kBootTimeout:
      case Failure::kWrongHardware: {
        Time& known = offers_[node.offer.Key()];
        known = std::max(known, until);
        break;
      }
      case Failure::kQuota:
      case Failure::kRefused: {
        Time& known = providers_[node.offer.provider];
        known = std::max(known, until);
        break;
      }
      default:  // the other failures say nothing about the offer
        break;
    }
  }
}

std::optional<Time> Parking::Until(const std::string& offer_key,
                                   const std::string& provider) const {
  Time until{};
  if (const auto it = offers_.find(offer_key); it != offers_.end()) until = it->second;
  if (const auto it = providers_.find(provider); it != providers_.end())
    until = std::max(until, it->second);
  if (until <= now_) return std::nullopt;
  return until;
}

}  // namespace spillway::plan
