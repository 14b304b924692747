// OptionalKinds: the kinds that not every API server serves. They are watched where they are
// served; somebody may install or remove one at any time, so this is asked again every minute.
#pragma once

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "kubernetes/api.h"

namespace spillway::kubernetes {

// Of several versions of one kind the first that is served is watched.
inline constexpr std::array kOptional{
    &kJobSets,          &kPyTorchJobs,          &kMpiJobs,     &kNewMpiJobs, &kPodGroups,
    &kPluginsPodGroups, &kProvisioningRequests, &kPodTemplates};

// The optional kind of this name in the Store; nullptr: there is none.
const Resource* OptionalKind(std::string_view store_kind);

// Without the pod templates, which nobody reads there: they are the largest part.
json::value WithoutTemplates(const Resource& resource, json::value object);

class OptionalKinds {
 public:
  // `watches` is used by one thread of this object's own, from Start to Stop; `sink` gets what they
  // deliver, and an empty list of a kind that is served no longer. All outlive this object.
  OptionalKinds(Api& api, Watches& watches, WatchSink& sink)
      : api_(api), watches_(watches), sink_(sink) {}
  ~OptionalKinds() { Stop(); }

  void Start();
  void Stop();

  // Kinds (in the Store) that are watched; nullopt before it is known what is served. Thread-safe.
  std::optional<std::set<std::string>> Watched() const;

 private:
  void Run(const std::stop_token& stop);
  Status Look();

  Api& api_;
  Watches& watches_;
  WatchSink& sink_;
  mutable std::mutex mutex_;  // guards the following
  std::condition_variable_any changed_;
  bool known_ = false;
  std::map<std::string, const Resource*> watched_;  // by kind in the Store
  std::jthread thread_;                             // last: it uses everything above
};

}  // namespace spillway::kubernetes
