// What every case starts from: the cluster of KubernetesTest, an account at a real OpenStack whose
// servers are real machines under emulation (scripts/partners/openstack-machines), and the tunnel.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/kubernetes/fixture.h"

namespace spillway::machines_test {

using kubernetes_test::Eventually;
using kubernetes_test::Outcome;
using namespace std::chrono_literals;

// Under emulation, on a computer that has something else to do.
inline constexpr Duration kBoot = 8min, kRun = 4min;

// A server as its owner sees it, the gone ones too.
struct Server {
  std::string id, name, status;
  std::optional<Time> created, deleted;
};

class MachinesTest : public kubernetes_test::KubernetesTest {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  // Replicas with one state; `more` are arguments besides.
  void StartSpillway(int replicas = 1, const std::vector<std::string>& more = {});
  void CatalogueSaysBoot(std::chrono::seconds usual) const;
  // A failed offer rests for a while: with a second flavor the work goes on at once.
  void ApplyCloud(bool second_flavor = false) const;  // and the rules of KubernetesTest

  // Of the cloud, over its API as admin.
  std::vector<Server> Servers(bool gone_too = false) const;
  std::string ServerOf(const std::string& node) const;  // id; empty: none that lives
  // Everything of the project that could cost: servers, ports, volumes, floating addresses, key
  // pairs, security groups. Compared before and after.
  std::string Belongings() const;
  std::string Console(const std::string& server) const;
  // Runs Python in a pod, as its user could.
  Outcome InPod(const std::string& pod, const std::string& script) const;
  // Says "open" when a TCP connection comes about.
  static std::string Connect(const std::string& host, int port);
  // To the process that is the machine: SIGKILL takes its power, SIGSTOP lets it hang.
  void Signal(const std::string& server, int signal) const;
  // Of the machine of a BurstNode.
  void Cut(const std::string& node, bool cut) const;
  // Windows of the pictures that are on its disk, as a provider could look, and how much was looked
  // at.
  struct Scan {
    std::int64_t windows = 0, bytes = 0;
  };
  Scan ScanDisk(const std::string& node) const;  // while it runs
  Scan ScanKept(const std::string& server) const;

  // Lets the Job's pods go on, whichever run, until it is complete and its results are right.
  void FinishJob();
  // Nothing left at the site nor at the cloud, and each node's cost in the ledger is what its
  // server's own record makes of it.
  void ExpectAllReturned(Duration most);

  const std::string& interface() const { return interface_; }
  std::string machines() const { return dir_ + "/machines"; }
  // A program there changes what machines are given from then on.
  std::string Filter() const { return dir_ + "/user-data-filter"; }

 private:
  Scan ScanFile(const std::string& raw) const;
  void ExpectCosts() const;

  static std::string cloud_;  // directory of openstack-up
  std::string interface_, belongings_;
  pid_t driver_ = -1;
};

}  // namespace spillway::machines_test
