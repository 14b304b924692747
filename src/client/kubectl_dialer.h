// The way to spillwayd in its pod: through `kubectl exec`, as docker goes through ssh. Who may do
// this is the cluster's own decision (RBAC on pods/exec), and no port is open for it.
#pragma once

#include <atomic>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "process/child.h"

namespace spillway::client {

// What `spillway dial-stdio` says first, once it is connected to spillwayd. Whoever hears it knows
// that what follows is the connection, and until then that nothing was sent.
inline constexpr std::string_view kDialGreeting = "spillway dial-stdio 1\n";

struct KubectlOptions {
  std::string kubeconfig, context;  // flags of kubectl; empty: as kubectl finds them
  std::string ns = "spillway-system";
  std::string lease = "spillway";
  std::string container = "spillwayd";
  std::string kubectl = "kubectl";  // looked up in PATH
  Duration patience = 30s;          // until the pod answers; and for kubectl's other answers
  const std::atomic<bool>* stop = nullptr;  // set by Ctrl-C: looked at every 100 ms
};

// Finds the leader by its Lease and opens each connection with a kubectl of its own. A leader that
// is gone is looked up again, once a connection. Errors say what to do; their codes: kDenied for
// missing rights, kNotFound if nothing is installed, kUnavailable otherwise. Thread-safe; ends its
// children when it goes, after the connections are closed.
class KubectlDialer : public net::Dialer {
 public:
  explicit KubectlDialer(KubectlOptions options) : options_(std::move(options)) {}
  ~KubectlDialer() override;

  Result<Fd> Dial() override;
  std::string Name() const override;
  std::string Complaint() override;

  // A command line for the same cluster.
  std::vector<std::string> Kubectl(const std::vector<std::string>& words) const;

 private:
  struct Connection {
    process::Child child;
    Fd said;  // its standard error: a file in memory, so that it never has to be emptied
  };

  std::string Where() const;
  Result<std::string> FindLeader() const;
  Result<Fd> Open(const std::string& pod);
  // Until the greeting has come.
  Status Greet(int fd, Connection& connection, const std::string& pod) const;
  Error Explain(const std::string& pod, const std::string& said) const;
  Error Forbidden(const std::string& said) const;

  const KubectlOptions options_;
  mutable std::mutex mutex_;
  std::string leader_;  // the pod's name, once it is known
  std::list<Connection> connections_;
};

}  // namespace spillway::client
