// Promises: pods that do not exist yet, but for which a ProvisioningRequest of Spillway's class
// asks machines beforehand (autoscaling.x-k8s.io/v1; Kueue makes them).
//
// The planner knows nothing of requests. For each pod that a request announces there is a promised
// pod in the snapshot: waiting, unschedulable, of one gang with the others, with a name that no pod
// can have and a uid of its own. So law, budget, quota, priority and price apply as to any pods,
// and BurstNodes hold promised pods as they hold pods. A pod that comes and names the request takes
// the place of a promised one: its reference in the BurstNode is exchanged (Pod::takes). Promises
// end with the request, or with a condition that ends it; what is held by nobody but promises goes
// back. The state of a request is in its conditions and nowhere else.
//
// https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/proposals/provisioning-request.md
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/burst_node.h"
#include "store/store.h"

namespace spillway::site {

inline constexpr const char* kProvisioningRequest = "ProvisioningRequest";
inline constexpr const char* kPodTemplate = "PodTemplate";
// Reason of the condition Provisioned when nothing had to be rented.
inline constexpr std::string_view kSiteHasRoom = "SiteHasRoom";

// Of Spillway's class. Definitions that allow no slash in it want "burst.spillway.dev".
bool IsOurs(const json::value& request);

enum class Booking : std::uint8_t {
  kLooking,  // for machines
  kBooked,   // they are there, and kept for the pods
  kOver,     // nothing is kept for it (any more), or the site has the room
};
Booking BookingOf(const json::value& request);

// Key of the request's workload: "ns/ProvisioningRequest/name".
std::string WorkloadOfRequest(const store::ObjectKey& request);
// Name of the request that a pod names; empty: none.
std::string_view RequestOf(const json::value& pod);

// All pods that the request announces. kNotFound: a PodTemplate is not there (yet); kInvalid: it
// can never be carried out.
Result<std::vector<store::ObjectPtr>> PromisedPods(const store::Store& store,
                                                   const store::StoredObject& request);
// The request of a promised pod by its name, without namespace; nullopt: it is the name of a pod.
std::optional<std::string> RequestOfPromised(std::string_view pod_name);
// A promised pod of a request that still stands.
bool StillPromised(const store::Store& store, const PodRef& ref);
// The pod, or promised pod; nullptr: neither is there.
store::ObjectPtr FindPod(const store::Store& store, const PodRef& ref);

struct Promises {
  std::vector<store::ObjectPtr> pods;            // promised ones that nobody came for
  std::map<std::string, std::string> takes;      // uid of a pod -> of the promised pod it came for
  std::map<std::string, std::string> workloads;  // uid of a pod, promised or not -> its workload
};
// `nodes`: the BurstNodes, some of which hold promised pods.
Promises FindPromises(const store::Store& store, const std::vector<BurstNode>& nodes);

// Pods that came for the request and are somewhere: bound, ended, or held by a BurstNode.
std::size_t PodsThatCame(const store::Store& store, const store::ObjectKey& request,
                         const std::vector<BurstNode>& nodes);

}  // namespace spillway::site
