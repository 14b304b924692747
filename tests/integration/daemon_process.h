// A real spillwayd with a state directory of its own, for integration tests.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "net/http_client.h"

namespace spillway::integration {

struct DaemonSetup {
  int time_scale = 60;
  std::string phase_hook;          // program; empty: none
  std::vector<std::string> extra;  // more flags
};

// The process dies with the object; files stay until ~Daemon. Not thread-safe.
class Daemon {
 public:
  explicit Daemon(DaemonSetup setup);
  ~Daemon();  // SIGKILL to the daemon and to every machine it left

  // From the next start on: runs this line of shell when a BurstNode's `phase` is stored for the
  // first time. Then dir()/fired is there. $PPID is the daemon.
  void DoOnceAt(const std::string& phase, const std::string& line);

  // Starts it and waits until the API answers. Fails the test otherwise.
  void Start();
  void Kill();      // SIGKILL, and waits for the end
  int Terminate();  // SIGTERM, and waits; exit status
  // Waits until it has ended by itself or by a hook (bounded); true if it did.
  bool WaitForEnd(Duration most);
  bool Alive();

  // The API.
  Result<json::value> Get(const std::string& path);
  Result<json::value> Apply(const std::string& yaml);
  std::vector<json::value> Items(const std::string& resource);
  // Polls the API until `done` says so; false after `most` (real time).
  bool WaitFor(const std::function<bool()>& done, Duration most);

  const std::string& dir() const { return dir_; }
  std::string data() const { return dir_ + "/data"; }
  std::string results() const { return dir_ + "/results"; }
  std::string state() const { return dir_ + "/state"; }
  std::string evidence() const { return dir_ + "/evidence"; }
  std::string Log() const;  // the daemon's log, for failure messages
  pid_t pid() const { return pid_; }

  void WriteFile(const std::string& path, const std::string& text);
  std::string ReadFile(const std::string& path) const;
  // Processes of rented machines of this daemon.
  std::vector<pid_t> Machines() const;

 private:
  net::HttpClient Client() const;

  DaemonSetup setup_;
  std::string dir_;
  pid_t pid_ = -1;
};

}  // namespace spillway::integration
