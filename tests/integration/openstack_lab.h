// What tests of CloudProviders of type openstack share: the manifests, and what stands for the
// hypervisors. Neither the fake cloud nor the real one of scripts/partners/openstack-up boots
// anything, so a spillway-node is started for every server that is ACTIVE, with the user data that
// Nova has.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "clouds/openstack/session.h"
#include "process/child.h"
#include "tests/integration/daemon_process.h"

namespace spillway::integration {

// A flavor that a CloudProvider offers: "gpu.a100.1" with "a100" for "2.15 EUR".
struct LabFlavor {
  std::string name, gpu, price;
};
extern const LabFlavor kA100, kH100;

// The burst manifests (burst_manifests.h) with a CloudProvider lab of type openstack. A gang is two
// pods of one GPU.
std::string LabManifests(const std::string& image, const std::vector<LabFlavor>& flavors = {kA100},
                         bool gang = false);

// The message of the CloudProvider's condition Ready; empty if it has none.
std::string WhyNotReady(Daemon& daemon);
// That condition is "True".
bool IsReady(Daemon& daemon);

struct HypervisorRules {
  std::set<std::string> hanging;     // servers of these flavors get no machine
  std::function<bool()> boots = {};  // no machine starts before it says so; empty: always
};

// Runs a spillway-node for each ACTIVE server of one cluster, and ends it when its server is gone.
// While the API is away, what runs goes on.
class Hypervisors {
 public:
  // `account` sees all projects. Files are kept in `directory`; `clock` must outlive the object.
  Hypervisors(openstack::CloudConfig account, const std::string& cluster,
              std::filesystem::path directory, const Clock& clock, HypervisorRules rules = {});

  // Machines that were started.
  int started() const { return started_; }
  // Servers that exist.
  Result<std::size_t> Servers();
  // Starts the machine of a server that got none: its agent, with the user data of the server.
  Result<process::Child> Boot(const std::string& server) const;

 private:
  Result<json::array> All();
  void Look();
  void Take(const json::value& server);

  const std::string cluster_;
  const std::filesystem::path directory_;
  const HypervisorRules rules_;
  openstack::Session session_;
  std::set<std::string> taken_;                     // servers
  std::map<std::string, process::Child> machines_;  // by server
  std::atomic<int> started_ = 0;
  std::jthread thread_;
};

}  // namespace spillway::integration
