// MakePlan: the planner. Pure and deterministic: equal snapshots give equal plans, byte for byte.
//
// Order of thought, per workload by priority, then age, then key:
//  1. Does the site have room (placement.h: the answer of kube-scheduler's filters; quota)? ->
//  fits-site
//  2. Is a BurstNode on its way for it? -> on-its-way
//  3. May it leave? Policy for its namespace, class of its data, nothing in its pods that we do not
//  understand.
//  4. When would the site have room, from the expected ends of running pods? Within wait.atMost ->
//  wait.
//  5. Which offers are allowed? Law first (provider, region, US nexus, certificates), price after.
//  6. What would each whole rental cost: boot + stage + start + run + return + wipe, rounded up to
//     the billing step, plus disks, addresses and egress, and what machines cost that fail first;
//     the cheapest packing of the waiting pods wins.
//  7. Is it worth it (hourIsWorth), and is it in the budget, worst case reserved?
#pragma once

#include <cstddef>

#include "model/plan.h"
#include "model/snapshot.h"

namespace spillway::plan {

struct Options {
  Duration park{10min};  // how long an offer rests after "no capacity" or a bad node
  std::int64_t wan_bytes_per_second = 100'000'000;  // staging and return estimate
  std::int64_t wipe_bytes_per_second = 1'000'000'000;
  Duration unknown_run{1h};  // assumed computing time when nobody said
  int max_pods_per_rental = 64;
  // Up to so many pods that may share instances are packed exactly, if not too many of them differ;
  // more are mixed (pool.h).
  std::size_t exact_pods = 128;
};

Plan MakePlan(const Snapshot& snapshot, const Options& options = {});

}  // namespace spillway::plan
