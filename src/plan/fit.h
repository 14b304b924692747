// Fit: does a pod fit onto a machine, in the sense of kube-scheduler's filters?
// https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
#pragma once

#include <string>

#include "model/offer.h"
#include "model/snapshot.h"

namespace spillway::plan {

// The first label (or "metadata.name", or "affinity") that keeps the shape off a machine with these
// labels; empty: selector and affinity match.
std::string FirstMismatch(const PodShape& shape, const Labels& labels, std::string_view node_name);

// Everything of WhyNot() except resources: it does not change while pods come and go.
std::string WhyNeverOn(const PodShape& shape, const Node& node);

}  // namespace spillway::plan
