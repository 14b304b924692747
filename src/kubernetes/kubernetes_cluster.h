// KubernetesCluster: the cluster behind an API server, as the daemon sees it.
//
// Objects come in through watches and are mirrored into the Store; what goes out are the verbs of
// daemon::Cluster. kube-scheduler has the first and the last word: nothing here ever binds a pod.
// BurstNodes and the ledger live in the Store; the custom resources are their projection, with a
// finalizer that holds until the node is Gone.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "daemon/cluster.h"
#include "kubernetes/api.h"
#include "kubernetes/joins.h"
#include "kubernetes/optional_kinds.h"
#include "kubernetes/requests.h"
#include "kubernetes/worker.h"
#include "site/kubelet.h"

namespace spillway::kubernetes {

inline constexpr std::string_view kFinalizer = "spillway.dev/burst-node";
inline constexpr std::string_view kFieldManager = "spillway";

struct KubernetesOptions {
  std::shared_ptr<Api> api;
  std::shared_ptr<Watches> watches;
  std::function<bool()> leads;  // whether this process may act now
  std::string node_server;      // URL of the API server as rented machines reach it
  std::string server_ca;        // PEM
};

class KubernetesCluster final : public daemon::Cluster, private WatchSink {
 public:
  // kConflict: the state directory was made by the embedded mode.
  static Result<std::unique_ptr<daemon::Cluster>> Open(daemon::ClusterContext context,
                                                       KubernetesOptions options);
  ~KubernetesCluster() override;

  Status Start() override;
  void Stop() override;
  std::optional<Time> Pass() override;
  bool Ready() const override;
  bool MayAct() const override { return options_.leads(); }
  bool Urgent(const store::StoredObject& object) const override;

  Status AdmitPods(const std::string& node, const std::vector<PodRef>& pods) override;
  Status EvictPods(const std::string& node, const std::vector<PodRef>& pods,
                   const std::string& reason) override;
  Status RemoveNode(const std::string& node) override;
  Result<std::optional<door::KubernetesJoin>> PrepareJoin(const BurstNode& node) override;
  Result<std::optional<control::NodeReport>> Join(const BurstNode& node,
                                                  const control::NodeReport& report) override;
  std::vector<control::PodReport> PodReports(const BurstNode& node) const override;
  bool EndAsked(const std::string& node) const override;

  std::vector<door::PodOrder> OrdersFor(const std::string&) const override { return {}; }
  void TakeStatuses(const std::string&, const std::vector<door::PodStatus>&) override {}
  void TakeReleased(const std::string& node, const std::vector<std::string>& uids) override;
  void TakeLog(const std::string&, const std::string&, std::int64_t, std::string_view) override {}

  void AddEvent(const store::ObjectKey& about, bool warning, std::string_view reason,
                const std::string& message) override;
  void UpdateEvent(const store::ObjectKey& about, std::string_view reason,
                   const std::string& message) override;
  Status UpdateStatus(const store::ObjectKey& key,
                      const std::function<bool(json::value& body)>& change) override;
  void Decided(const Snapshot& snapshot, const Plan& plan) override {
    requests_.Decided(snapshot, plan);
  }
  void Project(const std::vector<BurstNode>& changed) override;

  Result<server::Backend::ApplyOutcome> Apply(const std::vector<schema::CatalogProvider>& catalog,
                                              const std::string& file_name, const std::string& text,
                                              const std::string& default_namespace,
                                              bool dry_run) override;
  Status Delete(const server::ObjectRef& ref, bool dry_run) override;
  Result<server::Backend::LogChunk> Logs(const std::string& ns, const std::string& pod,
                                         std::int64_t offset) override;
  void AddFindings(std::vector<server::Finding>& findings) const override;
  std::vector<std::string> Simulated() const override;

 private:
  KubernetesCluster(daemon::ClusterContext context, KubernetesOptions options);

  json::value Kept(const Resource& resource, json::value object) const override;
  void Listed(const Resource& resource, std::vector<json::value> objects) override;
  void Changed(const Resource& resource, json::value object, bool gone) override;

  std::vector<std::string_view> Unread() const;
  void ProjectOne(const BurstNode& node);
  Status WriteBurstNode(const json::value& object, bool gone);
  void SyncBurstNodes();
  void SyncClaims();
  void RefuseClaim(const store::StoredObject& claim, std::string_view reason,
                   const std::string& message);
  void RefuseReturned(const json::value& node);
  bool HoldsResults(const store::StoredObject& pod) const;
  void FindPods();
  void ForgetLogs();
  void KeepLogs();
  void KeepPod(const store::ObjectKey& where, const std::string& uid);
  void ForgetPods();
  // `topic`: what tells an Event from others about the object for the same reason.
  void PostEvent(store::ObjectKey about, bool warning, std::string_view reason,
                 const std::string& message, std::string_view topic);
  bool LogsKept(const std::string& node) const;  // of every ended pod there

  const daemon::ClusterContext context_;
  store::Store& store_;
  const KubernetesOptions options_;
  Joins joins_;
  Requests requests_;
  site::PodLogs logs_;

  std::atomic<bool> was_ready_{false};              // Ready() once
  mutable std::mutex mutex_;                        // guards the following
  std::set<std::string> listed_;                    // kinds that were listed once
  std::map<std::string, json::value> burst_nodes_;  // custom resources as the server has them
  std::map<std::string, std::set<std::string>> released_;  // node -> pod uids
  std::map<store::ObjectKey, json::value> statuses_;       // on their way
  std::map<std::string, int> log_tries_;  // pod uid -> how often its log was asked for in vain
  // Pods whose log is here, or is given up, by uid.
  std::map<std::string, store::ObjectKey> logs_kept_;
  struct ToldEvent {
    Time first{};
    int count = 0;
  };
  std::map<std::string, ToldEvent> events_;
  struct Shown {
    Phase phase = Phase::kPlanned;
    Time at{};
  };
  std::map<std::string, Shown> shown_;  // BurstNodes as last projected
  std::atomic<bool> started_{false};
  // Of the daemon's round thread only.
  std::map<std::string, std::vector<store::ObjectPtr>> pods_of_;  // BurstNode -> its pods
  std::set<std::string> claims_told_;                             // by uid and sentence
  // Last: they use everything above. Events have a queue of their own, in which they may be
  // dropped, and never stand in the way of what a machine waits for.
  Worker event_worker_, worker_;
  OptionalKinds optional_;
};

}  // namespace spillway::kubernetes
