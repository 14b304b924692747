// Tunnels: which rented machine has which addresses in the tunnel, and which keys.
//
// A machine has a peer before it is asked for and none once it is given back. What was granted is
// kept in the Store (kind Tunnel, shown nowhere), so that a restart and another hub have the same.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "door/user_data.h"
#include "store/store.h"
#include "tunnel/hub.h"

namespace spillway::daemon {

struct TunnelOptions {
  std::string endpoint;  // host:port of the hub as rented machines reach it, UDP
  tunnel::AddressPlan addresses;
  std::vector<std::string> networks;  // besides the hub, what machines send through it
  std::unique_ptr<tunnel::PeerTable> hub;
};

// Thread-safe.
class Tunnels {
 public:
  // Gives the hub the peers of all machines in `live`, and no other; what is remembered of others
  // is forgotten.
  static Result<std::unique_ptr<Tunnels>> Open(TunnelOptions options, store::Store& store,
                                               const std::vector<std::string>& live);

  // A new boot key, and the machine's addresses; the peer is there when it returns. An earlier boot
  // key of the machine ends. kQuota: all addresses are taken.
  Result<door::TunnelGrant> Grant(const std::string& node);
  // The /24 of the machine's pods; empty: somebody else cares. kNotFound: nothing was granted.
  Result<std::string> PodNetwork(const std::string& node) const;

  // The machine has shown its own key: its node address belongs to it. kInvalid, kNotFound.
  Status Enroll(const std::string& node, const std::string& public_key);
  // The machine was heard through its node address: the boot key ends. Cheap when it has.
  void Settle(const std::string& node);
  // For a machine that is given back. Ok also when there is nothing.
  Status Remove(const std::string& node);

  int peers() const;

 private:
  struct Record {
    int index = 0;
    std::string boot_key, node_key;  // public; empty: none (any more)
  };
  Tunnels(TunnelOptions options, store::Store& store)
      : options_(std::move(options)), store_(store) {}
  Status Load(const std::vector<std::string>& live);
  Status Write(const std::string& node, const Record& record);
  Status SetBoot(const Record& record);
  Status SetNode(const Record& record);
  Result<int> FreeIndex() const;

  const TunnelOptions options_;
  store::Store& store_;
  mutable std::mutex mutex_;  // guards the rest; held over calls to the hub, which are quick
  std::map<std::string, Record> records_;
};

}  // namespace spillway::daemon
