// Plan: what the planner decided, with the reason for every offer that was not taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "model/burst_node.h"

namespace spillway {

enum class Verdict : std::uint8_t {
  kFitsSite,  // the site has room: the scheduler will place it
  kOnItsWay,  // a live BurstNode was rented for it, or has room for its replacement pod
  kWait,      // until a time, for a reason
  kRent,      // rent now
  kRefuse,    // it may never leave under the present rules; it waits for the site
};
std::string_view Name(Verdict verdict);  // "fits-site", "on-its-way", "wait", "rent", "stays-home"

// Why a workload is not rented for, one per sentence a person may read. Stable names for JSON.
enum class Reason : std::uint8_t {
  kNone,
  kNoPolicy,        // no BurstPolicy admits the namespace
  kDataClass,       // class of its data is not admitted, or restricted
  kInputsUnknown,   // mounts a claim that is neither Dataset nor results place
  kNotUnderstood,   // the pod uses scheduling rules that are not understood
  kSiteSoon,        // the site is expected to have room within wait.atMost
  kCheaperToWait,   // waiting costs less than renting (hourIsWorth)
  kBudget,          // the sum that is missing is in `missing`
  kNoOfferAllowed,  // offers exist, none passes the policy
  kNoOfferFits,     // no allowed offer is large enough
  kQuota,           // ResourceQuota of the namespace
  kNodeLimit,       // nodes.max of the policy or limits.nodes of every provider
  kAllParked,       // every fitting offer answered "no capacity" lately
  kIncomplete,      // a gang of which not all pods are there yet
};
std::string_view Name(Reason reason);

// Why one offer was not taken, in the order in which rules are applied: law before price.
enum class OfferReason : std::uint8_t {
  kChosen,
  kProviderNotAllowed,  // policy.providers
  kArea,                // jurisdiction.regions / countries
  kUsNexus,
  kCertificate,   // detail: the missing one
  kCapacityType,  // spot not admitted
  kProviderNotReady,
  kTooExpensive,  // per GPU hour, above maxPerGpuHour
  kTooSmall,      // detail: the resource
  kLabels,        // selector or affinity does not match; detail: the key
  kNoStock,
  kParked,        // no capacity or failure lately; until
  kProviderFull,  // limits.nodes
  kCostsMore,     // allowed and fitting, but the whole rental costs more than the chosen one
  kNotRented,     // nothing is rented for this workload now: its decision says why
};
std::string_view Name(OfferReason reason);

struct OfferVerdict {
  std::int32_t offer = 0;  // index into Snapshot::offers
  OfferReason reason = OfferReason::kChosen;
  std::string detail;          // short, may be empty
  std::optional<Money> total;  // whole rental, when it was priced
};

// One instance to rent, with everything needed to make a BurstNode of it.
struct Rental {
  std::int32_t offer = 0;    // index into Snapshot::offers
  std::int32_t policy = 0;   // index into Snapshot::policies
  std::int32_t budget = -1;  // index into Snapshot::budgets, -1: none
  std::string ns;
  std::string gang;  // workload key for a gang, empty otherwise
  int gang_size = 0;
  std::string workload;            // key of the first workload on it
  std::vector<std::int32_t> pods;  // indexes into Snapshot::pods
  Forecast forecast;
  Deadlines deadlines;
  std::string why;  // one sentence
};

struct Decision {
  std::int32_t workload = 0;  // index into Snapshot::workloads
  Verdict verdict = Verdict::kWait;
  Reason reason = Reason::kNone;
  std::string
      sentence;  // for people: "waits for the site: its data is restricted and never leaves"
  std::optional<Time> until;          // look again then
  std::optional<Money> estimate;      // of its rentals
  std::optional<Money> missing;       // what the budget lacks
  std::string burst_node;             // for kOnItsWay
  std::vector<std::int32_t> rentals;  // indexes into Plan::rentals
  std::int32_t explanation = -1;      // index into Plan::explanations; equal workloads share one
};

struct Explanation {
  std::vector<OfferVerdict> offers;  // chosen first, then cheapest first, then refused ones by rule
};

// A waiting pod that may be admitted to a live BurstNode of its own workload.
struct Admission {
  std::int32_t pod = 0;
  std::string burst_node;
};

struct Plan {
  std::vector<Decision>
      decisions;  // one per workload with a waiting pod, by priority, then age, then key
  std::vector<Rental> rentals;
  std::vector<Explanation> explanations;
  std::vector<Admission> admissions;
};

}  // namespace spillway
