// Decisions that are kept for later questions: "why did it run there?" is asked when all is over.
// They are objects of kind Decision in the store, which no API shows as such: one per workload, as
// long as the workload's Job or Pod exists.
#pragma once

#include <string>

#include "base/json.h"
#include "store/store.h"

namespace spillway::daemon {

// `workload` is "ns/Job/name" or "ns/Pod/name". A null record keeps what there is. A record that
// cannot be written is logged: nothing but an answer depends on it.
void KeepDecision(store::Store& store, const std::string& workload, const json::value& record);

json::value KeptDecision(const store::Store& store, const std::string& workload);  // null: none

// Removes the records of workloads whose object is gone.
void ForgetDecisions(store::Store& store);

}  // namespace spillway::daemon
