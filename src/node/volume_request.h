// What the kubelet asks for, taken out of a volume's context.
#pragma once

#include <string>

#include "csi/plugin.h"

namespace spillway::node {

struct VolumeRequest {
  enum class Kind { kDataset, kResults };
  Kind kind = Kind::kDataset;
  std::string claim, name_space;
  std::string bucket;     // "s3://bucket/prefix" when it is no directory of the site
  std::string dataset;    // then, its name in the same namespace
  std::string directory;  // relative to the site's data or results root
  std::string pod, uid;   // "namespace/name"
};

// kInvalid names the attribute. The attributes are those of PersistentVolumes made by spillwayd,
// and the pod's of the kubelet (CSIDriver with podInfoOnMount).
Result<VolumeRequest> ReadVolumeRequest(const csi::PublishRequest& request);

}  // namespace spillway::node
