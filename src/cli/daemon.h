// The daemon as commands see it: a client for the socket that was asked for, and its changes.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "cli/commands.h"
#include "client/client.h"

namespace spillway::cli {

inline client::Client Connect(const Arguments& a) {
  return client::Client(a.daemon);
}

// What the daemon says of itself. Ages of objects are counted by its clock, which may run faster
// than ours.
struct DaemonFacts {
  Time now{};
  json::value version;  // the whole answer
};
inline Result<DaemonFacts> Facts(client::Client& daemon) {
  SPW_ASSIGN(json::value version, daemon.Version());
  SPW_ASSIGN(const Time now, ParseTime(StringOr(version, "now", "")));
  return DaemonFacts{now, std::move(version)};
}

// Follows the daemon's event stream on a thread of its own, and connects again when it breaks.
class Watcher {
 public:
  explicit Watcher(net::Endpoint daemon);
  ~Watcher();

  // Returns when something changed since the last call, or after `patience` (real time).
  void Wait(Duration patience);

 private:
  void Follow();

  net::Endpoint daemon_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool news_ = false;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace spillway::cli
