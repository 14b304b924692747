// Wait: when would the site have room? Running pods are taken to end when they are expected to;
// what they free goes to the waiting pods in their order.
#pragma once

#include <optional>
#include <vector>

#include "model/snapshot.h"
#include "plan/site.h"

namespace spillway::plan {

// Pods that wait for the site, in decision order.
struct Waiter {
  bool gang = false;               // all its pods start together
  std::vector<std::int32_t> pods;  // indexes into Snapshot::pods
};

// When a running pod's room is expected to be free. Overdue pods are given another tenth of their
// expected length (a minute at least) for as long again as they were expected to take; after that,
// and without any expectation, the end is unknown.
std::optional<Time> ExpectedRelease(const Pod& pod, Time now);

// Expected start at the site by index into Snapshot::pods; nullopt: unknown. `room` is what the
// site has now, after those that fit were placed.
std::vector<std::optional<Time>> ExpectedStarts(const Snapshot& snapshot, SiteRoom& room,
                                                const std::vector<Waiter>& waiters);

}  // namespace spillway::plan
