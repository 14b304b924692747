// Machine: how a bare machine becomes a node of the site's cluster, and how it ends. Beside it runs
// node::Agent, which registers, holds the lease, serves volumes and wipes.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "door/user_data.h"
#include "model/scheduling.h"
#include "tunnel/key.h"

namespace spillway::machine {

class Machine {
 public:
  // `data` with kubernetes, tunnel and machine; `labels`: what the hardware shows. `disk` is a
  // directory on the rented disk. kInvalid.
  static Result<std::unique_ptr<Machine>> Make(door::UserData data, Labels labels,
                                               std::string disk);
  // Waits for what Join began. The key of the sealed volume is destroyed.
  ~Machine();

  // Before anything of the customer's is here: the sealed volume.
  Status Seal();
  // The key the machine shows when it registers.
  const std::string& tunnel_key() const { return key_.public_key; }
  // It has registered: opens the tunnel with that key, then, on a thread of its own, gets what is
  // missing and starts containerd and the kubelet.
  Status Join();
  // Why it does not go on; empty while it does. Thread-safe.
  std::string problem() const;

 private:
  Machine(door::UserData data, Labels labels, std::string disk);
  Status StartNode();
  Result<std::string> Kubelet();
  Status CniPlugins(const std::string& directory);

  door::UserData data_;
  const Labels labels_;
  const std::string disk_;
  tunnel::KeyPair key_ = tunnel::NewKeyPair();
  mutable std::mutex mutex_;
  std::string problem_;  // guarded by mutex_
  std::thread joining_;
};

}  // namespace spillway::machine
