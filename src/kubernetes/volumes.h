// PersistentVolumes for claims that name a Dataset or a results place. The driver data.spillway.dev
// is spillway-node, at the site and on rented nodes alike.
#pragma once

#include <string>

#include "base/json.h"

namespace spillway::kubernetes {

inline constexpr std::string_view kDriver = "data.spillway.dev";
inline constexpr std::string_view kStorageClass = "spillway";
// Says that Spillway believes this node to be its own; no kubelet may set it for itself.
inline constexpr std::string_view kTrustLabel = "node-restriction.kubernetes.io/spillway-burst";

// As a simulated machine's agent reports it.
inline constexpr std::string_view kSimulatedLabel = "spillway.dev/simulated";

// The claim has one of our annotations and no volume yet.
bool NamesOurs(const json::value& claim);
// And it is of our storage class.
bool WantsVolume(const json::value& claim);
std::string VolumeName(const json::value& claim);  // "spillway-UID"

// Where the files behind a claim are.
struct VolumePlace {
  bool results = false;
  std::string directory;  // below the site's data or results root, or of results below the prefix
  // When it is in a bucket: which one ("s3://bucket/prefix"), and the name of the Dataset that has
  // the rest. A rented node sees a volume's attributes, so the store's address is not among them.
  std::string bucket, dataset;
};
json::value VolumeFor(const json::value& claim, const VolumePlace& place);
bool IsOurVolume(const json::value& volume);

bool IsDaemonPod(const json::value& pod);  // made by a DaemonSet

}  // namespace spillway::kubernetes
