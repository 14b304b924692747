// Mirror: the API server's objects, reduced to what Spillway looks at.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "base/json.h"
#include "base/time.h"
#include "kubernetes/api.h"
#include "store/store.h"

namespace spillway::kubernetes {

// Every kind a round looks at. All are listed once before anything is decided.
inline constexpr std::array kMirrored{&kNamespaces,     &kNodes,      &kPods,       &kJobs,
                                      &kClaims,         &kQuotas,     &kPriorities, &kProviders,
                                      &kBurstPolicies,  &kDatasets,   &kBudgets,    &kVolumes,
                                      &kStorageClasses, &kCsiDrivers, &kCsiNodes,   &kDaemonSets};

// Without what nobody here reads: managed fields, images of nodes, long strings of pods that are
// over. What people wrote into spec stays, because it decides.
// Moments become those of our clock, which may run faster than the server's.
json::value Trimmed(json::value object, const std::function<Time(Time)>& from_real);

// "name", "uid", ... of an object's metadata; empty where it has none.
std::string MetadataText(const json::value& object, std::string_view key);
store::ObjectKey KeyOf(const Resource& resource, const json::value& object);

}  // namespace spillway::kubernetes
