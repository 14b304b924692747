// BurstNode: one temporary node, its life, cost and evidence. See docs/concepts.md for the life
// cycle and control/advance.h for the rules that move it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "model/offer.h"
#include "model/rules.h"

namespace spillway {

enum class Phase : std::uint8_t {
  kPlanned,      // stored; nothing was asked of the provider yet
  kRequested,    // the create call may be on its way
  kProvisioned,  // the provider says it runs; not trusted yet
  kJoined,       // the node proved its identity and hardware
  kStaged,       // all data it needs is there, sealed
  kRunning,      // its pods are admitted
  kReturning,    // pods ended; results travel home
  kWiping,       // keys destroyed, cache being overwritten and read back
  kDeleting,     // instance and side objects being deleted
  kGone,         // the provider confirmed: nothing is left
};
std::string_view Name(Phase phase);
std::optional<Phase> PhaseFrom(std::string_view name);

// Why a BurstNode left the good path. It decides what happens to the offer and to the workload.
enum class Failure : std::uint8_t {
  kNone,
  kCapacity,       // no machine of this kind: offer parked
  kQuota,          // account limit: provider parked
  kRefused,        // credentials or request refused: provider parked
  kCreateLost,     // create may have been applied but nothing was ever found
  kBootTimeout,    // never joined in time: offer parked
  kWrongHardware,  // joined with less than the offer promised: offer parked
  kStageTimeout,
  kStartTimeout,  // pods were bound to it, and no container ran in time
  kDataFailed,    // the gateway cannot prepare the run (source changed, missing, corrupt)
  kNodeLost,      // lease ended without heartbeat, or the instance vanished
  kLifetime,      // the policy's lifetime is over
  kCancelled,     // nobody needs it any more
  kGangFailed,    // another node of its gang failed
};
std::string_view Name(Failure failure);
std::optional<Failure> FailureFrom(std::string_view name);

// A pod it was rented for. The uid tells a pod from its replacement of the same name.
struct PodRef {
  std::string key;  // "namespace/name"
  std::string uid;
  bool operator==(const PodRef&) const = default;
};

struct SideObject {
  std::string kind;  // "disk", "address", "key", "port"
  std::string id;
  Money price_per_hour;
  bool gone = false;
  Time gone_at{};
  bool operator==(const SideObject&) const = default;
};

// Forecast of one rental, made by the planner and kept to be compared with what happened.
struct Forecast {
  Duration boot{0}, stage{0}, start{0}, run{0}, give_back{0}, wipe{0};
  Duration paid{0};  // rounded up to the billing step
  Money compute, side_objects, egress;
  Money total;         // expected
  Money worst_case;    // reserved from the budget before anything is rented
  Money failed_tries;  // expected cost of other machines that fail before this one comes to run
  Money WithTries() const { return total + failed_tries; }  // what offers are compared by
  Duration Sum() const { return boot + stage + start + run + give_back + wipe; }
  bool operator==(const Forecast&) const = default;
};

// Longest time in each phase before the honest lesser outcome is taken.
struct Deadlines {
  Duration create{5min};  // an answer, or the instance in a listing
  Duration boot{15min};   // until the node has joined
  Duration join{0};       // from when it registered until then; 0: as long as boot allows
  Duration stage{30min};
  Duration start{0};          // from the first pod that it took until a container runs; 0: for ever
  Duration give_back{30min};  // results receipted
  Duration wipe{20min};
  Duration key{30min};     // until the run key is destroyed; then the machine goes without it
  Duration lifetime{12h};  // from creation; running pods are stopped
  Duration lease{2min};    // without heartbeat: lost. Must exceed the node's own lease.
  bool operator==(const Deadlines&) const = default;
};

enum class WipeClass : std::uint8_t { kNone, kFull, kCryptoEraseOnly };
std::string_view Name(WipeClass wipe_class);  // "none", "full", "crypto-erase only"

struct BurstNode {
  // Identity. The name is also the instance's name and tag at the provider and the run id of its
  // data.
  std::string name;
  std::int64_t serial = 0;
  std::int64_t resource_version = 0;

