// Where spillwayd is: behind a socket of this machine, or in a pod of a cluster.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/paths.h"
#include "net/http_client.h"

namespace spillway::cli {

// What was said on the command line; empty: nothing.
struct PlaceFlags {
  std::string socket;
  std::string kubeconfig, context, system_namespace;  // of the cluster, and Spillway's own in it
  bool in_cluster = false;                            // run as kubectl's plug-in

  bool NamesCluster() const {
    return in_cluster || !kubeconfig.empty() || !context.empty() || !system_namespace.empty();
  }
};

struct Place {
  net::Endpoint daemon;
  std::vector<std::string> kubectl;  // with its flags for the cluster; empty without one
  // The namespace of the kubeconfig's context in a cluster; otherwise "default".
  std::string default_namespace = "default";
};

// What is said decides; otherwise $SPILLWAY_SOCKET, then the default socket if there is one, then
// the cluster of $KUBECONFIG or ~/.kube/config, and the default socket if there is nothing at all.
// Asks nobody: a connection is made when it is needed. `stop` ends waiting for one.
Place FindPlace(const PlaceFlags& flags, const Surroundings& around,
                const std::atomic<bool>* stop = nullptr);

}  // namespace spillway::cli
