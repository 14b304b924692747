// Cloud: one account at one provider.
//
// What every adapter keeps, and tests/contract/cloud/ checks:
//  * Threads: calls may come from several at once. Each blocks for a bounded time: a request has
//    the limit of its adapter (OpenStack 30 s, a create 2 min; exec as the object says), and a call
//    makes a bounded number of them.
//  * Size: an answer has a limit (8 MiB of a request, 4 MiB of an executable), and a list has one
//  in
//    pages and items. What is longer is an error, never cut: what is missing in a list counts as
//    gone.
//  * Errors: a call answers with the codes that stand at it and no others. kDenied: the account's
//    credentials are wrong, expired, revoked or not sufficient, after they were renewed once where
//    that is possible; a person must act. kThrottled: too many requests, retry_after where the
//    provider says it. kUnavailable: the provider, a part of it or the way to it is out of order,
//    or its answer cannot be read. kInvalid: what the request or the configuration names does not
//    exist there. Messages are for people and carry the provider's request id where there is one.
//  * Effect: kMaybeApplied means that the call may have had its effect, now or a while later.
//    Every other code means that it certainly had none.
//  * Maybe applied obliges the caller to look: List, until it has been absent for as long as
//    listings may lag and late effects may come; and never to call Create again for that name.
//    Delete and Resume may simply be called again.
//  * Ownership: instances and side objects carry the cluster id and the BurstNode name from the
//    request on that makes them, so that List finds them after any lost reply or crash. Nothing
//    without that mark is listed, changed or deleted.
//  * Lag: a new instance may be missing in List for a while and a deleted one still shown; nobody
//    concludes absence from one List.
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
  kOff,       // it ran, and has no power any more: what was in its memory is lost. It still exists,
              // may still cost, and is never started again
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

  // Everything that could be rented now, allowed or not, each with price, source and date; stock as
  // far as the provider tells it. kDenied, kInvalid, kThrottled, kUnavailable.
  virtual Result<std::vector<Offer>> Offers() = 0;

  // What is missing, said in words, all of it at once where that is possible: credentials, rights,
  // names of the configuration, quota. Ok when one could be created; reads only. kDenied, kInvalid,
  // kQuota, kThrottled, kUnavailable.
  virtual Status Preflight() = 0;

  // Starts creating. The answer may be an instance that is only accepted; stock may run out after
  // that (state kError with fault kCapacity). Where creating takes several steps, each leaves
  // something that List shows, and the caller goes on with Resume when it shows kStopped: a process
  // that ends in between loses nothing. Two calls for one name make one instance at most.
  // kCapacity, kQuota, kDenied, kInvalid, kThrottled, kUnavailable, kMaybeApplied; kConflict if the
  // name exists already (then List finds it).
  virtual Result<Instance> Create(const InstanceSpec& spec) = 0;

  // Second phase of a two-phase create; Ok when it is already past that. kNotFound, kDenied,
  // kThrottled, kUnavailable (also: not due yet), kMaybeApplied.
  virtual Status Resume(const std::string& instance_id) = 0;

  // Instances in every state and stray side objects tagged with cluster_id. kDenied, kInvalid,
  // kThrottled, kUnavailable.
  virtual Result<Inventory> List(const std::string& cluster_id) = 0;

  // One pass of deleting the instance (may be empty: only side objects are left) and every side
  // object tagged with `name`, in whatever state they are; of what is absent already it is done.
  // What still exists is said in `left`. "It is gone" is never an error code here. kUnavailable
  // covers "refused while provisioning": retry later. kInvalid: it is another's. kDenied,
  // kThrottled, kMaybeApplied.
  virtual Result<DeleteProgress> Delete(const std::string& instance_id, const std::string& name,
                                        const std::string& cluster_id) = 0;
};

}  // namespace spillway::ports
