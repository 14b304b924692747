#include "model/offer.h"

#include <algorithm>

namespace spillway {

std::string Offer::Key() const {
  std::string key = provider + "/" + region + "/" + instance_type;
  if (capacity == CapacityType::kSpot) key += "/spot";
  return key;
}

std::string_view Name(CapacityType capacity) {
  return capacity == CapacityType::kSpot ? "spot" : "on-demand";
}

std::string_view Name(Stock stock) {
  switch (stock) {
    case Stock::kAvailable:
      return "available";
    case Stock::kScarce:
      return "scarce";
    case Stock::kNone:
      return "none";
    case Stock::kUnknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view Name(UsNexus nexus) {
  switch (nexus) {
    case UsNexus::kNone:
      return "none";
    case UsNexus::kSubsidiary:
      return "subsidiary";
    case UsNexus::kListing:
      return "listing";
    case UsNexus::kOwner:
      return "owner";
  }
  return "owner";
}

Metered Meter(const BillingTerms& terms, Money price_per_hour, Time start, Time stop) {
  SPW_CHECK(terms.step.count() > 0, "a billing step is positive");
  if (stop < start) stop = start;
  const std::int64_t step = terms.step.count();
  std::int64_t paid_ms = 0;
  if (terms.clock_aligned) {
    const std::int64_t first = start.time_since_epoch().count() / step;
    const std::int64_t end = (stop.time_since_epoch().count() + step - 1) / step;
    paid_ms = std::max<std::int64_t>(end - first, 1) * step;
  } else {
    const std::int64_t used = (stop - start).count();
    paid_ms = std::max<std::int64_t>((used + step - 1) / step, 1) * step;
  }
  paid_ms = std::max(paid_ms, terms.minimum.count());
  return {Duration{paid_ms}, CostCeil(price_per_hour, Duration{paid_ms})};
}

}  // namespace spillway
