#include "kubernetes_mode.h"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "base/log.h"
#include "kube/client.h"
#include "kube/election.h"
#include "kubernetes/kube_api.h"
#include "kubernetes/kubernetes_cluster.h"

namespace spillway {

struct KubernetesMode::Parts {
  kube::BootClock clock;
  kube::RealWaiter waiter;
  std::shared_ptr<kube::Client> client;
  std::string node_server, server_ca, version;
  std::unique_ptr<kube::Election> election;
  std::mutex mutex;
  std::condition_variable_any changed;
  bool leads = false, lost = false;
  std::jthread thread;
};

KubernetesMode::KubernetesMode(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
KubernetesMode::~KubernetesMode() = default;

Result<std::unique_ptr<KubernetesMode>> KubernetesMode::Connect(const KubernetesFlags& flags) {
  SPW_ASSIGN(const kube::Access access,
             kube::FindAccess(flags.kubeconfig, flags.context, kube::Surroundings::OfProcess()));
  // A pod has the cluster's own service address, which means nothing to a machine elsewhere.
  if (flags.node_server.empty() && access.in_cluster)
    return Fail(
        Code::kInvalid,
        "--node-api-server is empty: in a pod it must be the URL of the API server as rented "
        "machines reach it (nodeApiServer in the ConfigMap spillway-system/spillway)");
  auto parts = std::make_unique<Parts>();
  parts->node_server = flags.node_server.empty() ? access.server : flags.node_server;
  parts->server_ca = access.ca_pem;
  const kube::Timing timing{&parts->clock, &parts->waiter, std::random_device{}()};
  parts->client = std::make_shared<kube::Client>(access, timing);
  const auto version = parts->client->Raw("/version");
  if (!version) return Fail(version.error().In(access.origin));
  const std::size_t slash = flags.lease.find('/');
  if (slash == std::string::npos)
    return Fail(Code::kInvalid, fmt::format("--lease {}: it must be NAMESPACE/NAME", flags.lease));
  char host[256] = "spillwayd";
  gethostname(host, sizeof host - 1);
  kube::ElectionOptions election;
  election.lease = {flags.lease.substr(0, slash), flags.lease.substr(slash + 1)};
  election.identity = fmt::format("{}_{:x}", host, timing.seed);
  parts->election = std::make_unique<kube::Election>(*parts->client, std::move(election));
  const auto parsed = ParseJson(*version);
  if (parsed) parts->version = StringOr(*parsed, "gitVersion", "");
  log::Info("connected",
            {{"server", access.server}, {"as", access.origin}, {"version", parts->version}});
  return std::unique_ptr<KubernetesMode>(new KubernetesMode(std::move(parts)));
}

Status KubernetesMode::Lead(const std::stop_token& stop, std::function<void()> on_lost) {
  Parts& p = *parts_;
  p.thread = std::jthread([&p, on_lost = std::move(on_lost)](const std::stop_token& end) {
    p.election->Run(end, [&](bool leading) {
      const auto trouble = p.election->Trouble();
      log::Info(leading ? "this replica leads" : "this replica leads no more",
                {{"why", trouble ? trouble->message : ""}});
      {
        const std::lock_guard lock(p.mutex);
        p.lost = p.lost || (p.leads && !leading);
        p.leads = p.leads || leading;
      }
      p.changed.notify_all();
      if (!leading && !end.stop_requested()) on_lost();
    });
  });
  std::unique_lock lock(p.mutex);
  if (!p.changed.wait(lock, stop, [&] { return p.leads; }))
    return Fail(Code::kUnavailable, "stopped before it could lead");
  return Ok();
}

void KubernetesMode::StepDown() {
  parts_->thread = {};
}

std::optional<Duration> KubernetesMode::Right() const {
  const Duration left = parts_->election->Token().Left();
  return left > 0ms ? std::optional(left) : std::nullopt;
}

const std::string& KubernetesMode::node_server() const {
  return parts_->node_server;
}

const std::string& KubernetesMode::version() const {
  return parts_->version;
}

daemon::ClusterFactory KubernetesMode::Factory() const {
  return [parts = parts_.get()](daemon::ClusterContext context) {
    return kubernetes::KubernetesCluster::Open(
        std::move(context),
        {kubernetes::MakeApi(parts->client), kubernetes::MakeWatches(parts->client),
         [parts] { return parts->election->IsLeader(); }, parts->node_server, parts->server_ca});
  };
}

}  // namespace spillway
