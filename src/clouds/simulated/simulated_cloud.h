// SimulatedCloud: the adapter of the embedded mode. A CloudModel that outlives the daemon, and real
// processes in place of machines. Machines and GPUs are simulated; everything that runs on them is
// real.
//
// Below its directory:
//   account.json          everything the provider knows; replaced in one step, then synced
//   machines/<id>/disk    the rented disk; deleted when nothing of the machine exists any more
//   machines/<id>/user-data   mode 0600; the machine's program removes it after reading, this
//                             class when the machine loses power
//   machines/<id>/hardware.json  what the offer promised, in the form of the door's register
//   message logs/<name>.<id>.log  output of the machine's program; the newest kept_machines
//   machines
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "catalog/catalog.h"
#include "clouds/simulated/cloud_model.h"
#include "clouds/simulated/machine_process.h"
#include "ports/cloud.h"

namespace spillway::simulated {

struct SimulatedCloudOptions {
  CloudOptions cloud;
  std::filesystem::path directory;  // of this account alone; made if missing

  // The program that stands for a machine, started as
  //   program args... --user-data FILE --disk DIR --hardware FILE
  // Empty: machines have no process.
  std::filesystem::path program;  // absolute
  std::vector<std::string> args;
  std::vector<std::string> env = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"};

  // Called with a machine's name and its disk, with power off, before the disk is deleted.
  std::function<void(const std::string& name, const std::filesystem::path& disk)> keep_disk;

  std::size_t kept_machines = 1000;  // deleted machines that are remembered for the invoice
};

// The account that a CloudProvider object of type "simulated" describes: offers of its catalogue
// entry in its regions, spec.simulated as faults, spec.limits.nodes as quota. kInvalid names the
// field; kNotFound: no such catalogue entry.
Result<CloudOptions> CloudOptionsFrom(const json::value& cloud_provider,
                                      const catalog::Catalog& catalog);

// What a person or a test sees of a machine from the outside.
struct MachineView {
  std::string id, name;
  std::optional<ProcessId> process;  // while it runs
  bool exited = false;               // it ran, and ended by itself or was killed
  std::filesystem::path disk;        // may not exist (any more)
};

class SimulatedCloud final : public ports::Cloud {
 public:
  // Reads what the account remembers, or opens a new one. Processes that still run are taken over
  // again; one that ended meanwhile counts as switched off. `clock` must outlive the cloud.
  // kCorrupt: the state is damaged; kInternal: the directory cannot be used.
  static Result<std::unique_ptr<SimulatedCloud>> Open(SimulatedCloudOptions options,
                                                      const Clock& clock);
  ~SimulatedCloud() override;  // machines go on running

  Result<std::vector<Offer>> Offers() override;
  Status Preflight() override;
  Result<ports::Instance> Create(const ports::InstanceSpec& spec) override;
  Status Resume(const std::string& instance_id) override;
  Result<ports::Inventory> List(const std::string& cluster_id) override;
  Result<ports::DeleteProgress> Delete(const std::string& instance_id, const std::string& name,
                                       const std::string& cluster_id) override;

  // Does what is due: boots machines, cuts the power of others, deletes disks. Call about every
  // 200 ms of real time; every call above does it too. True if anything changed since the last.
  Result<bool> Tick();

  // The machine switches itself off, as one without a program never does.
  void PowerOff(const std::string& instance_id);

  // The provider's own meter, until now by its clock.
  std::vector<InvoiceLine> Invoice() const;
  CloudModel::Leftovers Left() const;
  std::vector<MachineView> Machines() const;

 private:
  struct Running {
    ProcessId process;
    bool exited = false;
  };

  SimulatedCloud(SimulatedCloudOptions options, const Clock& clock, CloudModel model);
  Status Restore(const json::value& state);
  // The provider's clock: begins with ours, never goes back, not even with a restart.
  Time ProviderNow() const;
  Status Store(Time now) const;
  Status AddMachineFiles(std::uint32_t first_number, const ports::InstanceSpec& spec) const;
  Status StoreAndSettle(Time now, std::uint64_t revision);
  Status Settle(Time now);
  Status Boot(Time now, const Machine& machine);
  void CutPower(const Machine& machine, Running& running);
  void DeleteDisk(const Machine& machine) const;
  bool AnythingLeft(const Machine& machine, Time now) const;
  void RemoveOldLogs(Time now);
  std::filesystem::path Directory(const std::string& id) const;
  std::filesystem::path LogFile(const Machine& machine) const;

  const SimulatedCloudOptions options_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards everything below
  CloudModel model_;
  Time base_{};                             // the provider's clock at ...
  Duration steady_base_{};                  // ... this steady time of ours
  std::map<std::string, Running> running_;  // by instance id
  std::optional<Time> next_change_;
  bool changed_ = false;  // something happened that no Tick has told yet
};

}  // namespace spillway::simulated
