// What a rented machine gets at birth. JSON, at most 16 KiB with what goes around it; everything
// secret in it is worthless once the machine has joined, which every part says of itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/scheduling.h"

namespace spillway::door {

// What providers take (docs of Nova: 64 KiB of base64; the least of all clouds counts).
inline constexpr std::size_t kMaxUserDataBytes = 16 * 1024;

// How the kubelet of a rented machine joins the site's cluster (TLS bootstrap).
struct KubernetesJoin {
  std::string server;           // https://host:port of the API server
  std::string ca;               // PEM of the cluster's certificate authority
  std::string bootstrap_token;  // serves once, for this node's name
};

// The machine's way to the site. `private_key` is for the boot address, from which the door can be
// reached and nothing else; at registration the machine shows a key of its own for the node
// address, and with its first heartbeat from there the boot key ends.
struct TunnelGrant {
  std::string endpoint;     // host:port, UDP
  std::string hub_key;      // WireGuard public key of the site
  std::string hub_address;  // inside
  std::string private_key;
  std::string boot_address, node_address;
  std::vector<std::string> networks;  // besides the hub, what is routed through it
};

// A program that the machine gets from the site, unless it has just this one already.
struct MachineFile {
  std::string name;    // "spillway-node", "kubelet", "cni/bridge"
  std::string sha256;  // hex; also its name at the door
  std::int64_t bytes = 0;
};

// How a bare machine becomes a node; absent where the machine's image or the provider does that.
struct MachineSetup {
  std::vector<MachineFile> files;
  Labels labels;            // for the kubelet to register with
  std::string provider_id;  // spec.providerID
  std::string pod_network;  // its pods', a /24; empty: a DaemonSet of the cluster cares for them
  std::vector<std::string> hosts;  // lines of /etc/hosts: there may be no DNS where it is
  std::vector<std::string> cluster_dns;
  std::string cluster_domain;
};

struct UserData {
  std::string name;
  std::string door;   // "unix:/path/node.sock", "https://10.98.0.1:7443"
  std::string token;  // registers once
  std::string site_public_key;
  std::string door_key;  // Base64 of the SHA-256 of the door's public key: who the door must be
  std::optional<KubernetesJoin> kubernetes;  // absent in the embedded mode
  std::optional<TunnelGrant> tunnel;
  std::optional<MachineSetup> machine;
};
std::string EncodeUserData(const UserData& data);
// Strict, as the messages are.
Result<UserData> DecodeUserData(std::string_view text);

}  // namespace spillway::door
