// The embedded scheduler: binds waiting pods to nodes of the site and, once they were admitted, to
// their rented node. Filters are plan::Placement, the planner's own, so the two cannot disagree.
// Preemption is not done.
#pragma once

#include "base/time.h"
#include "store/store.h"

namespace spillway::site {

// One pass over all pods without a node, by priority, then age. A pod that fits nowhere gets the
// condition PodScheduled=False/Unschedulable with kube-scheduler's kind of message. Pods of a Job
// annotated spillway.dev/gang: all-or-nothing are bound together or not at all. Among nodes that
// fit, a rented one is preferred (it is paid for and holds the data), then the fullest one.
Status Schedule(store::Store& store, Time now);

}  // namespace spillway::site
