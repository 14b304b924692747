#include "clouds/simulated/simulated_cloud.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "clouds/simulated/durable_file.h"
#include "door/protocol.h"

namespace spillway::simulated {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kStateVersion = 1;

Status MakePrivateDirectory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) fs::permissions(path, fs::perms::owner_all, error);
  if (!error) return Ok();
  return Fail(Code::kInternal,
              "cannot make the directory " + path.string() + ": " + error.message());
}

// The GPUs and the rest that the machine is to believe it has. The register message's own codec
// writes it, so that there is one form of resources and labels.
std::string HardwareOf(const std::vector<Offer>& offers, const ports::InstanceSpec& spec) {
  door::RegisterRequest message;
  for (const Offer& offer : offers) {
    if (offer.region != spec.region || offer.instance_type != spec.instance_type ||
        (offer.capacity == CapacityType::kSpot) != spec.spot) {
      continue;
    }
    message.hardware = offer.allocatable;
    message.labels = offer.labels;
  }
  const json::value encoded = door::Encode(message);
  return CanonicalJson(json::object{{"resources", *Find(encoded, "hardware")},
                                    {"labels", *Find(encoded, "labels")}});
}

}  // namespace

SimulatedCloud::SimulatedCloud(SimulatedCloudOptions options, const Clock& clock, CloudModel model)
    : options_(std::move(options)),
      clock_(clock),
      model_(std::move(model)),
      base_(clock.Now()),
      steady_base_(clock.SteadyNow()) {}

SimulatedCloud::~SimulatedCloud() = default;

Result<std::unique_ptr<SimulatedCloud>> SimulatedCloud::Open(SimulatedCloudOptions options,
                                                             const Clock& clock) {
  SPW_TRY(MakePrivateDirectory(options.directory));
  SPW_TRY(MakePrivateDirectory(options.directory / "machines"));
  SPW_TRY(MakePrivateDirectory(options.directory / "logs"));
  const fs::path file = options.directory / "account.json";
  CloudModel model(options.cloud);
  std::unique_ptr<SimulatedCloud> cloud(
      new SimulatedCloud(std::move(options), clock, std::move(model)));
  const Result<std::string> text = ReadWhole(file);
  if (text) {
    const Result<json::value> state = ParseJson(*text);
    if (!state) return Fail(Code::kCorrupt, file.string() + ": " + state.error().message);
    if (const Status restored = cloud->Restore(*state); !restored) {
      return Fail(restored.error().In(file.string()));
    }
  } else if (text.error().code != Code::kNotFound) {
    return Fail(text.error());
  }
  SPW_TRY(cloud->Tick());
  return cloud;
}

Status SimulatedCloud::Restore(const json::value& state) {
  const json::value* account = Find(state, "cloud");
  const json::array* processes = FindArray(state, "processes");
  if (IntOr(state, "version", 0) != kStateVersion || account == nullptr || processes == nullptr) {
    return Fail(Code::kCorrupt, "is not the state of a simulated cloud");
  }
  SPW_ASSIGN(model_, CloudModel::Decode(options_.cloud, *account));
  base_ = std::max(base_, Time{Duration{IntOr(state, "providerTime", 0)}});
  for (const json::value& value : *processes) {
    Running& running = running_[std::string(StringOr(value, "instance", ""))];
    running.process.pid = static_cast<pid_t>(IntOr(value, "pid", 0));
    running.process.start_ticks = IntOr(value, "startTicks", 0);
    running.exited = BoolOr(value, "exited", false);
  }
  return Ok();
}

Time SimulatedCloud::ProviderNow() const {
  return base_ + (clock_.SteadyNow() - steady_base_);
}

Status SimulatedCloud::Store(Time now) const {
  json::array processes;
  for (const auto& [id, running] : running_) {
    processes.push_back(json::object{{"instance", id},
                                     {"pid", running.process.pid},
                                     {"startTicks", running.process.start_ticks},
                                     {"exited", running.exited}});
  }
  const json::value state = json::object{{"version", kStateVersion},
                                         {"providerTime", now.time_since_epoch().count()},
                                         {"cloud", model_.Encode()},
                                         {"processes", std::move(processes)}};
  return WriteDurably(options_.directory / "account.json", CanonicalJson(state));
}

fs::path SimulatedCloud::Directory(const std::string& id) const {
  return options_.directory / "machines" / id;
}

