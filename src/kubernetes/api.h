// Api: the few calls this mode makes to an API server. kube::Client stands behind it; tests put a
// small API server of their own there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace spillway::kubernetes {

// A kind as the API server's paths name it.
struct Resource {
  std::string_view kind;
  std::string_view group;  // empty: core
  std::string_view version;
  std::string_view plural;
  bool namespaced = false;
};

inline constexpr Resource kPods{"Pod", "", "v1", "pods", true};
inline constexpr Resource kNodes{"Node", "", "v1", "nodes", false};
inline constexpr Resource kSecrets{"Secret", "", "v1", "secrets", true};
inline constexpr Resource kEvents{"Event", "", "v1", "events", true};
inline constexpr Resource kNamespaces{"Namespace", "", "v1", "namespaces", false};
inline constexpr Resource kClaims{"PersistentVolumeClaim", "", "v1", "persistentvolumeclaims",
                                  true};
inline constexpr Resource kVolumes{"PersistentVolume", "", "v1", "persistentvolumes", false};
inline constexpr Resource kStorageClasses{"StorageClass", "storage.k8s.io", "v1", "storageclasses",
                                          false};
inline constexpr Resource kCsiDrivers{"CSIDriver", "storage.k8s.io", "v1", "csidrivers", false};
inline constexpr Resource kCsiNodes{"CSINode", "storage.k8s.io", "v1", "csinodes", false};
inline constexpr Resource kDaemonSets{"DaemonSet", "apps", "v1", "daemonsets", true};
inline constexpr Resource kQuotas{"ResourceQuota", "", "v1", "resourcequotas", true};
inline constexpr Resource kJobs{"Job", "batch", "v1", "jobs", true};
inline constexpr Resource kPriorities{"PriorityClass", "scheduling.k8s.io", "v1", "priorityclasses",
                                      false};
inline constexpr Resource kRequests{"CertificateSigningRequest", "certificates.k8s.io", "v1",
                                    "certificatesigningrequests", false};
inline constexpr Resource kBurstNodes{"BurstNode", "spillway.dev", "v1alpha1", "burstnodes", false};
inline constexpr Resource kBurstPolicies{"BurstPolicy", "spillway.dev", "v1alpha1", "burstpolicies",
                                         false};
inline constexpr Resource kProviders{"CloudProvider", "spillway.dev", "v1alpha1", "cloudproviders",
                                     false};
inline constexpr Resource kDatasets{"Dataset", "spillway.dev", "v1alpha1", "datasets", true};
inline constexpr Resource kBudgets{"Budget", "spillway.dev", "v1alpha1", "budgets", false};

// Kinds that an API server serves only if somebody installed or switched on their API; several
// versions of one kind in the order in which they are preferred. groups.h and promises.h of `site`
// say what they are for.
inline constexpr Resource kJobSets{"JobSet", "jobset.x-k8s.io", "v1alpha2", "jobsets", true};
inline constexpr Resource kPyTorchJobs{"PyTorchJob", "kubeflow.org", "v1", "pytorchjobs", true};
inline constexpr Resource kMpiJobs{"MPIJob", "kubeflow.org", "v1", "mpijobs", true};
inline constexpr Resource kNewMpiJobs{"MPIJob", "kubeflow.org", "v2beta1", "mpijobs", true};
inline constexpr Resource kPodGroups{"PodGroup", "scheduling.k8s.io", "v1alpha2", "podgroups",
                                     true};
inline constexpr Resource kPluginsPodGroups{"PodGroup", "scheduling.x-k8s.io", "v1alpha1",
                                            "podgroups", true};
inline constexpr Resource kProvisioningRequests{"ProvisioningRequest", "autoscaling.x-k8s.io", "v1",
                                                "provisioningrequests", true};
// Of the core, and read only where there are requests that name them.
inline constexpr Resource kPodTemplates{"PodTemplate", "", "v1", "podtemplates", true};

// The kind in the Store, where two kinds of one name need different ones.
inline std::string StoreKind(const Resource& resource) {
  return std::string(resource.kind) +
         (resource.group == kPluginsPodGroups.group ? "." + std::string(resource.group) : "");
}

enum class PatchKind { kJson, kMerge, kStrategic, kApply };  // kApply: server-side, forced

// Errors: kNotFound, kConflict (also a failed `test` of a JSON patch), kInvalid, kDenied,
// kThrottled, kUnavailable (certainly no effect), kMaybeApplied. Calls block, each with a limit in
// time. Thread-safe.
class Api {
 public:
  virtual ~Api() = default;

  virtual Result<json::value> Get(const Resource& resource, const std::string& ns,
                                  const std::string& name) = 0;
  virtual Result<json::value> Create(const Resource& resource, const std::string& ns,
                                     const json::value& object) = 0;
  // `subresource` may be empty, "status", "approval".
  virtual Result<json::value> Replace(const Resource& resource, const std::string& ns,
                                      const std::string& name, std::string_view subresource,
                                      const json::value& object) = 0;
  virtual Result<json::value> Patch(const Resource& resource, const std::string& ns,
                                    const std::string& name, std::string_view subresource,
                                    PatchKind kind, const json::value& patch) = 0;
  // Only the object with this uid, if one is given. `grace_seconds` below 0: the object's own.
  virtual Status Delete(const Resource& resource, const std::string& ns, const std::string& name,
                        const std::string& uid, int grace_seconds) = 0;
  // Whether the API server has this kind at all, in this version.
  virtual Result<bool> Serves(const Resource& resource) = 0;
  // A container's log from its beginning, at most `limit_bytes`.
  virtual Result<std::string> Log(const std::string& ns, const std::string& pod,
                                  const std::string& container, std::int64_t limit_bytes) = 0;
};

// What watches deliver, from threads of their own; calls about one resource never overlap.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  // What is wanted of an object. Each goes through here as it comes, so that a list is never held
  // whole; Listed() and Changed() get what is left. From any thread.
  virtual json::value Kept(const Resource&, json::value object) const { return object; }
  // Everything there is now: at first, and whenever a watch could not go on.
  virtual void Listed(const Resource& resource, std::vector<json::value> objects) = 0;
  virtual void Changed(const Resource& resource, json::value object, bool gone) = 0;
};

class Watches {
 public:
  virtual ~Watches() = default;
  // Lists and watches until Stop(), or End() of one; may be called again for others. `sink` and
  // the resources outlive the watches. One call at a time, of all three.
  virtual Status Start(const std::vector<const Resource*>& resources, WatchSink& sink) = 0;
  virtual void End(const Resource& resource) = 0;
  virtual void Stop() = 0;
};

}  // namespace spillway::kubernetes
