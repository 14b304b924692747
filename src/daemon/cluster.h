// Cluster: the cluster Spillway serves, as the daemon sees it. The embedded mode and Kubernetes
// implement it.
//
// Reading goes through the Store: the embedded mode's objects live there, and the Kubernetes mode
// mirrors the API server's into it. Writing goes through the verbs here, because only the embedded
// mode may write objects into the Store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "control/observation.h"
#include "door/protocol.h"
#include "door/user_data.h"
#include "model/plan.h"
#include "model/snapshot.h"
#include "schema/manifest.h"
#include "server/backend.h"
#include "store/store.h"

namespace spillway::daemon {

// Pods that ended on a rented node. Kubernetes' garbage collector takes pods with their Node, and
// people still want to know how they ended. Kept in the Store, as long as their Job is there.
inline constexpr const char* kEndedPod = "EndedPod";

// What a cluster may use; all of it outlives the cluster.
struct ClusterContext {
  store::Store* store = nullptr;
  const Clock* clock = nullptr;
  int time_scale = 1;
  // A moment that somebody with a real clock wrote down, on `clock`.
  std::function<Time(Time)> from_real;
  std::string state_dir;
  std::function<void()> wake;  // something changed: a round should look. From any thread
};

// Public functions are thread-safe but Start, Pass and Stop, which the daemon calls in this order,
// Pass from one thread. Verbs are idempotent and may be repeated after a crash; kNotFound never
// comes back for what is gone already.
class Cluster {
 public:
  virtual ~Cluster() = default;

  virtual Status Start() = 0;
  virtual void Stop() = 0;
  // Before each round: what the mode itself has to do (Jobs and scheduling in the embedded mode).
  // Never fails: a step that does is logged and tried again. Returns when to look again without an
  // event.
  virtual std::optional<Time> Pass() = 0;
  // Everything was read once, and this process may act (it leads). Nothing is decided before.
  virtual bool Ready() const = 0;
  // Whether a round should look at the changed object at once; otherwise the next one will, which
  // comes within a second. From any thread that writes to the store, with whatever locks it holds.
  virtual bool Urgent(const store::StoredObject&) const { return true; }
  // Asked right before every write to a provider: false when leadership may have passed on.
  virtual bool MayAct() const = 0;

  // control::AdmitPods, EvictPods, RemoveNode.
  virtual Status AdmitPods(const std::string& node, const std::vector<PodRef>& pods) = 0;
  virtual Status EvictPods(const std::string& node, const std::vector<PodRef>& pods,
                           const std::string& reason) = 0;
  virtual Status RemoveNode(const std::string& node) = 0;

  // A machine is about to be asked for: what its kubelet needs to join; nullopt: there is none. Its
  // credentials are new each time and replace earlier ones.
  virtual Result<std::optional<door::KubernetesJoin>> PrepareJoin(const BurstNode& node) = 0;
  // The machine has proved itself to the door: `report` is what it says. Its Node object is made or
  // completed. Returns what is to be believed of the machine; nullopt: the cluster does not see it
  // ready yet, and until then nothing is heard of it.
  virtual Result<std::optional<control::NodeReport>> Join(const BurstNode& node,
                                                          const control::NodeReport& report) = 0;
  // State of the BurstNode's pods (by uid) and of replacements that tolerate its taint.
  virtual std::vector<control::PodReport> PodReports(const BurstNode& node) const = 0;
  // Somebody deleted the BurstNode's object while the node lives.
  virtual bool EndAsked(const std::string& node) const = 0;

  // What a rented node is to run (empty where a kubelet runs the pods), and what it says.
  virtual std::vector<door::PodOrder> OrdersFor(const std::string& node) const = 0;
  virtual void TakeStatuses(const std::string& node,
                            const std::vector<door::PodStatus>& statuses) = 0;
  virtual void TakeReleased(const std::string& node, const std::vector<std::string>& uids) = 0;
  virtual void TakeLog(const std::string& node, const std::string& uid, std::int64_t offset,
                       std::string_view bytes) = 0;

  // For people. Losing an event must not stop the work.
  virtual void AddEvent(const store::ObjectKey& about, bool warning, std::string_view reason,
                        const std::string& message) = 0;
  // An event that takes the place of the one before with the same reason: progress. Only for
  // clusters whose people have nowhere else to see it.
  virtual void UpdateEvent(const store::ObjectKey&, std::string_view, const std::string&) {}
  // Changes an object's status only; `change` returns false to leave it. kNotFound, kConflict.
  virtual Status UpdateStatus(const store::ObjectKey& key,
                              const std::function<bool(json::value& body)>& change) = 0;
  // A round was stored: what was decided about the pods it saw, for objects that show it.
  virtual void Decided(const Snapshot& /*snapshot*/, const Plan& /*plan*/) {}
  // BurstNodes that were just stored, for clusters that show them to people elsewhere.
  virtual void Project(const std::vector<BurstNode>& changed) = 0;

  // server::Backend's verbs on objects. `catalog`: providers and regions that exist.
  virtual Result<server::Backend::ApplyOutcome> Apply(
      const std::vector<schema::CatalogProvider>& catalog, const std::string& file_name,
      const std::string& text, const std::string& default_namespace, bool dry_run) = 0;
  virtual Status Delete(const server::ObjectRef& ref, bool dry_run) = 0;
  virtual Result<server::Backend::LogChunk> Logs(const std::string& ns, const std::string& pod,
                                                 std::int64_t offset) = 0;
  virtual void AddFindings(std::vector<server::Finding>& findings) const = 0;
  // What is simulated in this mode, one sentence each.
  virtual std::vector<std::string> Simulated() const = 0;
};

using ClusterFactory = std::function<Result<std::unique_ptr<Cluster>>(ClusterContext)>;

}  // namespace spillway::daemon
