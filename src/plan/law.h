// Law: what may leave the site and which offers it may go to. Looked at before any price.
#pragma once

#include <string>

#include "model/plan.h"
#include "plan/index.h"
#include "plan/placement.h"

namespace spillway::plan {

// Why a workload may not leave the site at all; reason kNone: it may.
struct Refusal {
  Reason reason = Reason::kNone;
  std::string because;  // end of a sentence: `Dataset medical/scans is "restricted" and ...`
};
// `policy` is an index into Snapshot::policies or -1. Restricted data is refused first and
// always.
Refusal MayLeave(const Index& index, const Workload& workload, int policy);

// The verdict of one rule on one offer; kChosen stands for "no objection".
struct Objection {
  OfferReason reason = OfferReason::kChosen;
  std::string detail;
};
// Rules of the policy (kProviderNotAllowed to kTooExpensive), in the order of OfferReason.
Objection ByLaw(const Index& index, const Policy& policy, std::int32_t offer);
// Whether an empty instance could hold one pod of the shape (kTooSmall, kLabels).
Objection ByFit(const Index& index, std::int32_t shape, std::int32_t offer);
// Its second half: what it asks of a node beyond room. Equal for shapes of one Index::node_demand.
Objection ByLabels(const Index& index, std::int32_t shape, std::int32_t offer);
// Whether the pods that are there now, at the site and on rented nodes, let one pod of the shape
// onto a new instance (kLabels). `ground` is put back as it was.
Objection ByPods(const Index& index, Placement& ground, std::int32_t shape, std::int32_t offer);
// What is known of the offer at this moment (kNoStock, kParked).
Objection ByState(const Index& index, std::int32_t offer);

}  // namespace spillway::plan
