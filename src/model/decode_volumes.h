// Where the volumes of a pod let it run. Internal to model.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/decode_pods.h"

namespace spillway {

// Knows the claims and volumes of a cluster; refers to the objects.
// https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
class VolumeBook {
 public:
  explicit VolumeBook(const PodObjects& objects);

  // Fills in volume_rules, attached, exclusive_claims, nowhere and not_understood.
  Status Describe(const json::value& pod, PodShape& shape) const;

 private:
  using ByName = std::map<std::string, const json::value*, std::less<>>;
  struct Use {
    const json::value* claim = nullptr;
    std::string key;  // "namespace/name"
    bool ephemeral = false;
  };

  Status DescribeClaim(const Use& use, PodShape& shape, std::set<std::string>& wanted) const;
  // The volume that the claim is or will be, as far as a node counts it.
  void DescribeAttached(const Use& use, PodShape& shape) const;
  Status DescribeBound(const Use& use, PodShape& shape) const;
  Status DescribeUnbound(const Use& use, PodShape& shape, std::set<std::string>& wanted) const;
  // Volumes that the claim could be bound to.
  std::vector<const json::value*> Candidates(const json::value& claim,
                                             std::string_view class_name) const;

  ByName claims_, volumes_, classes_, drivers_;
  std::map<std::string, std::vector<const json::value*>, std::less<>> volumes_of_class_;
};

}  // namespace spillway
