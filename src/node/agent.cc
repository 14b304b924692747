#include "node/agent.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/log.h"

namespace spillway::node {
namespace {

// Events between two heartbeats are told early, but not more often than this part of the interval.
constexpr int kEarlyBeats = 5;
// The longest a failing thing waits for its next look when the site gave no interval.
constexpr Duration kShortestInterval = 10ms;

// What is kept for the next process.
constexpr std::string_view kKeptSelf = "self", kKeptLease = "lease",
                           kKeptCertificate = "certificate", kKeptPlaces = "places",
                           kKeptInputs = "inputs";
// Heartbeats that may have been sent since the lease was kept.
constexpr std::int64_t kSequenceGap = 1000;

}  // namespace

Agent::Agent(AgentOptions options) : options_(std::move(options)) {}

Agent::~Agent() {
  DestroyKeysAndPods();
}

void Agent::Wake() {
  const std::lock_guard lock(wake_mutex_);
  wake_ = true;
  woken_.notify_all();
}

void Agent::RequestShutdown() {
  key_.Destroy();
  const std::lock_guard lock(wake_mutex_);
  shutdown_ = true;
  woken_.notify_all();
}

End Agent::Run() {
  auto site = data::VerifyKey::Parse(options_.user_data.site_public_key);
  auto access = DoorAccess::Make(options_.user_data, options_.request_timeout);
  auto secret = data::Secret::Generate();
  if (!site || !access || !secret) {
    const Error& error = !site ? site.error() : !access ? access.error() : secret.error();
    log::Error("the node cannot begin", {{"why", error.message}});
    return End::kFailed;
  }
  site_ = *site;
  access_ = std::move(*access);
  node_key_ = data::NodeKey::FromSecret(*secret);
  node_secret_ = std::move(*secret);
  if (const std::optional<End> end = Begin()) return *end;
  logs_ = std::make_unique<LogSender>(*access_, options_.log_bytes, options_.retry_first,
                                      options_.retry_most, [this] { Wake(); });
  return Live();
}

std::optional<End> Agent::Begin() {
  if (options_.kept != nullptr) left_ = std::move(options_.kept->left());
  const auto self = left_.find(kKeptSelf);
  if (self != left_.end()) {
    const auto find = [this](std::string_view name) {
      const auto item = left_.find(name);
      return item == left_.end() ? nullptr : &item->second;
    };
    const Status restored =
        Restore(std::move(self->second), find(kKeptLease), find(kKeptCertificate));
    if (!restored) {
      log::Error("the node cannot go on", {{"why", restored.error().message}});
      DestroyKeysAndPods();
      return DestroyLeftCache().value_or(End::kFailed);
    }
    log::Warn("going on as the agent that was killed");
  }
  if (const Status serving = ServeVolumes(); !serving) {
    log::Error("volumes cannot be served", {{"why", serving.error().message}});
    return End::kFailed;
  }
  if (self != left_.end()) return std::nullopt;
  if (const std::optional<End> end = Register()) {
    DestroyKeysAndPods();
    const std::optional<End> wiped = DestroyLeftCache();
    return wiped.value_or(*end);
  }
  // An accepted token on a used disk: whatever it holds is nobody's any more.
  return DestroyLeftCache();
}

// From the start, so that the kubelet knows the plug-in before the first pod comes.
Status Agent::ServeVolumes() {
  if (options_.kubelet_directory.empty()) return Ok();
  csi::PluginOptions plugin;
  plugin.node_id = options_.user_data.name;
  plugin.kubelet_directory = options_.kubelet_directory;
  VolumeLimits limits = options_.volumes;
  limits.held_directory =
      std::filesystem::path(csi::Plugin::CsiSocket(plugin)).parent_path() / "held";
  volumes_ = std::make_unique<Volumes>(std::move(limits), [this] { Wake(); }, options_.kept);
  volumes_->Restore(left_);
  SPW_ASSIGN(plugin_, csi::Plugin::Start(std::move(plugin), *volumes_));
  return Ok();
}

std::optional<End> Agent::Register() {
  door::RegisterRequest request;
  request.name = options_.user_data.name;
  request.token = options_.user_data.token;
  request.public_key = node_key_->public_key().Hex();
  request.hardware = options_.hardware.resources;
  request.labels = options_.hardware.labels;
  request.tunnel_key = options_.tunnel_key;
  request.tls_key = access_->PublicKey();
  const Duration give_up = BootNow() + options_.boot_lease;
  Backoff backoff(options_.retry_first, options_.retry_most);
  while (true) {
    const Duration sent = BootNow();
    DoorClient client(*access_);
    auto answer = client.Register(request);
    if (answer) {
      if (answer->site_public_key != site_->Hex()) {
        log::Error("the door's public key is not the one in the user data");
        return End::kFailed;
      }
      if (const Status known = access_->SetCertificate(answer->certificate); !known) {
        log::Error("the site's answer cannot be used", {{"why", known.error().message}});
        return End::kFailed;
      }
      KeepCertificate(answer->certificate);
      heartbeat_ = std::max(Duration(answer->heartbeat_ms), kShortestInterval);
      lease_ = Duration(answer->lease_ms);
      lease_since_ = sent;
      log::Info("registered", {{"node", request.name}});
      if (!options_.on_registered) return std::nullopt;
      const Status ready = options_.on_registered();
      if (ready) return std::nullopt;
      log::Error("the machine cannot go on", {{"why", ready.error().message}});
      return End::kFailed;
    }
    if (IsDefinite(answer.error())) {
      log::Error("registration refused", {{"why", answer.error().message}});
      return End::kRefused;
    }
    log::Warn("the door does not answer", {{"why", answer.error().message}});
    const Duration left = give_up - BootNow();
    if (left <= 0ms) return End::kNeverJoined;
    std::unique_lock lock(wake_mutex_);
    if (woken_.wait_for(lock, std::min(backoff.Next(), left), [this] { return shutdown_; }))
      return End::kShutdown;
  }
}

// What an earlier process of this machine left can be read by nobody, because its key died with it;
// it is overwritten all the same. kFailed if the disk does not let us.
std::optional<End> Agent::DestroyLeftCache() {
  auto left = CacheFile::OpenLeft(options_.disk);
  if (!left) {
    log::Error("the disk cannot be read", {{"why", left.error().message}});
    return End::kFailed;
  }
  if (*left == nullptr) return std::nullopt;
  log::Warn("overwriting what an earlier process left on the disk");
  const CacheWipe wipe = WipeCache(**left, true);
  if (const Status gone = (*left)->Unlink(); !gone || !wipe.complete) return End::kFailed;
  return std::nullopt;
}

// ---- what outlives this process

// The node's own keys: with them and the certificate the next process asks the site for the run
// key, which is not kept.
void Agent::KeepSelf() {
  if (options_.kept == nullptr || self_kept_ || !node_secret_ || destroyed_) return;
  if (options_.settled && !options_.settled()) return;
  std::string pem = access_->KeyPem();
  ByteBuffer bytes(node_secret_->bytes().begin(), node_secret_->bytes().end());
  bytes.insert(bytes.end(), pem.begin(), pem.end());
  self_kept_ = true;
  KeepLease();
  KeepCertificate(certificate_);
  options_.kept->Put(kKeptSelf, bytes);
  data::Cleanse(bytes);
  OPENSSL_cleanse(pem.data(), pem.size());
  node_secret_.reset();
}

void Agent::KeepCertificate(const std::string& certificate) {
  certificate_ = certificate;
  if (options_.kept == nullptr || !self_kept_ || destroyed_) return;
  options_.kept->Put(kKeptCertificate, AsBytes(certificate_));
}

void Agent::KeepLease() {
  if (options_.kept == nullptr || !self_kept_ || destroyed_) return;
  const std::array<std::int64_t, 4> numbers = {lease_since_.count(), lease_.count(),
                                               heartbeat_.count(), sequence_};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(numbers.data());
  options_.kept->Put(kKeptLease, {bytes, sizeof numbers});
}

Status Agent::Restore(KeptItem self, const KeptItem* lease, const KeptItem* certificate) {
  std::array<std::int64_t, 4> numbers{};
  const data::CleanseGuard guard(self.bytes);
  if (self.bytes.size() <= data::Secret::kSize || lease == nullptr ||
      lease->bytes.size() != sizeof numbers || certificate == nullptr)
    return Fail(Code::kInternal, "what the keeper held is not an agent's");
  std::memcpy(numbers.data(), lease->bytes.data(), sizeof numbers);
  lease_since_ = Duration(numbers[0]);
  lease_ = Duration(numbers[1]);
  heartbeat_ = Duration(numbers[2]);
  sequence_ = numbers[3] + kSequenceGap;
  const ByteView bytes(self.bytes);
  SPW_ASSIGN(const data::Secret secret, data::Secret::FromBytes(bytes.first(data::Secret::kSize)));
  node_key_ = data::NodeKey::FromSecret(secret);
  node_secret_.reset();
  self_kept_ = true;
  certificate_ = AsText(certificate->bytes);
  return access_->Resume(AsText(bytes.subspan(data::Secret::kSize)), certificate_);
}

bool Agent::LeaseOver() const {
  return BootNow() - lease_since_ >= lease_;
}

void Agent::WaitForBeat() {
  std::unique_lock lock(wake_mutex_);
  const auto wait_until = [&](Duration moment, auto condition) {
    const Duration left = std::min(moment, lease_since_ + lease_) - BootNow();
    return left > 0ms && woken_.wait_for(lock, left, condition);
  };
  if (wait_until(last_beat_ + heartbeat_ / kEarlyBeats, [this] { return shutdown_; })) return;
  wait_until(last_beat_ + heartbeat_, [this] { return shutdown_ || wake_; });
  wake_ = false;
}

End Agent::Live() {
  DoorClient client(*access_);
  while (true) {
    {
      const std::lock_guard lock(wake_mutex_);
      if (shutdown_) break;
    }
    if (access_->refused()) return EndAlone(End::kLeaseOver, "the site refused the certificate");
    if (LeaseOver()) return EndAlone(End::kLeaseOver, "nobody renewed the lease");
    KeepSelf();
    const Beat beat = SendHeartbeat(client);
    if (beat == Beat::kRefused)
      return EndAlone(End::kLeaseOver, "the site refused the certificate");
    if (want_ == door::Want::kPowerOff) return PowerOff();
    for (auto& [uid, entry] : pods_) entry.pod->Tick();
    WaitForBeat();
  }
  return EndAlone(End::kShutdown, "the machine is being shut down", options_.shutdown_wipe);
}

Agent::Beat Agent::SendHeartbeat(DoorClient& client) {
  const Duration sent = BootNow();
  last_beat_ = sent;
  const Duration left = lease_since_ + lease_ - sent;
  const auto desired = client.Beat(
      Describe(), std::clamp(left, Duration(1), std::max(options_.request_timeout, Duration(1))));
  if (!desired) {
    if (access_->refused()) return Beat::kRefused;
    log::Warn("heartbeat not answered", {{"why", desired.error().message}});
    return Beat::kUnanswered;
  }
  if (LeaseOver()) return Beat::kUnanswered;  // too late: the site has given us up meanwhile
  lease_since_ = sent;
  if (desired->lease_ms > 0) lease_ = Duration(desired->lease_ms);
  KeepLease();
  if (!desired->certificate.empty()) {
    const Status renewed = access_->SetCertificate(desired->certificate);
    if (!renewed) log::Warn("the certificate is not renewed", {{"why", renewed.error().message}});
    if (renewed) KeepCertificate(desired->certificate);
  }
  Apply(*desired);
  return Beat::kAnswered;
}

door::Heartbeat Agent::Describe() {
  door::Heartbeat heartbeat;
  heartbeat.sequence = ++sequence_;
  if (stager_) {
    const Stager::Progress progress = stager_->Now();
    heartbeat.staged_chunks = progress.chunks;
    heartbeat.staged_bytes = progress.bytes;
    heartbeat.stage_bytes_per_s = progress.bytes_per_s;
    heartbeat.staged =
        (progress.staged || (start_when_readable_ && services_ && mount_)) && !destroyed_;
    heartbeat.problem = progress.problem;
  }
  if (results_) {
    heartbeat.results = results_->Total();
    heartbeat.results_pending = results_->PendingAll();
  }
  heartbeat.results_returned = want_ == door::Want::kReturn && EverythingReturned();
  for (const auto& [uid, entry] : pods_)
    if (!entry.forgotten) heartbeat.pods.push_back(entry.pod->Report());
  if (volumes_) heartbeat.released = volumes_->Released();
  if (wiper_) {
    heartbeat.wiped = wiper_->wiped();
    heartbeat.wipe_progress = wiper_->progress();
    heartbeat.problem = wiper_->problem();
  } else if (!key_problem_.empty()) {
    heartbeat.problem = key_problem_;
  } else if (results_ && !results_->problem().empty()) {
    heartbeat.problem = results_->problem();
  } else if (volumes_ && heartbeat.problem.empty()) {
    heartbeat.problem = volumes_->problem();
  }
  if (heartbeat.problem.empty()) {
    const std::lock_guard lock(input_mutex_);
    heartbeat.problem = input_problem_;
  }
  if (heartbeat.problem.empty() && options_.machine_problem)
    heartbeat.problem = options_.machine_problem();
  return heartbeat;
}

bool Agent::EverythingReturned() const {
  const bool settled = std::all_of(pods_.begin(), pods_.end(), [](const auto& entry) {
    return entry.second.pod->Settled() || !entry.second.pod->HasStarted();
  });
  return settled && (!volumes_ || volumes_->Empty()) &&
         (!results_ || results_->PendingAll() == 0) && logs_->AllDrained();
}

void Agent::Apply(const door::Desired& desired) {
  want_ = desired.want;
  if (volumes_) volumes_->Allow(want_ == door::Want::kRun);
  if (want_ == door::Want::kWipe) BeginWipe(desired);
  if (want_ == door::Want::kWipe || want_ == door::Want::kPowerOff || destroyed_) return;
  TakeKey(desired);
  Stage(desired);
  OpenForPods();
  SyncPods(desired);
  if (want_ == door::Want::kRun) StartPods();
}

void Agent::TakeKey(const door::Desired& desired) {
  if (desired.wrapped_key.empty() || key_.Held()) return;
  const std::string& name = options_.user_data.name;
  const auto taken = [&]() -> Status {
    SPW_ASSIGN(const ByteBuffer wrapped, ParseHex(desired.wrapped_key));
    SPW_ASSIGN(data::Secret key, data::UnwrapRunKey(*node_key_, {name, name}, wrapped));
    return key_.Set(std::move(key));
  }();
  key_problem_ = taken ? "" : "the run key does not open: " + taken.error().message;
}

void Agent::Stage(const door::Desired& desired) {
  if (stager_ || !desired.prepared || !key_.Held()) return;
  Fd places;
  if (const auto it = left_.find(kKeptPlaces); it != left_.end() && !it->second.fds.empty())
    places = std::move(it->second.fds.front());
  StagerOptions stage = options_.stage;
  // A copy in memory needs every chunk at once; a mount does not.
  const bool may_mount = !options_.inputs_directory.empty() && MayServeInputs().has_value();
  stage.cache.may_evict = may_mount;
  start_when_readable_ = desired.start_when_readable && may_mount;
  stager_ = std::make_unique<Stager>(
      *access_, key_, *site_, RunNames{options_.user_data.name, desired.dataset_version},
      options_.disk, stage, [this] { Wake(); }, std::move(places));
}

void Agent::OpenForPods() {
  if (services_ || !stager_) return;
  const Stager::Progress progress = stager_->Now();
  // Only a mount can serve what is not here yet.
  if (!progress.staged && !(progress.readable && start_when_readable_)) return;
  const std::shared_ptr<const StagedData> staged = stager_->data();
  OpenInputs();
  auto store = std::make_shared<ResultStore>(stager_->cache(), staged->cache->results_at(),
                                             options_.results);
  results_ = std::make_unique<ResultSender>(*access_, staged->names, *site_, std::move(store),
                                            options_.retry_first, options_.retry_most, [this] {
                                              if (volumes_) volumes_->Poke();
                                              Wake();
                                            });
  services_ = PodServices{&key_,          staged->names,    staged,
                          content_.get(), mount_.get(),     results_.get(),
                          logs_.get(),    options_.support, options_.pod_init_program};
  if (volumes_) volumes_->Open(*services_);
}

void Agent::OpenInputs() {
  content_ = std::make_unique<InputContent>(stager_->data(), key_, [this](std::string problem) {
    {
      const std::lock_guard lock(input_mutex_);
      if (!input_problem_.empty()) return;
      input_problem_ = std::move(problem);
    }
    Wake();
  });
  if (options_.inputs_directory.empty()) return;
  fuse::Connection left;
  if (const auto it = left_.find(kKeptInputs); it != left_.end() && it->second.fds.size() == 2)
    left = {std::move(it->second.fds[0]), std::move(it->second.fds[1])};
  auto mount =
      InputMount::Open(options_.inputs_directory, stager_->data(), *content_, std::move(left));
  if (mount) {
    mount_ = std::move(*mount);
    if (options_.kept != nullptr) {
      const fuse::Connection& now = mount_->connection();
      options_.kept->Put(kKeptInputs, {}, {now.device.get(), now.memory.get()});
      options_.kept->Put(kKeptPlaces, {}, {stager_->data()->cache->places()});
    }
    log::Info("inputs are a file system that unseals what is read");
  } else {
    log::Warn("inputs are copied into memory, because they cannot be mounted",
              {{"why", mount.error().message}});
  }
}

void Agent::SyncPods(const door::Desired& desired) {
  std::set<std::string> asked;
  for (const door::PodOrder& order : desired.pods) {
    asked.insert(order.uid);
    auto it = pods_.find(order.uid);
    if (it == pods_.end()) {
      if (want_ == door::Want::kReturn && !order.stop) continue;
      Entry entry{std::make_unique<Pod>(order, [this] { Wake(); })};
      it = pods_.emplace(order.uid, std::move(entry)).first;
    }
    if (order.stop) it->second.pod->Stop();
  }
  for (auto it = pods_.begin(); it != pods_.end();) {
    Entry& entry = it->second;
    const std::string& uid = it->first;
    entry.forgotten = !asked.contains(uid);
    if (entry.forgotten) {
      entry.pod->Stop();
      if (results_ && results_->Pending(uid) > 0) results_->Forget(uid);
    }
    if (entry.forgotten && entry.pod->Settled()) {
      logs_->Forget(uid);
      it = pods_.erase(it);
    } else {
      ++it;
    }
  }
}

void Agent::StartPods() {
  if (!services_) return;
  for (auto& [uid, entry] : pods_) {
    Pod& pod = *entry.pod;
    if (pod.HasStarted() || pod.Ended() || entry.forgotten) continue;
    // Without enough free GPUs it waits: a pod before it is still ending.
    if (auto gpus = FreeGpus(pod.order().gpus)) pod.Start(*services_, std::move(*gpus));
  }
}

std::optional<std::vector<int>> Agent::FreeGpus(int count) const {
  std::set<int> taken;
  for (const auto& [uid, entry] : pods_)
    if (!entry.pod->Ended()) taken.insert(entry.pod->gpus().begin(), entry.pod->gpus().end());
  std::vector<int> free;
  for (int gpu = 0; gpu < options_.hardware.resources.gpus && std::ssize(free) < count; ++gpu)
    if (!taken.contains(gpu)) free.push_back(gpu);
  if (std::ssize(free) < count) return std::nullopt;
  return free;
}

void Agent::DestroyKeysAndPods() {
  destroyed_ = true;
  if (options_.kept != nullptr) options_.kept->DropAll();
  left_.clear();
  key_.Destroy();
  node_key_.reset();
  node_secret_.reset();
  if (content_) content_->Close();
  if (mount_) mount_->Close();
  if (stager_) stager_->Stop();
  if (results_) results_->Stop();
  if (volumes_) volumes_->Close();
  for (auto& [uid, entry] : pods_) entry.pod->Kill();
  pods_.clear();
  if (logs_) logs_->Stop();
}

std::shared_ptr<CacheFile> Agent::Cache() const {
  return stager_ ? stager_->cache() : nullptr;
}

void Agent::BeginWipe(const door::Desired& desired) {
  if (wiper_) return;
  DestroyKeysAndPods();
  wiper_ = std::make_unique<Wiper>(*access_, Cache(), desired.overwrite == "whole",
                                   options_.retry_first, options_.retry_most, [this] { Wake(); });
}

End Agent::EndAlone(End end, std::string_view why, std::optional<Duration> wipe_within) {
  log::Error("the node ends by itself", {{"why", why}});
  DestroyKeysAndPods();
  access_->Forget();
  if (wiper_) {
    wiper_.reset();  // it finishes what it began
  } else if (const std::shared_ptr<CacheFile> cache = Cache()) {
    WipeCache(*cache, false, {}, wipe_within);
  }
  return end;
}

End Agent::PowerOff() {
  log::Info("power off, as the site says");
  DestroyKeysAndPods();
  const std::shared_ptr<CacheFile> cache = Cache();
  if (cache) {
    const bool wiped = wiper_ && wiper_->wiped();
    wiper_.reset();
    if (!wiped) WipeCache(*cache, false);
    if (const Status gone = cache->Unlink(); !gone)
      log::Warn("the cache stays on the disk", {{"why", gone.error().message}});
  }
  access_->Forget();
  return End::kPowerOff;
}

}  // namespace spillway::node
