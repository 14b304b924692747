// Mirror: the API server's objects, reduced to what Spillway looks at.
#pragma once

#include <array>
#include <string>

#include "base/json.h"
#include "kubernetes/api.h"
#include "store/store.h"

namespace spillway::kubernetes {

// Every kind a round looks at. All are listed once before anything is decided.
inline constexpr std::array kMirrored{&kNamespaces,    &kNodes,    &kPods,       &kJobs,
                                      &kClaims,        &kQuotas,   &kPriorities, &kProviders,
                                      &kBurstPolicies, &kDatasets, &kBudgets};

// Without what nobody here reads: managed fields, images of nodes, long strings of pods that are
// over. What people wrote into spec stays, because it decides.
json::value Trimmed(json::value object);

store::ObjectKey KeyOf(const Resource& resource, const json::value& object);

}  // namespace spillway::kubernetes
