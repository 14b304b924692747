// Backend: what the HTTP API needs from the mode Spillway runs in. The embedded mode implements it;
// the API itself (routes, views, event stream) is the same for every mode.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "model/ledger.h"
#include "model/plan.h"
#include "model/snapshot.h"
#include "schema/manifest.h"

namespace spillway::server {

// What is proven of a machine that was given back.
enum class WipeOutcome : std::uint8_t {
  kFull,         // overwritten and read back
  kCryptoErase,  // only the key is destroyed
  kUnproven,
  kNotNeeded,  // no data was ever there
};
inline constexpr std::array kWipeOutcomes{WipeOutcome::kFull, WipeOutcome::kCryptoErase,
                                          WipeOutcome::kUnproven, WipeOutcome::kNotNeeded};
std::string_view Name(WipeOutcome outcome);
WipeOutcome WipeOutcomeOf(const BurstNode& node);

// What is known of a provider besides its object.
struct ProviderView {
  std::optional<Time> listed_at;  // when the newest listing was asked for
  int unknown = 0;                // things with our tag that belong to no live BurstNode
  // Of the nodes that went in the last 366 days.
  Money settled;
  std::map<WipeOutcome, std::int64_t> returned;
};

// The newest complete round: what was known and what was decided. Never changes once published.
struct RoundView {
  Snapshot snapshot;
  Plan plan;
  std::vector<std::string> problems;              // objects that could not be understood
  std::map<std::string, ProviderView> providers;  // by name of the CloudProvider
};

struct ObjectRef {
  std::string kind, ns, name;
};

// One object of an apply.
struct Applied {
  ObjectRef object;
  std::string result;  // "created", "configured", "unchanged"
};

// Reasons of the events about a pod that tell what was decided for its workload, in the planner's
// sentence; empty where there is nothing to tell.
constexpr std::string_view DecisionEvent(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFitsSite:
      return {};
    case Verdict::kOnItsWay:
      return "OnItsWay";
    case Verdict::kWait:
      return "Waiting";
    case Verdict::kRent:
      return "Renting";
    case Verdict::kRefuse:
      return "StaysHome";
  }
  return {};
}
constexpr bool IsDecisionEvent(std::string_view reason) {
  return reason == DecisionEvent(Verdict::kOnItsWay) || reason == DecisionEvent(Verdict::kWait) ||
         reason == DecisionEvent(Verdict::kRent) || reason == DecisionEvent(Verdict::kRefuse);
}

struct EventView {
  Time first{}, last{};
  ObjectRef about;
  bool warning = false;
  std::string reason, message;
  std::int64_t count = 1;
};

// One line of `spillway doctor`.
struct Finding {
  std::string name;
  bool ok = false;
  std::string sentence;  // what it means, and the remedy if it is not ok
};

// Data on its way to or from a rented node, for progress bars.
struct TransferView {
  std::string burst_node;
  std::int64_t staged_bytes = 0, total_bytes = 0;
  double wipe_progress = 0;
  int results_pending = 0;
  std::string problem;
  std::int64_t stage_bytes_per_s = 0;  // lately, in real time; 0: nothing comes

  // How long the rest takes at this rate, in real time; nullopt: nobody can say.
  std::optional<Duration> Left() const {
    const std::int64_t missing = total_bytes - staged_bytes;
    if (stage_bytes_per_s <= 0 || missing <= 0) return std::nullopt;
    return std::chrono::seconds((missing + stage_bytes_per_s - 1) / stage_bytes_per_s);
  }
};

// What a look at a rented disk found: only possible where the "machine" is simulated and its disk
// is a directory here. Windows of 32 bytes of the data sets were searched for.
struct Inspection {
  std::string burst_node;
  bool after_wipe = false;
  std::int64_t scanned_bytes = 0;
  std::int64_t plaintext_windows = 0;  // must be 0
};

// What exists at the providers now under this installation's tag, listed afresh.
struct Existing {
  int instances = 0, side_objects = 0;
};

// Thread-safe. ns empty means all namespaces where a kind is namespaced.
class Backend {
 public:
  virtual ~Backend() = default;

  // Validates everything (schema, then together with what exists) and writes all of it or nothing.
  // On problems nothing was changed and `problems` has every one of them.
  struct ApplyOutcome {
    std::vector<Applied> applied;
    std::vector<schema::Problem> problems;
  };
  virtual Result<ApplyOutcome> Apply(const std::string& file_name, const std::string& text,
                                     const std::string& default_namespace, bool dry_run) = 0;

  // Objects as JSON (apiVersion, kind, metadata, spec, status), sorted by namespace and name.
  virtual Result<std::vector<json::value>> List(const std::string& kind, const std::string& ns) = 0;
  virtual Result<json::value> Get(const ObjectRef& ref) = 0;
  // kNotFound; kConflict for what Spillway owns (a live BurstNode is ended, not deleted: see
  // message).
  virtual Status Delete(const ObjectRef& ref, bool dry_run) = 0;

  virtual std::vector<EventView> Events(const std::optional<ObjectRef>& about) = 0;
  // Log of a pod from `offset` on, at most kLogPiece bytes; `finished` tells that the pod writes no
  // more, which a piece of full length need not be the end of.
  static constexpr std::int64_t kLogPiece = 1 << 20;
  struct LogChunk {
    std::string bytes;
    bool finished = false;
  };
  virtual Result<LogChunk> Logs(const std::string& ns, const std::string& pod,
                                std::int64_t offset) = 0;

  virtual std::shared_ptr<const RoundView> LastRound() = 0;  // nullptr before the first
  // The plan as it would be with these manifests added, without changing anything.
  virtual Result<std::shared_ptr<const RoundView>> PlanWith(
      const std::string& file_name, const std::string& text,
      const std::string& default_namespace) = 0;
  // What was decided last for a workload ("ns/Job/name"), as DecisionRecord (views.h) made it;
  // null: nothing is kept. Kept as long as the workload's object exists.
  virtual json::value DecisionOf(const std::string& workload) = 0;
  virtual std::vector<TransferView> Transfers() = 0;

  virtual Result<std::vector<LedgerEntry>> Ledger() = 0;
  virtual Result<std::int64_t> LedgerRecords() = 0;
  virtual Result<std::string> LedgerExport() = 0;
  // Wipe certificates: names, and the text of one.
  virtual Result<std::vector<std::string>> Certificates() = 0;
  virtual Result<std::string> Certificate(const std::string& name) = 0;

  virtual std::vector<Inspection> Inspections() = 0;  // of nodes that ever existed, oldest first
  // Lists every account now; kUnavailable if one cannot be listed.
  virtual Result<Existing> ExistingAtProviders() = 0;
  // Facts of a provider's catalogue entry with evidence and dates, as JSON for people.
  virtual Result<json::value> CatalogEntry(const std::string& id) = 0;

  virtual std::vector<Finding> Doctor() = 0;
  // What is simulated here, one sentence each; shown wherever results are shown.
  virtual std::vector<std::string> Simulated() = 0;
  virtual Time Now() = 0;  // of the daemon's clock
  virtual int TimeScale() = 0;

  // Blocks until the state is newer than `revision`, or `timeout` (real time) is over; returns the
  // newest revision. For the event stream.
  virtual std::int64_t WaitForChange(std::int64_t revision, Duration timeout) = 0;
};

}  // namespace spillway::server
