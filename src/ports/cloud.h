// Cloud: one account at one provider.
//
// Assumptions every adapter keeps:
//  * Calls block, at most Options-defined seconds, and may come from several threads at once.
//  * An error says whether there was an effect: kMaybeApplied means "look before doing it again",
//    every other code means the call certainly changed nothing. The caller of Create must then find
//    out by List, and must never call Create again for the same name.
//  * Instances carry the cluster id and the BurstNode name as tags and as name, so that List finds
//    them after any lost reply. List may lag behind: a new instance may be missing for a while and
//    a deleted one still shown; nobody concludes absence from one List.
//  * Delete is one idempotent pass over the instance and everything that came with it; the caller
//    repeats it until DeleteProgress says that nothing is left.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/burst_node.h"
#include "model/offer.h"

namespace spillway::ports {

struct InstanceSpec {
  std::string name;        // BurstNode name: DNS label, <= 40 characters
  std::string cluster_id;  // tag of this Spillway installation
  std::string region;
  std::string instance_type;
  bool spot = false;
  std::string user_data;  // <= 16 KiB; holds a one-use token, never a cloud or store credential
};

// The limits above, which no adapter leaves to its provider; kInvalid says which is broken.
Status CheckSpec(const InstanceSpec& spec);

enum class InstanceState : std::uint8_t {
  kCreating,
  kStopped,  // second phase of a two-phase create is due: call Resume
  kRunning,
  kError,     // will never run; must be deleted all the same. See Instance::fault
  kDeleting,  // includes "stopping before delete"
};

struct Instance {
  std::string id;
  std::string name;
  InstanceState state = InstanceState::kCreating;
  Time created{};                        // by the provider's clock
  std::optional<Error> fault;            // kCapacity, kQuota or kInternal when state is kError
  std::vector<SideObject> side_objects;  // what it brought along and what exists of it now
};

// What one account holds under one cluster id, read at one time.
struct Inventory {
  Time read_at{};                   // when the request was sent, by the caller's clock
  std::vector<Instance> instances;  // by id
  std::vector<SideObject>
      stray;  // tagged side objects whose instance is gone; `id` starts with the name
};

struct DeleteProgress {
  bool accepted = false;  // the provider took the request, or the instance is gone already
  bool instance_gone = false;
  std::vector<SideObject> left;  // still existing, still costing
  bool Complete() const { return instance_gone && left.empty(); }
};

class Cloud {
 public:
  virtual ~Cloud() = default;

  // Everything that could be rented now, allowed or not. kDenied, kThrottled, kUnavailable.
  virtual Result<std::vector<Offer>> Offers() = 0;

  // What is missing, said in words; Ok when one could be created. kDenied, kQuota, kInvalid.
  virtual Status Preflight() = 0;

  // Starts creating. The answer may be an instance that is only accepted; stock may run out after
  // that (state kError with fault kCapacity). kCapacity, kQuota, kDenied, kInvalid, kThrottled,
  // kUnavailable, kMaybeApplied; kConflict if the name exists already (then List finds it).
  virtual Result<Instance> Create(const InstanceSpec& spec) = 0;

  // Second phase of a two-phase create; Ok when it is already past that. kNotFound, kUnavailable.
  virtual Status Resume(const std::string& instance_id) = 0;

  // Instances and stray side objects tagged with cluster_id. kDenied, kThrottled, kUnavailable.
  virtual Result<Inventory> List(const std::string& cluster_id) = 0;

  // One pass of deleting the instance (may be empty: only side objects are left) and every side
  // object tagged with `name`. kUnavailable covers "refused while provisioning": retry later.
  virtual Result<DeleteProgress> Delete(const std::string& instance_id, const std::string& name,
                                        const std::string& cluster_id) = 0;
};

}  // namespace spillway::ports