fs::path SimulatedCloud::LogFile(const Machine& machine) const {
  return options_.directory / "logs" / (machine.name + "." + machine.id + ".log");
}

Result<std::vector<Offer>> SimulatedCloud::Offers() {
  const std::lock_guard lock(mutex_);
  return model_.Offers(ProviderNow());
}

Status SimulatedCloud::Preflight() {
  const std::lock_guard lock(mutex_);
  return model_.Preflight(ProviderNow());
}

// What the new machines find when they boot. A create may have made none, or two.
Status SimulatedCloud::AddMachineFiles(std::uint32_t first_number,
                                       const ports::InstanceSpec& spec) const {
  const std::string hardware = HardwareOf(model_.goods(), spec);
  for (const Machine& machine : model_.machines()) {
    if (machine.number < first_number) continue;
    SPW_TRY(MakePrivateDirectory(Directory(machine.id)));
    SPW_TRY(MakePrivateDirectory(Directory(machine.id) / "disk"));
    SPW_TRY(WriteDurably(Directory(machine.id) / "user-data", spec.user_data));
    SPW_TRY(WriteDurably(Directory(machine.id) / "hardware.json", hardware));
  }
  return Ok();
}

Result<ports::Instance> SimulatedCloud::Create(const ports::InstanceSpec& spec) {
  const std::lock_guard lock(mutex_);
  const Time now = ProviderNow();
  const std::uint32_t first = model_.next_number();
  const std::uint64_t before = model_.revision();
  Result<ports::Instance> answer = model_.Create(now, spec);
  if (model_.next_number() == first) return answer;
  Status done = AddMachineFiles(first, spec);
  if (done) done = StoreAndSettle(now, before);
  // It exists for the provider, whatever became of our own record.
  if (!done) return Fail(Code::kMaybeApplied, done.error().message);
  return answer;
}

Status SimulatedCloud::Resume(const std::string& instance_id) {
  const std::lock_guard lock(mutex_);
  const Time now = ProviderNow();
  const std::uint64_t before = model_.revision();
  Status answer = model_.Resume(now, instance_id);
  if (const Status stored = StoreAndSettle(now, before); !stored) {
    return Fail(Code::kMaybeApplied, stored.error().message);
  }
  return answer;
}

Result<ports::Inventory> SimulatedCloud::List(const std::string& cluster_id) {
  const std::lock_guard lock(mutex_);
  const Time sent = clock_.Now();
  const Time now = ProviderNow();
  // A machine that cannot be started here, or a full disk: nothing the caller asked for.
  if (const Status settled = Settle(now); !settled) {
    return Fail(Code::kUnavailable, settled.error().message);
  }
  Result<ports::Inventory> inventory = model_.List(now, cluster_id);
  if (inventory) inventory->read_at = sent;
  return inventory;
}

Result<ports::DeleteProgress> SimulatedCloud::Delete(const std::string& instance_id,
                                                     const std::string& name,
                                                     const std::string& cluster_id) {
  const std::lock_guard lock(mutex_);
  const Time now = ProviderNow();
  const std::uint64_t before = model_.revision();
  Result<ports::DeleteProgress> answer = model_.Delete(now, instance_id, name, cluster_id);
  if (const Status stored = StoreAndSettle(now, before); !stored) {
    return Fail(Code::kMaybeApplied, stored.error().message);
  }
  return answer;
}

Result<bool> SimulatedCloud::Tick() {
  const std::lock_guard lock(mutex_);
  const Time now = ProviderNow();
  SPW_TRY(Settle(now));
  return std::exchange(changed_, false);
}

// Stores what a call changed since the model was at `revision`, and does what is due.
Status SimulatedCloud::StoreAndSettle(Time now, std::uint64_t revision) {
  if (model_.revision() != revision) {
    SPW_TRY(Store(now));
    changed_ = true;
  }
  return Settle(now);
}

void SimulatedCloud::PowerOff(const std::string& instance_id) {
  const std::lock_guard lock(mutex_);
  const Time now = ProviderNow();
  const std::uint64_t before = model_.revision();
  model_.PowerOff(now, instance_id);
  if (const Status stored = StoreAndSettle(now, before); !stored)
    log::Warn("a machine that is off is not stored", {{"why", stored.error().message}});
}

bool SimulatedCloud::AnythingLeft(const Machine& machine, Time now) const {
  if (now < machine.gone) return true;
  const auto& things = model_.side_things();
  return std::any_of(things.begin(), things.end(), [&](const SideThing& thing) {
    return thing.machine == machine.number && now < thing.gone;
  });
}

