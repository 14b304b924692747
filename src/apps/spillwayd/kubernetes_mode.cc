#include "kubernetes_mode.h"

#include <fmt/format.h>

#include <random>

#include "base/log.h"
#include "kube/client.h"
#include "kubernetes/kube_api.h"
#include "kubernetes/kubernetes_cluster.h"

namespace spillway {

struct KubernetesMode::Parts {
  kube::BootClock clock;
  kube::RealWaiter waiter;
  std::shared_ptr<kube::Client> client;
  std::string node_server, server_ca;
};

KubernetesMode::KubernetesMode(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
KubernetesMode::~KubernetesMode() = default;

Result<std::unique_ptr<KubernetesMode>> KubernetesMode::Connect(const KubernetesFlags& flags) {
  SPW_ASSIGN(const kube::Access access,
             kube::FindAccess(flags.kubeconfig, flags.context, kube::Surroundings::OfProcess()));
  auto parts = std::make_unique<Parts>();
  parts->node_server = flags.node_server.empty() ? access.server : flags.node_server;
  parts->server_ca = access.ca_pem;
  const kube::Timing timing{&parts->clock, &parts->waiter, std::random_device{}()};
  parts->client = std::make_shared<kube::Client>(access, timing);
  const auto version = parts->client->Raw("/version");
  if (!version) return Fail(version.error().In(access.origin));
  const auto parsed = ParseJson(*version);
  log::Info("connected", {{"server", access.server},
                          {"as", access.origin},
                          {"version", parsed ? StringOr(*parsed, "gitVersion", "") : ""}});
  return std::unique_ptr<KubernetesMode>(new KubernetesMode(std::move(parts)));
}

daemon::ClusterFactory KubernetesMode::Factory() const {
  return [parts = parts_.get()](daemon::ClusterContext context) {
    return kubernetes::KubernetesCluster::Open(
        std::move(context),
        {kubernetes::MakeApi(parts->client), kubernetes::MakeWatches(parts->client),
         [] { return true; }, parts->node_server, parts->server_ca});
  };
}

}  // namespace spillway
