// What Spillway asks of a cluster, for the embedded site. In production the same verbs are calls to
// the API server.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "control/observation.h"
#include "model/burst_node.h"
#include "store/store.h"

namespace spillway::site {

// Adds the toleration for the BurstNode's taint to the pods and removes the node's startup taint.
// Pods that no longer exist are skipped. Idempotent.
Status AdmitPods(store::Store& store, const std::string& node, const std::vector<PodRef>& pods);

// Ends the pods without blame ("DisruptionTarget"), so that their Jobs queue them again. Only pods
// with the given uid that are bound to the node (or to nothing) are touched.
Status EvictPods(store::Store& store, const std::string& node, const std::vector<PodRef>& pods,
                 const std::string& reason, Time now);

// Creates or refreshes the Node object of a rented machine that has joined: labels and capacity as
// the machine reported, taints spillway.dev/burst and spillway.dev/starting.
Status RegisterNode(store::Store& store, const BurstNode& burst_node,
                    const control::NodeReport& report, Time now);
Status RemoveNode(store::Store& store, const std::string& node, Time now);

// State of the BurstNode's pods (by uid) and of replacements that tolerate its taint.
std::vector<control::PodReport> PodReports(const store::Store& store, const BurstNode& node);

}  // namespace spillway::site
