// Requests: what becomes of ProvisioningRequests, in their conditions.
//
//   Accepted         their pods are understood; machines are looked for
//   Provisioned      False with the reason of the wait; True once every node is ready and the pods
//                    may come, or the site has room for all of them
//   Failed           it can never be carried out, or not in time
//   BookingExpired   nothing is kept any more: the time is over, or all pods came
//   CapacityRevoked  a node that was there was lost, or given back
//
// Each is set once, with the generation it speaks of.
// https://kueue.sigs.k8s.io/docs/admission-check-controllers/provisioning
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernetes/api.h"
#include "kubernetes/worker.h"
#include "model/plan.h"
#include "model/snapshot.h"
#include "store/store.h"

namespace spillway::kubernetes {

struct RequestCondition {
  std::string type;
  bool holds = false;
  std::string reason, message;
  bool operator==(const RequestCondition&) const = default;
};

// What is known of one request.
struct RequestFacts {
  Time now{};
  std::size_t pods = 0;                 // that it announces
  std::size_t came = 0;                 // of them, and are somewhere
  std::optional<Error> problem;         // why its pods are not known
  const Decision* decision = nullptr;   // about those that wait; nullptr: none was made
  std::vector<const BurstNode*> nodes;  // rented for it, those that are gone too
};
// Conditions of the request that are to be set now; pure. `request` as the mirror has it, with
// moments of our clock.
std::vector<RequestCondition> NextConditions(const json::value& request, const RequestFacts& facts);
// The next moment at which time alone changes something.
std::optional<Time> LookAgainAt(const json::value& request);

// Sets conditions in an object's status; one of the same type, status and reason stays as it is.
// False: nothing changed. `now` by the real clock.
bool SetRequestConditions(json::value& request, const std::vector<RequestCondition>& conditions,
                          Time now);

// Not thread-safe: for the thread of the rounds.
class Requests {
 public:
  using Tell = std::function<void(const store::ObjectKey& about, bool warning,
                                  std::string_view reason, const std::string& message)>;
  Requests(const store::Store& store, Api& api, Worker& worker, Tell tell)
      : store_(store), api_(api), worker_(worker), tell_(std::move(tell)) {}

  // After a round: the worker writes what has changed.
  void Decided(const Snapshot& snapshot, const Plan& plan);
  std::optional<Time> LookAgain() const;

 private:
  RequestFacts FactsOf(const store::StoredObject& request, const Snapshot& snapshot,
                       const Plan& plan) const;
  Status Write(const store::StoredObject& request, const std::vector<RequestCondition>& conditions);

  const store::Store& store_;
  Api& api_;
  Worker& worker_;
  const Tell tell_;
};

}  // namespace spillway::kubernetes
