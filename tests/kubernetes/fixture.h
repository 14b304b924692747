// What every case starts from: a namespace of its own with a policy, a Dataset and claims, replicas
// of spillwayd with a state directory of their own, and at the end nothing left.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "tests/kubernetes/test_cluster.h"

namespace spillway::kubernetes_test {

using namespace std::chrono_literals;

// Deadlines for booting are five minutes of the daemon's clock, and a real kubelet must meet them
// on a busy computer.
inline constexpr int kTimeScale = 2;

// One spillwayd --kubernetes. Dies with the object.
class Replica {
 public:
  Replica(std::vector<std::string> argv, std::string socket, std::string log)
      : argv_(std::move(argv)), socket_(std::move(socket)), log_(std::move(log)) {}
  ~Replica() { End(); }

  void Start();
  void Signal(int signal) const;
  void End();  // SIGKILL, and waits
  bool Alive();
  int status() const { return status_; }  // of waitpid, of the last process that ended
  // The API is served by the leader only.
  bool Leads() const;
  Result<json::value> Get(const std::string& path) const;
  std::string Metrics() const;  // as Prometheus gets them; empty: none came
  pid_t pid() const { return pid_; }
  const std::string& log() const { return log_; }

 private:
  const std::vector<std::string> argv_;
  const std::string socket_, log_;
  pid_t pid_ = -1;
  int status_ = 0;
};

// How spillwayd is started.
struct Daemons {
  int time_scale = kTimeScale;
  int replicas = 1;  // with one shared state
  std::string phase_hook;
  std::string kubeconfig;            // empty: the account's own
  std::vector<std::string> through;  // a program, with arguments, that starts it
  std::vector<std::string> extra;    // arguments besides
  std::string catalog;               // empty: the quick one
};

struct Job {
  std::string name = "hash";
  int gpus = 2;        // the site has one
  bool gated = false;  // runs until OpenGate
};

class KubernetesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { TestCluster::Start(); }
  void SetUp() override;
  void TearDown() override;

  // Returns when one of them leads.
  void StartDaemons(const Daemons& daemons = {});
  void StartDaemons(int time_scale) { StartDaemons(Daemons{.time_scale = time_scale}); }
  // Starts replicas again that have ended, as a Deployment would.
  void Revive();
  // Like Eventually, with replicas revived meanwhile.
  bool EventuallyRevived(const std::function<bool()>& done, Duration most);
  Replica* Leader();

  void Apply(const std::string& yaml) const;
  // Namespace, provider, policy, Dataset, claims. `provider`: spec of another than the simulated
  // one, as one line of YAML.
  // `change` may make others of them.
  void ApplyRules(const std::string& provider = "",
                  const std::function<void(std::string&)>& change = nullptr) const;
  void ApplyJob(const Job& job) const;
  void OpenGate(const std::string& pod) const;   // through kubectl exec
  void OpenGates(const std::string& job) const;  // of its pods that run now; none is fine

  std::vector<json::value> Pods(const std::string& job) const;  // of the Job, not being deleted
  std::vector<json::value> BurstNodes() const;
  std::string PhaseOf(const std::string& node) const;  // empty: no such BurstNode
  bool JobComplete(const std::string& name) const;
  bool Running(const json::value& pod) const;
  // Waits until the Job's pod runs on a rented node, and gives it.
  json::value AwaitRunning(const std::string& job, Duration most);
  bool AllGone() const;  // there are BurstNodes, and all of them are Gone
  std::vector<json::value> EventsOf(const std::string& kind, const std::string& name) const;

  void ExpectComplete(const std::string& job, Duration most);
  void ExpectResults(const std::string& job) const;
  // Every BurstNode is Gone, its Node and token too, the provider's own records show each machine
  // once and nothing left, and the ledger verifies. The number of machines that were rented comes
  // back.
  int ExpectNothingLeft(Duration most = 90s);
  // Of it, what is true with any provider.
  void ExpectNodesGone(Duration most);
  std::string Story() const;  // for failure messages

  TestCluster& k() const { return *TestCluster::Get(); }
  std::string ResultOf(const std::string& job) const {
    return k().results() + "/" + ns_ + "/" + job;
  }

  std::string ns_, dir_, pictures_;
  std::vector<std::unique_ptr<Replica>> replicas_;

 private:
  std::vector<std::string> CommandOf(const Daemons& daemons, const std::string& socket) const;
};

// `form` with each name replaced by its value.
std::string Filled(std::string_view form, const std::map<std::string, std::string>& values);
// Text of a member along `path`; empty if it is not there.
std::string Text(const json::value& object, std::initializer_list<std::string_view> path);
std::string NameOf(const json::value& object);
std::string UidOf(const json::value& object);

}  // namespace spillway::kubernetes_test
