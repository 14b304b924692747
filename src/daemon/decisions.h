// Decisions that are kept for later questions: "why did it run there?" is asked when all is over.
// They are objects of kind Decision in the store, which no API shows as such: one per workload, as
// long as the workload's Job or Pod exists.
#pragma once

#include <map>
#include <string>

#include "base/json.h"
#include "store/store.h"

namespace spillway::daemon {

// By workload: "ns/Job/name" or "ns/Pod/name". A null record keeps what there is. Records that
// cannot be written are logged: nothing but an answer depends on them.
void KeepDecisions(store::Store& store, std::map<std::string, json::value> records);

json::value KeptDecision(const store::Store& store, const std::string& workload);  // null: none

// Removes the records of workloads whose object is gone.
void ForgetDecisions(store::Store& store);

}  // namespace spillway::daemon
