// Machine: how a bare machine becomes a node of the site's cluster, and how it ends. Beside it runs
// node::Agent, which registers, holds the lease, serves volumes and wipes.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "door/user_data.h"
#include "machine/texts.h"
#include "model/scheduling.h"
#include "tunnel/key.h"

namespace spillway::machine {

class Machine {
 public:
  // `data` with kubernetes, tunnel and machine; `labels`: what the hardware shows. `disk` is a
  // directory on the rented disk. kInvalid.
  static Result<std::unique_ptr<Machine>> Make(door::UserData data, Labels labels,
                                               std::string disk);
  // Waits for what was begun.
  ~Machine();

  // Before anything of the customer's is here: the sealed volume. containerd starts on it, on a
  // thread of its own, and takes the images that the machine's image has.
  Status Seal();
  // The key the machine shows when it registers.
  const std::string& tunnel_key() const { return key_.public_key; }
  // It has registered: opens the tunnel with that key, then, on a thread of its own, gets what is
  // missing and starts containerd and the kubelet.
  Status Join();
  // The key of the sealed volume is destroyed: who uses it waits for ever, threads of this object
  // too, so the process must end without them.
  void End();
  // The kubelet was started: from here on nothing of this object is needed but End().
  bool joined() const { return joined_; }
  // Why it does not go on; empty while it does. Thread-safe.
  std::string problem() const;

 private:
  Machine(door::UserData data, Labels labels, std::string disk);
  Status StartRuntime();
  Status StartNode();
  Result<std::string> Kubelet();
  Status CniPlugins(const std::string& directory);

  door::UserData data_;
  const Labels labels_;
  const std::string disk_;
  tunnel::KeyPair key_ = tunnel::NewKeyPair();
  std::atomic<bool> joined_ = false;
  mutable std::mutex mutex_;
  std::string problem_;         // guarded by mutex_
  ContainerdFacts containerd_;  // once runtime_ is over
  std::future<Status> runtime_;
  std::thread joining_;
};

}  // namespace spillway::machine
