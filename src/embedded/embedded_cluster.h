// The embedded mode's cluster: API objects in the Store, the Job controller, the scheduler and the
// kubelet of src/site, all in this process.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/rng.h"
#include "daemon/cluster.h"
#include "home/home_buckets.h"
#include "s3/access.h"
#include "site/kubelet.h"

namespace spillway::embedded {

struct EmbeddedOptions {
  std::string data_root;         // Dataset directories are relative to it
  std::string results_root;      // results places are relative to it
  std::string pod_init_program;  // empty: the running program
  s3::Access* s3 = nullptr;      // for pods of the site with data in buckets; nullptr: none
};

class EmbeddedCluster final : public daemon::Cluster {
 public:
  // Probes the sandbox and ends what an earlier process left running.
  static Result<std::unique_ptr<daemon::Cluster>> Open(daemon::ClusterContext context,
                                                       EmbeddedOptions options);

  Status Start() override { return Ok(); }
  void Stop() override { kubelet_.reset(); }  // ends the site's pods
  std::optional<Time> Pass() override;
  bool Ready() const override { return true; }
  bool MayAct() const override { return true; }

  Status AdmitPods(const std::string& node, const std::vector<PodRef>& pods) override;
  Status EvictPods(const std::string& node, const std::vector<PodRef>& pods,
                   const std::string& reason) override;
  Status RemoveNode(const std::string& node) override;
  Result<std::optional<door::KubernetesJoin>> PrepareJoin(const BurstNode&) override {
    return std::nullopt;
  }
  Result<std::optional<control::NodeReport>> Join(const BurstNode& node,
                                                  const control::NodeReport& report) override;
  std::vector<control::PodReport> PodReports(const BurstNode& node) const override;
  bool EndAsked(const std::string& node) const override;

  std::vector<door::PodOrder> OrdersFor(const std::string& node) const override;
  void TakeStatuses(const std::string& node, const std::vector<door::PodStatus>& statuses) override;
  void TakeReleased(const std::string&, const std::vector<std::string>&) override {}
  void TakeLog(const std::string& node, const std::string& uid, std::int64_t offset,
               std::string_view bytes) override;

  void AddEvent(const store::ObjectKey& about, bool warning, std::string_view reason,
                const std::string& message) override;
  Status UpdateStatus(const store::ObjectKey& key,
                      const std::function<bool(json::value& body)>& change) override;
  void Project(const std::vector<BurstNode>&) override {}  // the Store holds them already

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
  EmbeddedCluster(daemon::ClusterContext context, EmbeddedOptions options);
  Status OpenKubelet();

  const daemon::ClusterContext context_;
  store::Store& store_;
  const EmbeddedOptions options_;
  const runtime::SandboxSupport sandbox_;
  Rng rng_;
  site::PodLogs logs_;
  std::unique_ptr<home::HomeBuckets> buckets_;  // of the kubelet
  std::unique_ptr<site::Kubelet> kubelet_;
};

}  // namespace spillway::embedded
