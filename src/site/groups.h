// Groups: which pods are one gang because the object they belong to says so.
//
//   JobSet                            jobset.x-k8s.io: owner of the pods' Jobs
//   PyTorchJob, MPIJob                kubeflow.org: owner of the pods, or of the launcher's Job
//   PodGroup                          scheduling.k8s.io, the cluster's own: spec.schedulingGroup
//   PodGroup.scheduling.x-k8s.io      scheduler-plugins: a label of the pods
//
// The Store has these objects only where the API server serves their kinds. The names above are
// their kinds in the Store. https://jobset.sigs.k8s.io/docs/reference,
// https://www.kubeflow.org/docs/components/trainer/legacy-v1,
// https://kubernetes.io/docs/concepts/workloads/workload-api,
// https://github.com/kubernetes-sigs/scheduler-plugins/tree/master/pkg/coscheduling
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/store.h"

namespace spillway::site {

inline constexpr const char* kJobSet = "JobSet";
inline constexpr const char* kPyTorchJob = "PyTorchJob";
inline constexpr const char* kMpiJob = "MPIJob";
inline constexpr const char* kPodGroup = "PodGroup";
inline constexpr const char* kPluginsPodGroup = "PodGroup.scheduling.x-k8s.io";
// Of pods of the last kind.
inline constexpr std::string_view kPodGroupLabel = "scheduling.x-k8s.io/pod-group";

// The object that makes a gang of a pod and others, whether it is there or not; nullopt: none does.
// A pod that only carries a label needs the object to be there: anybody can write a label.
std::optional<store::ObjectKey> GroupOf(const store::Store& store, const store::StoredObject& pod);

// Pods that must be there at once for the gang to be whole: what is promised less what has ended.
// nullopt: the object is not there, so nobody knows.
std::optional<std::int64_t> GroupSize(const store::Store& store, const store::ObjectKey& group);

// Pods that a Job has or will have at once: 0 once it is complete or being deleted.
std::int64_t PodsOfJob(const json::value& job);

}  // namespace spillway::site
