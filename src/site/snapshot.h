// The planner's view of the embedded site: objects -> Snapshot.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/snapshot.h"
#include "store/store.h"

namespace spillway::site {

// What the objects do not say.
struct SnapshotInputs {
  Time now{};
  std::vector<BurstNode> burst_nodes;            // by name, as the journal has them
  std::vector<ProviderFacts> facts;              // by id
  std::vector<Offer> offers;                     // by Key()
  std::map<std::string, std::string> not_ready;  // CloudProvider name -> why
  // Bytes that a pod with this narrowing needs of a Dataset; may be cached, 0 if unknown.
  std::function<std::int64_t(const DatasetInfo&, const std::vector<std::string>& narrow)>
      selected_bytes;
};

// Budgets come with amount and opening balance only; control adds what was spent and reserved.
// Objects that cannot be understood are left out, each with a sentence in `problems`.
struct SnapshotResult {
  Snapshot snapshot;
  std::vector<std::string> problems;
};
SnapshotResult BuildSnapshot(const store::Store& store, SnapshotInputs inputs);

}  // namespace spillway::site
