// Hub: the site's end of the tunnel, one WireGuard interface.
//
// WireGuard of the kernel where it has one, else the program wireguard-go; both are spoken to with
// wg(8), ip(8) and iptables(8), which need CAP_NET_ADMIN. Interface and peers stay when the process
// ends, so that machines go on while it is started again.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "tunnel/firewall.h"

namespace spillway::tunnel {

struct HubOptions {
  std::string interface = "spillway0";  // at most 15 characters
  int port = 51820;                     // UDP
  std::string key_file;                 // private key; made with mode 0600 if missing
  AddressPlan addresses;
  int door_port = 0;
  std::vector<Target> targets;
  std::vector<Overlay> overlays;
};

struct Peer {
  std::string public_key;
  std::vector<Network> networks;  // what it may send from and is sent
};

// The peers of an interface. Every call returns when the interface has it.
class PeerTable {
 public:
  virtual ~PeerTable() = default;
  virtual const std::string& public_key() const = 0;  // the site's
  // Adds the peer, or gives it other networks. A network belongs to the peer it was given last.
  virtual Status Set(const Peer& peer) = 0;
  // Ok also when there is none.
  virtual Status Remove(const std::string& public_key) = 0;
  // Removes every peer but these.
  virtual Status KeepOnly(const std::set<std::string>& public_keys) = 0;
};

// Thread-safe.
class Hub final : public PeerTable {
 public:
  // Makes or takes over the interface, and sets address, key, port, routes and rules. kInvalid: the
  // options, kDenied: not allowed, kUnavailable: a tool is missing.
  static Result<std::unique_ptr<Hub>> Open(HubOptions options);

  const std::string& public_key() const override { return public_key_; }
  const HubOptions& options() const { return options_; }

  Status Set(const Peer& peer) override;
  Status Remove(const std::string& public_key) override;
  Status KeepOnly(const std::set<std::string>& public_keys) override;
  Result<std::set<std::string>> Peers() const;

 private:
  Hub(HubOptions options, std::string public_key)
      : options_(std::move(options)), public_key_(std::move(public_key)) {}

  const HubOptions options_;
  const std::string public_key_;
  mutable std::mutex mutex_;  // one change at a time
};

// Takes interface and rules away; for tests and for the end of an installation.
Status RemoveHub(const HubOptions& options);

}  // namespace spillway::tunnel
