// Daemon: one process that holds the data gateway, the site's door, the cloud accounts and the
// control rounds, over a Cluster (embedded or Kubernetes); everything it must not forget is in
// files below its state directory, so that it may be killed at any moment and started again.
//
//   STATE/state.db     objects, events, BurstNodes, ledger
//   STATE/gateway/     the site.key that signs everything, run keys, sealed chunks of live runs
//   STATE/logs/        pod logs
//   STATE/node.sock    the door for rented nodes
//   EVIDENCE/          wipe certificates, receipts, the site's public key
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "catalog/catalog.h"
#include "control/conductor.h"
#include "control/rule_clock.h"
#include "daemon/accounts.h"
#include "daemon/agreement.h"
#include "daemon/cluster.h"
#include "daemon/executor.h"
#include "daemon/inspection.h"
#include "daemon/measured.h"
#include "daemon/reaction.h"
#include "daemon/story.h"
#include "daemon/tunnels.h"
#include "daemon/wait_log.h"
#include "gateway/gateway.h"
#include "metrics/instruments.h"
#include "s3/access.h"
#include "server/backend.h"
#include "store/store.h"

namespace spillway::site {
struct ClaimTarget;
}  // namespace spillway::site

namespace spillway::daemon {

struct DaemonOptions {
  std::string state_dir;     // made with mode 0700 if missing
  std::string data_root;     // Dataset directories are relative to it
  std::string results_root;  // results places are relative to it
  std::string evidence_dir;
  std::string catalog_dir;
  std::string cluster_id = "site";  // tag of everything rented
  int time_scale = 1;               // the clock runs so many times faster
  CloudFactory open_cloud;
  ClusterFactory open_cluster;
  std::int64_t run_bytes_per_s = 0;  // that one rented machine may fetch at most; 0: no limit
  // The tunnel to rented machines, opened once the state is ours; empty: there is none.
  std::function<Result<TunnelOptions>()> open_tunnel;
  // Of machines that come through it.
  std::string door_address;  // the hub's address inside the tunnel
  int door_port = 0;
  std::string machine_files;    // directory
  s3::Access* s3 = nullptr;     // for Datasets and results in buckets; nullptr: there are none
  std::string machine_problem;  // what is wrong with it, for people; empty: nothing
  std::vector<std::string> machine_hosts, cluster_dns;
  std::string cluster_domain;
  // Directory that stands for the disk of a simulated machine; empty: no inspection.
  std::function<std::optional<std::string>(const std::string& burst_node)> disk_of;
  bool inspect_rented_disks = false;
  // Keeps the run keys; null: files of the state directory do.
  std::shared_ptr<ports::KeyService> key_service;
  // How long, in real time, another daemon may still hold the state. A replica that has lost its
  // lead while it was stopped holds it until it runs again and ends.
  Duration state_patience{0};
  // Called with every BurstNode whose new state was just stored, before the commands that follow
  // from it are sent. May block; for notifications and for tests that need an exact moment.
  std::function<void(const BurstNode&)> on_stored;
};

// Public functions are thread-safe.
class Daemon final : public server::Backend,
                     private control::Observer,
                     private gateway::DoorBackend {
 public:
  // Opens everything and checks it; starts nothing. kConflict: another daemon uses the state.
  // `clock` must outlive the daemon, and so must what the options' functions use.
  static Result<std::unique_ptr<Daemon>> Open(DaemonOptions options, const SystemClock& clock);
  ~Daemon() override;

  Status Start();
  // Ends pods of the site and all threads. Rented nodes go on; their leases end if nobody returns.
  void Stop();

  const Clock& clock() const { return *clock_; }
  // For a simulated machine with power off whose disk is about to be deleted.
  void InspectDisk(const std::string& burst_node, bool after_wipe, const std::string& disk);

  // server::Backend
  Result<ApplyOutcome> Apply(const std::string& file_name, const std::string& text,
                             const std::string& default_namespace, bool dry_run) override;
  Result<std::vector<json::value>> List(const std::string& kind, const std::string& ns) override;
  Result<json::value> Get(const server::ObjectRef& ref) override;
  Status Delete(const server::ObjectRef& ref, bool dry_run) override;
  std::vector<server::EventView> Events(const std::optional<server::ObjectRef>& about) override;
  Result<LogChunk> Logs(const std::string& ns, const std::string& pod,
                        std::int64_t offset) override;
  std::shared_ptr<const server::RoundView> LastRound() override;
  Result<std::shared_ptr<const server::RoundView>> PlanWith(
      const std::string& file_name, const std::string& text,
      const std::string& default_namespace) override;
  json::value DecisionOf(const std::string& workload) override;
  std::vector<server::TransferView> Transfers() override;
  Result<std::vector<LedgerEntry>> Ledger() override;
  Result<std::int64_t> LedgerRecords() override;
  Result<std::string> LedgerExport() override;
  Result<std::vector<std::string>> Certificates() override;
  Result<std::string> Certificate(const std::string& name) override;
  std::vector<server::Inspection> Inspections() override;
  Result<server::Existing> ExistingAtProviders() override;
  Result<json::value> CatalogEntry(const std::string& id) override;
  std::vector<server::Finding> Doctor() override;
  std::vector<std::string> Simulated() override;
  Time Now() override { return clock_->Now(); }
  int TimeScale() override { return system_clock_.scale(); }
  std::int64_t WaitForChange(std::int64_t revision, Duration timeout) override;

 private:
  Daemon(DaemonOptions options, const SystemClock& clock);
  Status OpenAll();

  // world.cc
  Result<control::World> Observe(std::vector<BurstNode> nodes, std::int64_t last_serial) override;
  void Published(control::World world, const control::RoundResult& result) override;
  Result<server::RoundView> ViewOf(store::Store& store, std::vector<BurstNode> nodes);
  control::Observation ObservationOf(const BurstNode& node,
                                     const std::map<std::string, ports::Inventory>& inventories);
  // Events about what is new, and records of decisions that are asked for later.
  void TellPeople(const server::RoundView& view, const std::vector<BurstNode>& changed);

  // commands.cc
  void Run(const control::Command& command);
  Status Create(const BurstNode& node);
  // `joining`: how long the cluster took to prepare the join.
  Result<std::string> UserDataFor(const BurstNode& node, std::chrono::nanoseconds& joining);
  Result<std::string> FirstBootOf(const BurstNode& node, door::UserData data);
  Status DeletePass(const BurstNode& node, const std::string& instance_id);
  Result<DatasetInfo> DatasetNamed(const std::string& ns, const std::string& key) const;
  Status AddOutput(const std::string& ns, const std::string& claim, const site::ClaimTarget& target,
                   gateway::RunRequest& request) const;
  Status AddInput(const store::StoredObject& pod, const std::string& mounted,
                  const site::ClaimTarget& target, gateway::RunRequest& request) const;
  Status Prepare(const BurstNode& node);
  Result<BurstNode> NodeNamed(const std::string& name) const;
  bool IsSimulated(const std::string& provider) const;

  // door_backend.cc
  std::optional<gateway::DesiredState> DesiredFor(const std::string& node) override;
  void OnPodStatuses(const std::string& node,
                     const std::vector<door::PodStatus>& statuses) override;
  void OnLog(const std::string& node, const std::string& uid, std::int64_t offset,
             std::string_view bytes) override;
  void OnReleased(const std::string& node, const std::vector<std::string>& uids) override;
  void OnChange(const std::string& node) override;
  Status OnRegister(const std::string& node, const std::string& tunnel_key) override;
  void BeforeWipe(const std::string& node) override;

  // daemon.cc
  void RoundLoop();
  void PollLoop();
  Result<std::optional<Time>> Pass();
  void JoinNodes(const std::vector<BurstNode>& nodes);
  void Wake();     // the round loop should look again now
  void Changed();  // for the event stream

  const DaemonOptions options_;
  const SystemClock& system_clock_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<control::RuleClock> clock_;
  catalog::Catalog catalog_;
  std::vector<schema::CatalogProvider> known_providers_;  // of the catalogue
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<Tunnels> tunnels_;  // null: there is no tunnel
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<Inspector> inspector_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<MeasuredJournal> journal_;
  std::unique_ptr<control::Conductor> conductor_;
  Reaction reaction_;
  WaitLog wait_log_;  // of commands that are told to wait their turn

  mutable std::mutex answers_mutex_;
  // Newest answer per node, numbered: only one that a committed round has seen is forgotten.
  std::int64_t answer_serial_ = 0;
  std::map<std::string, std::pair<std::int64_t, control::CreateAnswer>> created_;
  std::map<std::string, std::pair<std::int64_t, control::DeleteAnswer>> deleted_;
  std::int64_t answers_seen_ = 0;  // up to this number the running round has seen them
  // The running round's, used by its thread only.
  std::vector<std::string> problems_;
  std::map<std::string, server::ProviderView> providers_;
  metrics::Stopwatch deciding_;  // begins when everything was observed
  Agreement agreement_;
  std::map<std::string, control::NodeReport> joined_;  // what is heard of each node

  mutable std::mutex view_mutex_;
  std::shared_ptr<const server::RoundView> view_;
  Story story_;  // what people were told

  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool awake_ = true;
  std::mutex change_mutex_;
  std::condition_variable change_;
  std::int64_t change_revision_ = 1;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> started_{false};
  std::thread round_thread_, poll_thread_;
  int lock_fd_ = -1;
};

}  // namespace spillway::daemon
