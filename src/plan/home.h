// Home: which waiting pods need no rental, because the site has room for them or a BurstNode is
// there for them.
#pragma once

#include <string>
#include <vector>

#include "plan/index.h"
#include "plan/law.h"
#include "plan/site.h"

namespace spillway::plan {

// One workload with waiting pods, on its way through the planner.
struct Case {
  std::int32_t workload = 0;  // index into Snapshot::workloads
  int policy = -1;
  Refusal refusal;                        // why it may not leave
  int fits_site = 0, over_quota = 0;      // waiting pods
  std::vector<std::int32_t> away;         // waiting pods that a BurstNode is there for
  std::vector<std::int32_t> homeless;     // the other waiting pods, in the order of their keys
  bool judged = true;                     // the scheduler found no room for every homeless pod
  std::vector<std::int32_t> burst_nodes;  // that hold its pods, ascending
};

// The workloads with waiting pods, by priority, then age, then key. A pod waits while it is
// pending, bound nowhere and not being deleted; pods with scheduling gates and pods that the
// scheduler makes room for are left alone, and with one of them its gang.
std::vector<Case> OrderCases(const Index& index);

// Goes through the cases in order and fills in what became of their pods; pods for a live
// BurstNode's free room are appended to `admissions`. BurstNodes that have not joined yet become
// nodes of `ground`, which `site` places into.
void SettleAtHome(const Index& index, Placement& ground, SiteRoom& site, std::vector<Case>& cases,
                  std::vector<Admission>& admissions);

}  // namespace spillway::plan
