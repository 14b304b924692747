// Price: seconds and money of a whole rental, from the create call to the last side object.
#pragma once

#include <compare>

#include "model/burst_node.h"
#include "plan/index.h"

namespace spillway::plan {

// What is put on one instance.
struct Load {
  Duration run{0};                // the longest computing time of its pods
  Duration worst_run{0};          // the same for the reservation
  std::int64_t stage_bytes = 0;   // distinct inputs and shards
  std::int64_t result_bytes = 0;  // all results
  auto operator<=>(const Load&) const = default;
};

// From the create call until the first container runs, machines that fail before that included.
Duration StartsIn(const Forecast& forecast, const OfferInfo& offer);

// Expected computing time of one pod, and the longest that is reserved for: the hard limit, else
// three times the expectation, else as long as the policy lets a node live.
Duration ExpectedRun(const Workload& workload, const Options& options);
Duration WorstRun(const Workload& workload, const Policy& policy);

// Forecast::WithTries() alone; for the search, which asks for many.
Money ExpectedTotal(const Index& index, const Policy& policy, std::int32_t offer, const Load& load);

// The meter is assumed to start at Snapshot::now. `worst_case` doubles the slow boot, triples
// and start, triples transfers and wipe, and is never below `total`.
Forecast MakeForecast(const Index& index, const Policy& policy, std::int32_t offer,
                      const Load& load);

// From what was learned of the offer, else the catalogue's times; the bytes to move and the policy.
// None is less than a floor of minutes. Joining and starting are judged once they were learned.
Deadlines MakeDeadlines(const Index& index, const Policy& policy, std::int32_t offer,
                        const Load& load);

}  // namespace spillway::plan
