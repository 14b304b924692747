// Wiring of the tunnel to rented machines: from flags to a hub.
#pragma once

#include <string>
#include <vector>

#include "daemon/daemon.h"

namespace spillway {

struct TunnelFlags {
  std::string endpoint;  // HOST:PORT; empty: there is no tunnel
  std::string network = "10.98.0.0/16", pods = "10.99.0.0/16", interface = "spillway0";
  int port = 0;  // 0: the endpoint's
  int door_port = 7443;
  std::vector<std::string> allow;    // NETWORK or NETWORK:PORT
  std::vector<std::string> overlay;  // NETWORK:PORT
  std::string machine_files;
  std::vector<std::string> cluster_dns;
  std::string cluster_domain = "cluster.local";

  bool on() const { return !endpoint.empty(); }
};

// Fills in what the daemon needs for it. `api_server` is the URL that rented machines are told;
// its name is looked up here, because where they are nobody may know it; `version` is its own.
// kInvalid names the flag.
Status UseTunnel(const TunnelFlags& flags, const std::string& api_server,
                 const std::string& version, daemon::DaemonOptions& options);

}  // namespace spillway
