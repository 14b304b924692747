// Fit: kube-scheduler's filters that look at a pod and a node and at no other pod.
// https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
#pragma once

#include <string>
#include <vector>

#include "model/offer.h"
#include "model/snapshot.h"

namespace spillway::plan {

// How a pod comes to a node.
enum class Entry : std::uint8_t {
  kAsItIs,    // with the tolerations it has
  kAdmitted,  // as the guest of a rented node: tolerates its taints, and waits until it is ready
};

// The first label (or "metadata.name", or "affinity") that keeps the shape off a machine with these
// labels; empty: selector and affinity match.
std::string FirstMismatch(const PodShape& shape, const Labels& labels, std::string_view node_name);

// Why the shape can not be on the node whatever else is there, in kube-scheduler's words; empty: it
// can.
std::string WhyNeverOn(const PodShape& shape, const Node& node, Entry entry = Entry::kAsItIs);

// By shape: equal for shapes between which WhyNeverOn and SpreadCounts see no difference, beyond
// the spread constraints themselves. Numbers from 0 in the order of first use.
std::vector<std::int32_t> NodeDemands(const std::vector<PodShape>& shapes);

// Whether a topology spread constraint of the shape counts the node.
bool SpreadCounts(const PodShape& shape, const SpreadRule& rule, const Node& node, Entry entry);

// The node that an instance of the offer would become. Its labels: those of the offer, its own name
// as kubernetes.io/hostname, and the mark and taint of rented nodes. Of its room the DaemonSets'
// pods have taken theirs.
Node NodeOf(const Offer& offer, const std::vector<PodShape>& daemons, const std::string& name);

}  // namespace spillway::plan