// Makes processes and disks follow the model.
Status SimulatedCloud::Settle(Time now) {
  changed_ = changed_ || (next_change_ && *next_change_ <= now);
  bool store = false;
  for (const Machine& machine : model_.machines()) {
    const auto it = running_.find(machine.id);
    if (it == running_.end()) {
      if (!options_.program.empty() && machine.PoweredAt(now)) {
        SPW_TRY(Boot(now, machine));
        changed_ = true;
      }
    } else if (!it->second.exited && !machine.PoweredAt(now)) {
      CutPower(machine, it->second);
      store = true;
    } else if (!it->second.exited && !IsAlive(it->second.process)) {
      CutPower(machine, it->second);  // what it left of its process group, and its user data
      model_.PowerOff(now, machine.id);
      store = true;
    }
    if (!AnythingLeft(machine, now)) DeleteDisk(machine);
  }
  if (model_.machines().size() > options_.kept_machines) {
    RemoveOldLogs(now);
    store = true;
  }
  changed_ = changed_ || store;
  if (store) SPW_TRY(Store(now));
  next_change_ = model_.NextChange(now);
  return Ok();
}

Status SimulatedCloud::Boot(Time now, const Machine& machine) {
  const fs::path directory = Directory(machine.id);
  ProcessPlan plan;
  plan.argv.push_back(options_.program.string());
  plan.argv.insert(plan.argv.end(), options_.args.begin(), options_.args.end());
  plan.argv.insert(plan.argv.end(), {"--user-data", (directory / "user-data").string(), "--disk",
                                     (directory / "disk").string(), "--hardware",
                                     (directory / "hardware.json").string()});
  plan.env = options_.env;
  plan.log = LogFile(machine);
  const Result<ProcessId> started = StartProcess(plan, [&](ProcessId process) {
    running_[machine.id] = {process, false};
    return Store(now);
  });
  if (!started) {
    running_.erase(machine.id);
    return Fail(started.error().In("machine " + machine.name));
  }
  log::Info("simulated machine booted", {{"machine", machine.name},
                                         {"instance", machine.id},
                                         {"pid", static_cast<std::int64_t>(started->pid)}});
  return Ok();
}

void SimulatedCloud::CutPower(const Machine& machine, Running& running) {
  KillGroup(running.process);
  running.exited = true;
  std::error_code ignored;  // usually its program has removed it long ago
  fs::remove(Directory(machine.id) / "user-data", ignored);
  log::Info("simulated machine without power",
            {{"machine", machine.name}, {"instance", machine.id}});
}

void SimulatedCloud::DeleteDisk(const Machine& machine) const {
  std::error_code error;
  const fs::path directory = Directory(machine.id);
  if (!fs::exists(directory, error)) return;
  if (options_.keep_disk) options_.keep_disk(machine.name, directory / "disk");
  fs::remove_all(directory, error);
  if (error) {
    log::Warn("cannot delete a rented disk; it is tried again",
              {{"directory", directory.string()}, {"error", error.message()}});
  }
}

void SimulatedCloud::RemoveOldLogs(Time now) {
  std::map<std::string, fs::path> logs;
  for (const Machine& machine : model_.machines()) logs[machine.id] = LogFile(machine);
  model_.Forget(now, options_.kept_machines);
  for (const auto& [id, log] : logs) {
    if (model_.FindMachine(id) != nullptr) continue;
    running_.erase(id);
    std::error_code ignored;
    fs::remove(log, ignored);
  }
}

std::vector<InvoiceLine> SimulatedCloud::Invoice() const {
  const std::lock_guard lock(mutex_);
  return model_.Invoice(ProviderNow());
}

CloudModel::Leftovers SimulatedCloud::Left() const {
  const std::lock_guard lock(mutex_);
  return model_.Left(ProviderNow());
}

std::vector<MachineView> SimulatedCloud::Machines() const {
  const std::lock_guard lock(mutex_);
  std::vector<MachineView> views;
  for (const Machine& machine : model_.machines()) {
    MachineView& view = views.emplace_back();
    view.id = machine.id;
    view.name = machine.name;
    view.disk = Directory(machine.id) / "disk";
    if (const auto it = running_.find(machine.id); it != running_.end()) {
      view.exited = it->second.exited;
      if (!view.exited) view.process = it->second.process;
    }
  }
  return views;
}

}  // namespace spillway::simulated
