// Wiring of the Kubernetes mode: from flags to a cluster behind an API server.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "daemon/cluster.h"

namespace spillway {

struct KubernetesFlags {
  bool on = false;
  std::string kubeconfig, context;
  std::string node_server;                         // empty: the kubeconfig's server
  std::string lease = "spillway-system/spillway";  // NAMESPACE/NAME of the Lease
};

// The connection, which outlives the daemon.
class KubernetesMode {
 public:
  // kInvalid, kNotFound: the kubeconfig; kDenied, kUnavailable: the API server.
  static Result<std::unique_ptr<KubernetesMode>> Connect(const KubernetesFlags& flags);
  ~KubernetesMode();

  // Takes part in the election until it leads (Ok) or `stop` is requested (kUnavailable). From then
  // on `on_lost` is called once, should it ever lead no more: whoever acted must stop at once.
  Status Lead(const std::stop_token& stop, std::function<void()> on_lost);
  // Gives leadership up, so that another replica goes on at once. After everything has stopped.
  void StepDown();

  // How long it may still act if nothing renews its right; nullopt: it does not lead. Thread-safe.
  std::optional<Duration> Right() const;

  daemon::ClusterFactory Factory() const;
  // URL of the API server as rented machines reach it.
  const std::string& node_server() const;
  const std::string& version() const;  // the API server's, "v1.36.3"

 private:
  struct Parts;
  explicit KubernetesMode(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace spillway
