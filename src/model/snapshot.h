// Snapshot: everything the planner may know, at one moment. Vectors are sorted by name or key, so
// that the same state of the world is the same bytes.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/burst_node.h"
#include "model/offer.h"
#include "model/rules.h"
#include "model/scheduling.h"

namespace spillway {

inline constexpr std::int32_t kUnlimitedPods = std::numeric_limits<std::int32_t>::max();

struct Node {
  std::string name;
  SharedLabels labels;
  std::vector<Taint> taints;
  bool unschedulable = false;
  bool ready = true;
  bool rented = false;  // a BurstNode's node
  Resources allocatable;
  std::int32_t max_pods = kUnlimitedPods;
  // Of that, what pods take that are not in Snapshot::pods, because nothing else about them
  // matters.
  Resources taken;
  std::int32_t taken_pods = 0;
  std::map<std::string, std::int32_t> volume_limits;  // by CSI driver (CSINode)
};

enum class PodPhase : std::uint8_t { kPending, kRunning, kSucceeded, kFailed };
std::string_view Name(PodPhase phase);

struct Pod {
  std::string key;  // "namespace/name"
  std::string uid;
  std::string ns;
  std::int32_t shape = 0;      // index into Snapshot::shapes
  std::int32_t workload = -1;  // index into Snapshot::workloads
  PodPhase phase = PodPhase::kPending;
  std::string node;            // empty while it waits
  bool unschedulable = false;  // the scheduler looked and found no room
  bool deleting = false;
  bool gated = false;     // has scheduling gates: left alone
  std::string nominated;  // node that the scheduler makes room on for it; left alone, too
  // What it reads of inputs that are cut into shards, "data=1/4" (model/shards.h), joined by ';'.
  // Empty: it reads no shard.
  std::string shards;
  // It comes for a promised pod (site/promises.h): uid of that one, whose place on a BurstNode it
  // takes. Empty: for none.
  std::string takes;
  int exit_code = -1;
  std::optional<Time> started;
  // When it is expected to end, from its expected duration or deadline; nullopt: unknown.
  std::optional<Time> expected_end;
};

// What waits and runs as one. For a gang all pods are placed together or none; otherwise each pod
// may be placed alone.
struct Workload {
  // "vision/Job/sweep", "vision/Pod/one"; of a gang the object that makes it one:
  // "vision/JobSet/x".
  std::string key;
  std::string ns;
  bool gang = false;
  int priority = 0;
  std::vector<std::int32_t> pods;  // indexes into Snapshot::pods, all of its unfinished pods
  std::optional<Time> waiting_since;
  std::optional<Duration> expected_duration;  // of one pod's computing
  std::optional<Duration> hard_limit;         // activeDeadlineSeconds
  DataClass data_class = DataClass::kPublic;  // highest of its inputs
  std::string data_class_source;              // "Dataset vision/digits"
  std::int64_t input_bytes = 0;               // selected plaintext that all of its pods read
  // Besides, what each pod with Pod::shards reads alone: of every input its part, taken as the
  // N-th part of the bytes, whatever the files are.
  std::int64_t shard_bytes = 0;
  std::int64_t output_bytes_guess = 0;
  bool inputs_known = true;    // every claim it mounts is a Dataset or results place
  std::string inputs_problem;  // why not
  // What a gang that is not whole waits for, "for the other pods of the gang: 3 of 8 are there";
  // the scheduler's verdict on its pods does not count before. Empty: it is whole.
  std::string incomplete;
};

struct Snapshot {
  Time now{};
  std::vector<PodShape> shapes;
  std::vector<PodGroup> groups;             // that rules between pods name
  std::vector<PodShape> daemons;            // one per DaemonSet: a pod of it on every node it fits
  std::vector<Node> nodes;                  // by name
  std::vector<Pod> pods;                    // by key; finished pods are left out
  std::vector<Workload> workloads;          // by key
  std::vector<Policy> policies;             // by name
  std::vector<ProviderFacts> facts;         // by id
  std::vector<ProviderAccount> accounts;    // by name
  std::vector<Offer> offers;                // by Key()
  std::map<std::string, OfferTimes> times;  // learned, by Key(); of others the catalogue tells
  std::vector<BudgetState> budgets;         // by name
  std::vector<QuotaState> quotas;           // by ns
  std::vector<BurstNode> burst_nodes;  // by name; Gone ones for an hour, so that parking is known
};

}  // namespace spillway
