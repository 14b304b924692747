// What can be rented, and the facts about who rents it out.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "model/scheduling.h"

namespace spillway {

// How a provider turns running time into money. A machine that runs from `start` to `stop` is paid
// for whole steps; with clock_aligned the steps begin at full steps of the UTC day (a job from
// 14:55 to 15:05 pays two clock hours).
struct BillingTerms {
  Duration step = 1min;
  bool clock_aligned = false;
  Duration minimum{0};
  enum class MeterStart : std::uint8_t { kCreate, kRunning } meter_starts = MeterStart::kCreate;
  enum class MeterStop : std::uint8_t { kDeleteAccepted, kGone } meter_stops = MeterStop::kGone;
  bool operator==(const BillingTerms&) const = default;
};

// Something that a machine brings along and that may survive its deletion and go on costing.
struct SideObjectTerms {
  std::string kind;  // "disk", "address", "key", "port"
  Money price_per_hour;
  bool deleted_with_instance = false;
  bool operator==(const SideObjectTerms&) const = default;
};

// Nexus to the United States, graded by evidence; a higher grade is a stronger nexus.
enum class UsNexus : std::uint8_t { kNone, kSubsidiary, kListing, kOwner };

// How long something takes on the machines of an offer; quantiles.
struct MeasuredTime {
  Duration median{0}, p90{0};
  int machines = 0;  // that it was learned from; 0: not learned
  auto operator<=>(const MeasuredTime&) const = default;
};

// Bytes per second; quantiles.
struct MeasuredRate {
  std::int64_t median = 0, p10 = 0;  // nine of ten machines are faster than p10
  int machines = 0;                  // as above
  auto operator<=>(const MeasuredRate&) const = default;
};

// Machines that never came to run, for the provider's reasons.
struct FailedTries {
  int failed = 0, tried = 0;
  // What all that failed took and were paid for, per machine that came to run: what is to be
  // expected before the next one does.
  Duration took{0}, paid{0};
  auto operator<=>(const FailedTries&) const = default;
};

// What past machines teach about the next ones of the same offer.
struct OfferTimes {
  MeasuredTime boot;        // from the request until it registered
  MeasuredTime join;        // from then until the cluster took it
  MeasuredTime stage;       // of little data: as long as staging takes whatever the size
  MeasuredRate stage_rate;  // of much data, beyond that time
  MeasuredTime start;  // from a pod that the machine took until a container ran: its image came
  FailedTries tries;
  auto operator<=>(const OfferTimes&) const = default;
};

// Times of the catalogue; quantiles.
struct LifecycleTimes {
  Duration boot_median{120s}, boot_p90{300s};
  Duration delete_median{30s}, delete_p90{120s};
  bool operator==(const LifecycleTimes&) const = default;
};

// Facts of a provider from catalog/<id>.yaml; evidence and dates stay in the catalogue.
struct ProviderFacts {
  std::string id;    // "scaleway"
  std::string name;  // "Scaleway"
  std::string legal_country;
  std::string owner_country;
  UsNexus us_nexus = UsNexus::kOwner;  // unknown counts as the strongest
  std::string us_nexus_evidence;       // one sentence with source and date
  std::vector<std::string>
      certificates;  // sorted: "BSI-C5", "ISO27001"; uncertain ones are left out
  BillingTerms billing;
  std::vector<SideObjectTerms> side_objects;
  LifecycleTimes times;
  int create_phases = 1;
  int delete_phases = 1;
  bool delete_refused_while_creating = false;
  Money egress_per_gib;
};

enum class CapacityType : std::uint8_t { kOnDemand, kSpot };
enum class Stock : std::uint8_t { kAvailable, kScarce, kNone, kUnknown };

// One thing that can be rented at one place for one price, with the time it was read.
struct Offer {
  std::string provider;       // name of the CloudProvider object
  std::string catalog;        // id of its facts
  std::string region;         // "fr-par-2"
  std::string country;        // "FR"
  std::string area;           // "EU", "EEA", "CH", "UK", ...
  std::string instance_type;  // "H100-SXM-4-80G"
  CapacityType capacity = CapacityType::kOnDemand;
  Stock stock = Stock::kUnknown;
  Resources allocatable;  // what pods can use on it
  Labels labels;          // node labels it will carry (nvidia.com/gpu.product, ...)
  Money price_per_hour;   // whole instance
  std::string source;     // where the price comes from
  Time read_at{};

  // "scaleway/fr-par-2/H100-SXM-4-80G" plus "/spot" for spot capacity: identity for parking.
  std::string Key() const;
};

std::string_view Name(CapacityType capacity);  // "on-demand", "spot"
std::string_view Name(Stock stock);
std::string_view Name(UsNexus nexus);  // "none", "subsidiary", "listing", "owner"

// Seconds and money a machine costs that is metered from `start` to `stop` under `terms`.
// Example: OVHcloud (1 h steps, clock aligned), 14:55 to 15:05 -> 7200 s.
struct Metered {
  Duration paid{0};
  Money cost;
};
Metered Meter(const BillingTerms& terms, Money price_per_hour, Time start, Time stop);

}  // namespace spillway
