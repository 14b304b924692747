#include "daemon/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/log.h"
#include "daemon/object_status.h"
#include "site/objects.h"

namespace spillway::daemon {
namespace {

constexpr int kExecutorThreads = 32;   // they wait for the answers of providers and API servers
constexpr Duration kTick{100ms};       // real time: simulated clouds
constexpr Duration kOffersAge{10min};  // of the clock
constexpr Duration kPollBusy{5s};      // of the clock, while something is rented there
constexpr Duration kPollIdle{60s};     // of the clock: the sweep looks at every account
constexpr Duration kPollReal{200ms};   // real time, at least, between two polls
constexpr Duration kRest{20ms};        // real time between two rounds, at most
constexpr Duration kLookAtLeast{1s};   // real time: the site loop never sleeps longer

Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(path, error);
  if (error)
    return Fail(Code::kInvalid,
                fmt::format("{}: {}; choose a directory you may write to", path, error.message()));
  // What was there before keeps its rights: it may be shared.
  if (made && chmod(path.c_str(), 0700) != 0)
    return Fail(Code::kInvalid, fmt::format("{}: its rights cannot be set", path));
  return Ok();
}

// flock(2) has no limit in time of its own.
bool LockWithin(int fd, Duration patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kPollReal);
  }
  return true;
}

std::vector<schema::CatalogProvider> ProvidersOf(const catalog::Catalog& catalog) {
  std::vector<schema::CatalogProvider> known;
  for (const catalog::Entry& entry : catalog.entries()) {
    schema::CatalogProvider provider{entry.facts.id, {}};
    for (const catalog::Region& region : entry.regions) provider.regions.push_back(region.id);
    known.push_back(std::move(provider));
  }
  return known;
}

bool Contains(const std::vector<store::ObjectPtr>& objects, const std::string& name) {
  return std::ranges::any_of(objects, [&](const auto& o) { return o->key.name == name; });
}

// The CloudProviders, and those that somebody deleted while a node of theirs lives: without its
// account the machine could never be given back. They are kept as objects that no API shows.
std::vector<store::ObjectPtr> ProvidersInUse(store::Store& store,
                                             const std::vector<std::string>& in_use) {
  std::vector<store::ObjectPtr> providers = store.List("CloudProvider");
  for (const std::string& name : in_use) {
    const store::ObjectKey kept_key{"KeptProvider", "", name};
    const store::ObjectPtr there = store.Get({"CloudProvider", "", name});
    const store::ObjectPtr kept = store.Get(kept_key);
    const json::value* body = kept == nullptr ? nullptr : Find(kept->body, "object");
    if (there == nullptr) {
      if (body == nullptr || Contains(providers, name)) continue;
      auto object = std::make_shared<store::StoredObject>(*kept);
      object->key = {"CloudProvider", "", name};
      object->body = *body;
      providers.push_back(std::move(object));
    } else if (body == nullptr || site::SpecOf(*body) != site::SpecOf(there->body)) {
      const auto written =
          store.Apply({{kept_key, json::object{{"object", there->body}}, std::nullopt}});
      if (!written)
        log::Warn("an account in use was not kept",
                  {{"provider", name}, {"error", written.error().message}});
    }
  }
  return providers;
}

// Tells one state of a list of objects from another.
std::string VersionsOf(const std::vector<store::ObjectPtr>& objects) {
  std::string text;
  for (const store::ObjectPtr& object : objects)
    text += fmt::format("{} {};", object->uid, object->resource_version);
  return text;
}

}  // namespace

Daemon::Daemon(DaemonOptions options, const SystemClock& clock)
    : options_(std::move(options)), system_clock_(clock) {}

Daemon::~Daemon() {
  Stop();
  if (lock_fd_ >= 0) close(lock_fd_);
}

Result<std::unique_ptr<Daemon>> Daemon::Open(DaemonOptions options, const SystemClock& clock) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options), clock));
  SPW_TRY(daemon->OpenAll());
  return daemon;
}

