// Wiring of the Kubernetes mode: from flags to a cluster behind an API server.
#pragma once

#include <memory>
#include <string>

#include "daemon/cluster.h"

namespace spillway {

struct KubernetesFlags {
  bool on = false;
  std::string kubeconfig, context;
  std::string node_server;  // empty: the kubeconfig's server
};

// The connection, which outlives the daemon.
class KubernetesMode {
 public:
  // kInvalid, kNotFound: the kubeconfig; kDenied, kUnavailable: the API server.
  static Result<std::unique_ptr<KubernetesMode>> Connect(const KubernetesFlags& flags);
  ~KubernetesMode();

  daemon::ClusterFactory Factory() const;

 private:
  struct Parts;
  explicit KubernetesMode(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace spillway
