#include "control/advance.h"

namespace spillway::control {
namespace {

constexpr std::int64_t kGib = std::int64_t{1} << 30;

Money EgressCost(Money per_gib, std::int64_t bytes) {
  // Rounded up like every price; 128 bits because micro-euro times bytes exceeds 64.
  const __int128 product = static_cast<__int128>(per_gib.micro()) * bytes;
  const __int128 cost = (product + kGib - 1) / kGib;
  SPW_CHECK(cost >= 0 && cost <= INT64_MAX, "an egress cost fits 64 bits");
  return Money::Micro(static_cast<std::int64_t>(cost));
}

}  // namespace

CostNow CostAt(const BurstNode& node, Time now) {
  CostNow cost;
  if (node.meter_start) {
    const Metered metered = Meter(node.billing, node.offer.price_per_hour, *node.meter_start,
                                  node.meter_stop.value_or(now));
    cost.paid = metered.paid;
    cost.compute = metered.cost;
  }
  // Side objects come with the create call and cost, in the same steps, until each is gone.
  Time start = node.created_at;
  for (const auto& [phase, at] : node.history)
    if (phase == Phase::kRequested) start = at;
  for (const SideObject& object : node.side_objects)
    cost.side_objects +=
        Meter(node.billing, object.price_per_hour, start, object.gone ? object.gone_at : now).cost;
  cost.egress = EgressCost(node.egress_per_gib, node.bytes_out);
  return cost;
}

}  // namespace spillway::control
