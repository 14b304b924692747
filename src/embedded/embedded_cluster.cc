#include "embedded/embedded_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/log.h"
#include "daemon/objects_api.h"
#include "embedded/pod_orders.h"
#include "gateway/source_s3.h"
#include "site/cluster.h"
#include "site/job_controller.h"
#include "site/objects.h"
#include "site/scheduler.h"

namespace spillway::embedded {
namespace {

// A step that fails is tried again; it must never keep the round from giving back what is paid for.
void Tolerate(std::string_view step, const Status& status) {
  if (!status)
    log::Error("a step of the site failed; it is tried again",
               {{"step", step}, {"error", status.error().message}});
}

Status EnsureDefaultNamespace(store::Store& store) {
  if (store.Get({"Namespace", "", "default"}) != nullptr) return Ok();
  const auto made = store.Apply({{{"Namespace", "", "default"},
                                  json::object{{"apiVersion", "v1"}, {"kind", "Namespace"}},
                                  0}});
  return made ? Ok() : Status(tl::unexpected(made.error()));
}

}  // namespace

EmbeddedCluster::EmbeddedCluster(daemon::ClusterContext context, EmbeddedOptions options)
    : context_(std::move(context)),
      store_(*context_.store),
      options_(std::move(options)),
      sandbox_(runtime::Probe()),
      rng_(std::random_device{}()),
      logs_(context_.state_dir + "/logs") {
  runtime::RemoveLeftovers(sandbox_);
  if (!sandbox_.sandbox())
    log::Warn("pods run as plain processes: this machine does not allow sandboxes");
}

Status EmbeddedCluster::OpenKubelet() {
  if (options_.s3 != nullptr) {
    SPW_ASSIGN(buckets_, home::HomeBuckets::Open({.directory = context_.state_dir + "/buckets",
                                                  .open_bucket =
                                                      [access = options_.s3](const S3Place& place) {
                                                        return gateway::OpenBucket(place, *access);
                                                      },
                                                  .changed = context_.wake}));
  }
  kubelet_ = std::make_unique<site::Kubelet>(
      store_, logs_, *context_.clock,
      site::KubeletOptions{options_.data_root, options_.results_root, sandbox_,
                           options_.pod_init_program, buckets_.get()});
  return kubelet_->Recover();
}

Result<std::unique_ptr<daemon::Cluster>> EmbeddedCluster::Open(daemon::ClusterContext context,
                                                               EmbeddedOptions options) {
  SPW_TRY(EnsureDefaultNamespace(*context.store));
  std::unique_ptr<EmbeddedCluster> cluster(
      new EmbeddedCluster(std::move(context), std::move(options)));
  SPW_TRY(cluster->OpenKubelet());
  return cluster;
}

std::optional<Time> EmbeddedCluster::Pass() {
  std::optional<Time> look_again;
  const Time now = context_.clock->Now();
  const Result<std::optional<Time>> jobs = site::ReconcileJobs(store_, rng_, now);
  if (jobs)
    look_again = *jobs;
  else
    Tolerate("jobs", tl::unexpected(jobs.error()));
  Tolerate("scheduler", site::Schedule(store_, now));
  Tolerate("kubelet", kubelet_->Sync());
  return look_again;
}

Status EmbeddedCluster::AdmitPods(const std::string& node, const std::vector<PodRef>& pods) {
  return site::AdmitPods(store_, node, pods);
}

Status EmbeddedCluster::EvictPods(const std::string& node, const std::vector<PodRef>& pods,
                                  const std::string& reason) {
  return site::EvictPods(store_, node, pods, reason, context_.clock->Now());
}

Status EmbeddedCluster::RemoveNode(const std::string& node) {
  return site::RemoveNode(store_, node, context_.clock->Now());
}

// The rules look at the hardware first: only a node that they have accepted gets its Node object.
Result<std::optional<control::NodeReport>> EmbeddedCluster::Join(
    const BurstNode& node, const control::NodeReport& report) {
  if (node.phase >= Phase::kJoined)
    SPW_TRY(site::RegisterNode(store_, node, report, context_.clock->Now()));
  return std::optional(report);
}

// A live BurstNode cannot be deleted here (objects_api.cc): its workload is.
bool EmbeddedCluster::EndAsked(const std::string&) const {
  return false;
}

std::vector<control::PodReport> EmbeddedCluster::PodReports(const BurstNode& node) const {
  return site::PodReports(store_, node);
}

std::vector<door::PodOrder> EmbeddedCluster::OrdersFor(const std::string& node) const {
  return embedded::OrdersFor(store_, node, context_.time_scale, context_.clock->Now());
}

void EmbeddedCluster::TakeStatuses(const std::string& node,
                                   const std::vector<door::PodStatus>& statuses) {
  embedded::TakeStatuses(store_, node, statuses, context_.time_scale, context_.clock->Now());
}

// A node may write the logs of pods bound to it and no others.
void EmbeddedCluster::TakeLog(const std::string& node, const std::string& uid, std::int64_t offset,
                              std::string_view bytes) {
  for (const store::ObjectPtr& pod : store_.List("Pod"))
    if (pod->uid == uid && site::NodeOf(pod->body) == node)
      return logs_.AppendAt(uid, offset, bytes);
  log::Warn("a node sent the log of a pod that is not its own", {{"node", node}});
}

void EmbeddedCluster::AddEvent(const store::ObjectKey& about, bool warning, std::string_view reason,
                               const std::string& message) {
  store_.AddEvent(about, warning, std::string(reason), message);
}

Status EmbeddedCluster::UpdateStatus(const store::ObjectKey& key,
                                     const std::function<bool(json::value& body)>& change) {
  return store_.Update(key, change);
}

Result<server::Backend::ApplyOutcome> EmbeddedCluster::Apply(
    const std::vector<schema::CatalogProvider>& catalog, const std::string& file_name,
    const std::string& text, const std::string& default_namespace, bool dry_run) {
  return daemon::ApplyManifests(store_, catalog, file_name, text, default_namespace, dry_run,
                                context_.clock->Now());
}

Status EmbeddedCluster::Delete(const server::ObjectRef& ref, bool dry_run) {
  return daemon::DeleteObject(store_, ref, dry_run, context_.clock->Now());
}

Result<server::Backend::LogChunk> EmbeddedCluster::Logs(const std::string& ns,
                                                        const std::string& pod,
                                                        std::int64_t offset) {
  const store::ObjectPtr object = store_.Get({"Pod", ns, pod});
  if (object == nullptr)
    return Fail(Code::kNotFound, fmt::format("Pod \"{}\" not found in namespace {}", pod, ns));
  // Read the end first: a line written in between must not be missed.
  const bool finished = site::Finished(object->body);
  return server::Backend::LogChunk{logs_.Read(object->uid, offset), finished};
}

void EmbeddedCluster::AddFindings(std::vector<server::Finding>& findings) const {
  for (const runtime::Finding& f : sandbox_.findings)
    findings.push_back({f.name, f.ok, f.sentence});
}

std::vector<std::string> EmbeddedCluster::Simulated() const {
  return {"GPUs: the site's and the rented machines' GPUs are numbers, nothing computes on them."};
}

}  // namespace spillway::embedded