Status Daemon::OpenAll() {
  for (const std::string& directory : {options_.state_dir, options_.state_dir + "/logs",
                                       options_.evidence_dir, options_.results_root})
    SPW_TRY(MakePrivateDirectory(directory));
  lock_fd_ = open((options_.state_dir + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0 || !LockWithin(lock_fd_, options_.state_patience))
    return Fail(Code::kConflict,
                fmt::format("{} is in use by another spillwayd; stop it, or choose another --state",
                            options_.state_dir));

  SPW_ASSIGN(catalog_, catalog::Catalog::Load(options_.catalog_dir));
  known_providers_ = ProvidersOf(catalog_);
  gateway::GatewayOptions gateway_options;
  gateway_options.state_dir = options_.state_dir + "/gateway";
  gateway_options.data_root = options_.data_root;
  gateway_options.results_root = options_.results_root;
  gateway_options.evidence_dir = options_.evidence_dir;
  gateway_options.socket_path = options_.state_dir + "/node.sock";
  gateway_options.clock_scale = system_clock_.scale();
  gateway_options.address = options_.door_address;
  gateway_options.port = options_.door_port;
  gateway_options.run_bytes_per_s = options_.run_bytes_per_s;
  gateway_options.machine_files = options_.machine_files;
  gateway_options.key_service = options_.key_service;
  gateway_options.s3 = options_.s3;
  SPW_ASSIGN(gateway_, gateway::Gateway::Open(std::move(gateway_options), *this));

  SPW_ASSIGN(store_,
             store::Store::Open(
                 {.path = options_.state_dir + "/state.db",
                  .clock = &system_clock_,
                  .sign = [this](std::string_view message) { return gateway_->Sign(message); },
                  .public_key = gateway_->PublicKey()}));
  SPW_ASSIGN(const std::vector<BurstNode> nodes, store_->Nodes(Time{}));
  clock_ = std::make_unique<control::RuleClock>(system_clock_, control::NewestMoment(nodes));
  store_->UseClock(*clock_);
  SPW_TRY(gateway_->UseClock(*clock_));
  SPW_ASSIGN(cluster_, options_.open_cluster({store_.get(), clock_.get(), system_clock_.scale(),
                                              [this](Time t) { return system_clock_.FromReal(t); },
                                              options_.state_dir, [this] { Wake(); }}));
  if (options_.open_tunnel) {
    std::vector<std::string> live;
    for (const BurstNode& node : nodes)
      if (node.Live()) live.push_back(node.name);
    SPW_ASSIGN(TunnelOptions tunnel, options_.open_tunnel());
    SPW_ASSIGN(tunnels_, Tunnels::Open(std::move(tunnel), *store_, live));
  }
  accounts_ = std::make_unique<Accounts>(options_.cluster_id, *clock_, options_.open_cloud);
  if (options_.inspect_rented_disks)
    inspector_ =
        std::make_unique<Inspector>(options_.data_root, options_.state_dir + "/inspections.jsonl");
  return Ok();
}

Status Daemon::Start() {
  store_->OnChange([this](const std::vector<store::ObjectPtr>& changed, bool removed) {
    reaction_.Changed(changed, removed, Reaction::Moment::clock::now());
    if (std::ranges::any_of(
            changed, [&](const store::ObjectPtr& object) { return cluster_->Urgent(*object); }))
      Wake();
    Changed();
  });
  executor_ = std::make_unique<Executor>(kExecutorThreads,
                                         [this](const control::Command& command) { Run(command); });
  journal_ = std::make_unique<MeasuredJournal>(*store_);
  conductor_.reset(new control::Conductor(*clock_, *journal_, *this, *executor_));
  SPW_TRY(cluster_->Start());
  SPW_TRY(gateway_->Start());
  started_ = true;
  round_thread_ = std::thread([this] { RoundLoop(); });
  poll_thread_ = std::thread([this] { PollLoop(); });
  return Ok();
}

void Daemon::Stop() {
  if (stopping_.exchange(true)) return;
  Wake();
  Changed();
  if (round_thread_.joinable()) round_thread_.join();
  if (poll_thread_.joinable()) poll_thread_.join();
  if (executor_) executor_->Stop();
  if (gateway_) gateway_->Stop();
  if (cluster_) cluster_->Stop();
}

void Daemon::Wake() {
  {
    const std::lock_guard lock(wake_mutex_);
    awake_ = true;
  }
  wake_.notify_all();
}

void Daemon::Changed() {
  {
    const std::lock_guard lock(change_mutex_);
    ++change_revision_;
  }
  change_.notify_all();
}

// What the machines say, as far as the cluster itself sees them.
void Daemon::JoinNodes(const std::vector<BurstNode>& nodes) {
  joined_.clear();
  for (const BurstNode& node : nodes) {
    if (!node.Live()) continue;
    const std::optional<control::NodeReport> report = gateway_->NodeReport(node.name);
    if (!report) continue;
    const bool over = node.phase > Phase::kReturning || node.Failed();
    if (over) {
      joined_.emplace(node.name, *report);
      continue;
    }
    Result<std::optional<control::NodeReport>> joined = cluster_->Join(node, *report);
    if (!joined)
      log::Error("a node could not be joined; it is tried again",
                 {{"node", node.name}, {"error", joined.error().message}});
    else if (*joined)
      joined_.emplace(node.name, std::move(**joined));
  }
}

Result<std::optional<Time>> Daemon::Pass() {
  SPW_ASSIGN(const std::vector<BurstNode> nodes, store_->Nodes(clock_->Now()));
  JoinNodes(nodes);
  std::optional<Time> look_again = cluster_->Pass();
  SPW_ASSIGN(const std::optional<Time> round, conductor_->Round());
  if (round && (!look_again || *round < *look_again)) look_again = round;
  return look_again;
}

void Daemon::RoundLoop() {
  metrics::OfProcess().rounds.Add({"failed"}, 0);  // an alert sees the step to 1
  while (!stopping_) {
    {
      const std::lock_guard lock(wake_mutex_);
      awake_ = false;
    }
    Duration sleep = kLookAtLeast;
    const metrics::Stopwatch watch;
    const Result<std::optional<Time>> pass = Pass();
    const std::chrono::nanoseconds took = watch.Read();
    metrics::OfProcess().round_seconds.Observe(took);
    metrics::OfProcess().rounds.Add({pass ? "ok" : "failed"});
    if (pass) metrics::OfProcess().round_age.Mark();
    if (!pass) {
      log::Error("a round failed; it is tried again", {{"error", pass.error().message}});
    } else if (*pass) {
      const Duration real = system_clock_.Real(**pass - clock_->Now()) + 1ms;
      sleep = std::clamp(real, Duration{1}, kLookAtLeast);
    }
    std::unique_lock lock(wake_mutex_);
    // Changes come in flocks, so it rests for as long as it worked. What the round itself began is
    // gone on with at once.
    const auto rest = std::min<std::chrono::nanoseconds>(sleep > kRest ? took : 0ns, kRest);
    wake_.wait_for(lock, rest, [&] { return stopping_.load(); });
    wake_.wait_for(lock, sleep, [&] { return awake_ || stopping_; });
  }
}

void Daemon::PollLoop() {
  Duration last_busy{-1h}, last_all{-1h};
  std::string datasets_seen;
  while (!stopping_) {
    const bool ticked = accounts_->Tick();
    std::vector<std::string> in_use;
    if (const auto nodes = store_->Nodes(clock_->Now()))
      for (const BurstNode& node : *nodes)
        if (node.Live()) in_use.push_back(node.offer.provider);
    accounts_->Sync(ProvidersInUse(*store_, in_use), in_use);
    const Duration now = system_clock_.SteadyNow();
    const bool all = now - last_all >= std::max(kPollIdle, kPollReal * system_clock_.scale()) ||
                     !accounts_->AllPolled();
    const bool busy = now - last_busy >= std::max(kPollBusy, kPollReal * system_clock_.scale());
    bool changed = ticked;
    if (all || ((busy || ticked) && !in_use.empty())) {
      changed = accounts_->Poll(all ? std::vector<std::string>() : in_use, kOffersAge) || changed;
      last_busy = now;
      if (all) last_all = now;
      // Absence counts listings, so a listing without a change is news as well.
      changed = changed || !in_use.empty();
    }
    if (changed) Wake();
    // Buckets answer when they have been looked at.
    if (std::string seen =
            fmt::format("{} {}", gateway_->FarLooks(), VersionsOf(store_->List("Dataset")));
        all || seen != datasets_seen) {
      datasets_seen = std::move(seen);
      WriteDatasetStatuses(*cluster_, *store_, *gateway_, clock_->Now());
    }
    std::unique_lock lock(change_mutex_);
    change_.wait_for(lock, kTick, [&] { return stopping_.load(); });
  }
}

void Daemon::InspectDisk(const std::string& burst_node, bool after_wipe, const std::string& disk) {
  if (inspector_) inspector_->Inspect(burst_node, after_wipe, disk);
}

}  // namespace spillway::daemon
