// Job controller of the embedded site: Jobs become pods, pods' ends become the Job's status.
// https://kubernetes.io/docs/concepts/workloads/controllers/job/
#pragma once

#include <optional>

#include "base/rng.h"
#include "base/time.h"
#include "store/store.h"

namespace spillway::site {

// One pass over all Jobs: create, replace and delete pods, write status, apply backoffLimit,
// activeDeadlineSeconds, suspend and ttlSecondsAfterFinished. Pods ended by a disruption (their
// node was lost, their rental ended) are replaced without counting as a failure. Deleting a Job
// deletes its pods. Returns when to look again without a change (deadlines, back-off, TTL).
Result<std::optional<Time>> ReconcileJobs(store::Store& store, Rng& rng, Time now);

// Whether one more pod of this spec is within the namespace's ResourceQuotas. kQuota names the
// quota and the numbers, in Kubernetes' words.
Status CheckQuota(const store::Store& store, const std::string& ns, const json::value& pod_spec);

// Fills what Kubernetes' admission fills: spec.priority from its class. kInvalid for an unknown
// class.
Status AdmitPod(const store::Store& store, json::value& pod);

}  // namespace spillway::site
