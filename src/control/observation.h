// What is known about one BurstNode from the outside, at one moment. Every part may be missing:
// after a restart only what can be looked up again is there, and the rules must cope.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/snapshot.h"
#include "ports/cloud.h"

namespace spillway::control {

// Answer to a command of this process, kept until a round that saw it was committed
// (Observer::Published): a round that could not be stored must see it again.
struct CreateAnswer {
  std::optional<ports::Instance> instance;  // on success
  std::optional<Error> error;               // otherwise; kMaybeApplied: look it up
};
struct DeleteAnswer {
  ports::DeleteProgress progress;
  std::optional<Error> error;
};

// The newest listing of the node's account, reduced to this node.
struct Seen {
  Time read_at{};                          // when the list request was sent
  std::vector<ports::Instance> instances;  // those named like this node; more than one is a fault
  std::vector<SideObject> stray;           // side objects named like this node without an instance
};

// What the node says over the site's door. Absent until it has registered.
struct NodeReport {
  Time last_heartbeat{};
  // The provider's id of the machine, from its metadata service; empty where there is none. A
  // create that was carried out twice gives two machines, and only one can use the one-use token:
  // that one is the BurstNode's.
  std::string instance_id;
  Resources hardware;
  Labels labels;
  bool staged = false;  // all chunks there and verified
  std::int64_t staged_bytes = 0;
  bool results_returned = false;  // every pod ended and nothing is left to send
  int results = 0;                // result objects it had to send; final once results_returned
  bool overwritten = false;       // the site has its wipe report, perhaps no certificate yet
  bool wiped = false;             // wipe report delivered and certificate written
  bool wipe_verified = false;     // every overwritten byte was read back and compared
  std::string certificate;        // file name of the certificate
};

// The data gateway's view of the run.
struct RunReport {
  bool prepared = false;
  std::optional<Error> failed;  // will not become prepared
  std::int64_t bytes_in = 0;    // sealed bytes served to the node
  std::int64_t bytes_out = 0;   // sealed bytes of results received
  std::int64_t never_left_objects = 0, never_left_bytes = 0;
  int results_receipted = 0;
  // Also true when the run was never prepared and DestroyRunKey came first: then it never will be.
  bool key_destroyed = false;
  Time key_destroyed_at{};
  std::string certificate;        // once written
  bool certificate_full = false;  // it proves class "full": the node reported before it was deleted
};

struct PodReport {
  std::string key, uid;
  PodPhase phase = PodPhase::kPending;
  std::string node;                    // where it is bound; empty: nowhere
  std::optional<Time> started, ended;  // of its (first) container
  // It ended, and nothing of it is needed from the node any more: its results are receipted, or it
  // was evicted already.
  bool released = false;
  // It is not there yet: its place is booked for a pod that may come later.
  bool promised = false;
  // The machine took it, and its images are fetched from then on.
  std::optional<Time> taken = {};
  // The first of its containers ran, init containers included. Absent: as `started` says.
  std::optional<Time> began = {};
};

struct Observation {
  std::optional<CreateAnswer> create;
  std::optional<DeleteAnswer> deletion;
  std::optional<Seen> seen;
  std::optional<NodeReport> node;
  bool registered = false;  // the machine proved itself, whether or not the cluster took it yet
  std::optional<RunReport> run;
  // Pods of BurstNode::pods (and admitted replacements) that exist; a pod that is not here was
  // deleted. Absent as a whole while the cluster was not read.
  std::optional<std::vector<PodReport>> pods;
  // A person deleted the BurstNode's object: it ends in order, its pods are queued again.
  bool end_asked = false;
  // For a gang: phases and failures of the other nodes.
  bool gang_all_staged = true;
  bool gang_failed = false;
  // When this process began to watch; filled in by the Conductor. Silence and waiting count from
  // then at the earliest, because before it nobody could have heard anything: a restart, or a wall
  // clock that jumped while the daemon was down, must not cost results.
  Time watching_since{};
};

}  // namespace spillway::control