  // The decision; never changes after Planned.
  std::string ns;  // namespace (team) it is rented for
  std::string policy;
  std::string budget;    // empty: no budget covers the namespace
  std::string gang;      // equal for all nodes of one gang, empty otherwise
  int gang_size = 0;     // number of nodes of the gang
  std::string workload;  // "vision/Job/sweep" (first one), for people
  std::string why;       // one sentence
  // The pods it is rented for, as decided, once others took their places; empty until then.
  std::vector<PodRef> announced;
  // What the pods it is rented for read of inputs in shards, each text once, in order: its data is
  // that, and a pod that comes later must be of these (Pod::shards; "" is one that reads no shard).
  // Empty: none of them reads a shard.
  std::vector<std::string> shards;
  Offer offer;
  BillingTerms billing;
  std::vector<SideObjectTerms> side_terms;
  Money egress_per_gib;
  Forecast forecast;
  Deadlines deadlines;
  Overwrite overwrite = Overwrite::kUsed;
  WipeCheck verify = WipeCheck::kFull;
  Scratch scratch = Scratch::kAny;

  // The life.
  std::vector<PodRef> pods;  // that it is kept for
  Phase phase = Phase::kPlanned;
  Failure failure = Failure::kNone;
  std::string failure_detail;
  std::string instance_id;          // once known
  bool instance_may_exist = false;  // set before the create call, cleared by proof of absence
  bool pods_admitted = false;
  bool run_prepared = false;
  std::optional<Time> registered_at;  // it proved itself; the cluster may not have taken it yet
  std::optional<Time> prepared_at;    // its data could be fetched
  bool key_destroyed = false;
  Time key_destroyed_at{};
  // The key service did not destroy it within deadlines.key: from here on the machine was deleted
  // without waiting for it, and the destruction was owed. Stays once it is set.
  std::optional<Time> key_owed_since;
  bool delete_accepted = false;
  Time delete_accepted_at{};
  int absent_lists = 0;   // consecutive listings without it, while its absence matters
  Time last_list_seen{};  // time of the newest listing that was counted
  Time created_at{};      // Planned
  Time phase_since{};
  std::vector<std::pair<Phase, Time>> history;  // first time in each phase, in order
  std::optional<Time> meter_start, meter_stop;  // as the provider counts
  std::optional<Time> running_since;            // first pod admitted
  std::optional<Time> computed_until;           // last pod ended
  std::optional<Duration> start_took;           // first pod: until a container ran

  // Evidence and cost.
  Duration computed{0};
  Duration paid{0};
  Money cost_compute, cost_side_objects, cost_egress;
  Money cost;            // final once Gone, so far before
  bool settled = false;  // reservation released, cost booked
  std::vector<SideObject> side_objects;
  std::int64_t bytes_in = 0, bytes_out = 0;
  std::int64_t never_left_objects = 0, never_left_bytes = 0;
  int results_receipted = 0;
  bool results_complete = false;
  WipeClass wipe_class = WipeClass::kNone;
  bool wipe_verified = false;
  std::string certificate;  // file name, relative to the evidence directory

  bool Live() const { return phase != Phase::kGone; }
  // Whether the data of its run is what a pod with these Pod::shards reads.
  bool HasShards(const std::string& of_pod) const {
    return shards.empty() ? of_pod.empty()
                          : std::find(shards.begin(), shards.end(), of_pod) != shards.end();
  }
  bool Failed() const { return failure != Failure::kNone; }
  bool KeyOwed() const { return key_owed_since && !key_destroyed; }
  // Nothing of it exists or costs any more; only the end of its run key is waited for.
  bool OnlyKeyLeft() const { return phase == Phase::kDeleting && KeyOwed() && !instance_may_exist; }
  // Whether it counts towards the limits of its policy and of its provider's account.
  bool HoldsPlace() const { return Live() && !OnlyKeyLeft(); }
};

}  // namespace spillway
