// A real Kubernetes for one test program: control plane and one site node of scripts/partners, with
// Spillway's definitions and account installed as a user does.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "kube/client.h"

namespace spillway::kubernetes_test {

inline const kube::Resource kPods{"", "v1", "pods", true};
inline const kube::Resource kNodes{"", "v1", "nodes", false};
inline const kube::Resource kSecrets{"", "v1", "secrets", true};
inline const kube::Resource kEvents{"", "v1", "events", true};
inline const kube::Resource kJobs{"batch", "v1", "jobs", true};
inline const kube::Resource kCsiNodes{"storage.k8s.io", "v1", "csinodes", false};
inline const kube::Resource kRequests{"certificates.k8s.io", "v1", "certificatesigningrequests",
                                      false};
inline const kube::Resource kBurstNodes{"spillway.dev", "v1alpha1", "burstnodes", false};

// The site's only node, with one pretend GPU.
inline constexpr std::string_view kSiteNode = "home";

struct Outcome {
  int exit = -1;  // -1: it did not end by itself in time, or by a signal
  std::string out, err;
};
// Runs a program found in PATH with `input` as its standard input; kills it after `most`.
Outcome RunProgram(const std::vector<std::string>& argv, const std::string& input = "",
                   Duration most = std::chrono::seconds(60));
// Starts a program that writes to `log`; it is killed when this program ends in whatever way.
pid_t Spawn(const std::vector<std::string>& argv, const std::string& log);

// Polls until `done` says so; false after `most`. The condition lives in other processes.
bool Eventually(const std::function<bool()>& done, Duration most);

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& text);
// Path of one of the programs under test.
std::string Program(const std::string& name);

// Not thread-safe.
class TestCluster {
 public:
  // Starts it, once per program; fails the test when that fails. It goes with the program, even if
  // that is killed. Without `site` it has no node.
  static void Start(bool site = true);
  // nullptr: it does not run, and Absence() says why.
  static TestCluster* Get();
  static std::string Absence();

  Outcome Kubectl(std::vector<std::string> args, const std::string& input = "",
                  Duration most = std::chrono::seconds(60)) const;
  std::optional<json::value> Find(const kube::Resource& resource, const std::string& ns,
                                  const std::string& name) const;
  std::vector<json::value> List(const kube::Resource& resource, const std::string& ns = "") const;

  // The volume driver of the site's node, with these arguments besides; returns when its kubelet
  // knows it. It writes to site_volumes_log().
  void StartSiteVolumes(const std::vector<std::string>& more = {}) const;
  void KillSiteVolumes() const;  // kill -9, and waits
  std::string site_volumes_log() const { return work_ + "/site-volumes.log"; }

  // kill -9 of a program of the control plane; StartAgain starts what died.
  void KillControlPlane(const std::vector<std::string>& programs) const;
  void StartAgain() const;
  // One more API server at this port, which knows nothing of what was before it. Ready when this
  // returns; its number comes back.
  pid_t StartSecondServer(int port) const;
  // etcd forgets everything but the present.
  void Compact() const;
  void PowerOff(const std::string& node) const;
  // Real nodes besides the site's.
  std::vector<std::string> RentedNodes() const;

  kube::Client& client() const { return *client_; }
  const std::string& dir() const { return dir_; }    // the cluster's
  const std::string& work() const { return work_; }  // goes with the program
  const std::string& server() const { return client_->access().server; }
  std::string ca_file() const { return dir_ + "/pki/ca.crt"; }
  std::string audit_log() const { return work_ + "/audit.log"; }
  std::string data() const { return work_ + "/data"; }
  std::string results() const { return work_ + "/results"; }
  std::string daemon_kubeconfig() const { return work_ + "/daemon.kubeconfig"; }
  // The same for another way to the API server.
  std::string KubeconfigText(const std::string& server) const;
  // The catalogue, with machines that boot and go within seconds.
  std::string quick_catalog() const { return work_ + "/catalog"; }
  // What simulated machines run. While hold_file() exists a machine whose user data has its text in
  // it never joins: it leaves a copy of its user data in held_file() and waits.
  std::string machine_program() const { return work_ + "/machine"; }
  std::string hold_file() const { return work_ + "/hold"; }
  std::string held_file() const { return work_ + "/held"; }

 private:
  TestCluster() = default;
  void Up();
  void SwitchAuditOn() const;
  void AddSite();
  void Install() const;
  void MakeQuickCatalog() const;
  std::string Partner(const std::string& name) const;

  std::string work_, dir_;
  int power_ = -1;  // the cluster ends when nobody holds this any more
  pid_t power_pid_ = -1;
  kube::BootClock clock_;
  kube::RealWaiter waiter_;
  std::unique_ptr<kube::Client> client_;

  friend class ClusterEnd;
};

}  // namespace spillway::kubernetes_test
