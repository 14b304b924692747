#include "node/volumes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "base/json.h"
#include "base/log.h"

namespace spillway::node {
namespace {

constexpr mode_t kInputMode = 0755, kResultsMode = 0777;  // a pod may run as any user
constexpr std::int64_t kDirectoryRoom = 1 << 20;          // beside the files' pages
constexpr std::size_t kPlaceDigits = 32;
constexpr std::int64_t kWhatFits = std::int64_t{1} << 60;

VolumeLimits Complete(VolumeLimits limits) {
  if (limits.input_bytes == 0)
    limits.input_bytes = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE) / 4 * 3;
  return limits;
}

const std::string kKeptVolume = "volume/";
constexpr std::string_view kKeptReleased = "released";

tl::unexpected<Error> KeysGone() {
  return Fail(Code::kDenied, "the keys of this node are destroyed");
}

}  // namespace

Volumes::Volumes(VolumeLimits limits, std::function<void()> on_change, Kept* kept)
    : limits_(Complete(limits)), on_change_(std::move(on_change)), kept_(kept) {}

Volumes::~Volumes() {
  Close();
}

void Volumes::Open(const PodServices& services) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  SPW_CHECK(services_ == nullptr, "volumes open once");
  services_ = &services;
  collector_ = std::thread([this] { CollectAll(); });
}

void Volumes::Allow(bool publish) {
  const std::lock_guard lock(mutex_);
  allowed_ = publish;
}

void Volumes::Poke() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Volumes::Close() {
  std::map<std::string, Volume> left;
  {
    Lock lock(mutex_);
    closed_ = true;
    queue_.clear();
    changed_.notify_all();
    changed_.wait(lock, [this] { return publishing_ == 0; });
  }
  if (collector_.joinable()) collector_.join();
  {
    const std::lock_guard lock(mutex_);
    services_ = nullptr;
    left.swap(volumes_);
  }
  for (const auto& [place, volume] : left) {
    if (volume.sealed != place) DropMemory(place);
    if (!volume.sealed.empty()) DropDirectory(volume.sealed);
  }
}

bool Volumes::Empty() const {
  const std::lock_guard lock(mutex_);
  return volumes_.empty();
}

std::vector<std::string> Volumes::Released() const {
  const std::lock_guard lock(mutex_);
  return {released_.begin(), released_.end()};
}

std::string Volumes::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

// Called with mutex_ held.
void Volumes::Note(const std::string& what, const Status& status) {
  if (status) {
    problem_.clear();
  } else if (status.error().code != Code::kUnavailable && !closed_) {
    problem_ = fmt::format("{}: {}", what, status.error().message);
  }
}

// ---- publish

Status Volumes::Publish(const csi::PublishRequest& request) {
  SPW_ASSIGN(VolumeRequest asked, ReadVolumeRequest(request));
  Volume volume;
  {
    const std::lock_guard lock(mutex_);
    SPW_ASSIGN(const bool there, MayPublish(request, asked));
    if (there) return Ok();
    ++publishing_;
  }
  volume.volume_id = request.volume_id;
  volume.asked = std::move(asked);
  const bool fills = volume.asked.kind == VolumeRequest::Kind::kDataset;
  const Status turn = fills ? TakeTurn() : Ok();
  Status mounted = turn ? Mount(request, volume) : turn;
  {
    const std::lock_guard lock(mutex_);
    --publishing_;
    if (fills && turn) filling_ = false;
    Note(fmt::format("volume {} of {}", request.volume_id, volume.asked.pod), mounted);
    if (mounted) {
      std::erase(released_, volume.asked.uid);
      Keep(request.target_path, volume);
      volumes_.emplace(request.target_path, std::move(volume));
      if (closed_) mounted = KeysGone();  // Close() waits for us and drops it
    }
    changed_.notify_all();
  }
  on_change_();
  return mounted;
}

Result<bool> Volumes::MayPublish(const csi::PublishRequest& request,
                                 const VolumeRequest& asked) const {
  if (closed_) return KeysGone();
  if (const auto it = volumes_.find(request.target_path); it != volumes_.end()) {
    const Volume& volume = it->second;
    if (volume.volume_id != request.volume_id || volume.asked.uid != asked.uid)
      return Fail(Code::kConflict, fmt::format("volume {} is mounted there for {}",
                                               volume.volume_id, volume.asked.pod));
    SPW_ASSIGN(const bool mounted, IsMountPoint(request.target_path));
    if (!mounted)
      return Fail(Code::kInternal,
                  "somebody has unmounted the volume: the pod must be started anew");
    if (volume.stage == Stage::kPublished) return true;
    return Fail(Code::kUnavailable, "the volume is being unpublished");
  }
  if (services_ == nullptr) return Fail(Code::kUnavailable, "the data is not on this node yet");
  if (!allowed_) return Fail(Code::kUnavailable, "the site does not want pods to begin here now");
  if (volumes_.size() >= limits_.volumes)
    return Fail(Code::kCapacity,
                fmt::format("{} volumes are published, the most there may be", limits_.volumes));
  return false;
}

Status Volumes::Mount(const csi::PublishRequest& request, Volume& volume) {
  const std::string& target = request.target_path;
  // What a call that failed in the middle left.
  SPW_TRY(Unmount(target));
  SPW_TRY(MakeTarget(target));
  const bool results = volume.asked.kind == VolumeRequest::Kind::kResults;
  volume.gives_results = results && !request.read_only;
  volume.collection.limit_bytes = limits_.output_bytes;
  Status mounted = results ? MountResults(target, volume) : MountInput(target, volume);
  if (mounted && results && request.read_only) mounted = MakeMountReadOnly(target);
  if (mounted) {
    auto identity = IdentityOf(target);
    if (identity) {
      volume.identity = *identity;
    } else {
      mounted = Fail(identity.error());
    }
  }
  if (mounted) {
    volume.collection.root = target;
    volume.collection.claim = volume.asked.claim;
    return Ok();
  }
  if (const Status cleared = Unmount(target); !cleared)
    log::Warn("a volume that failed stays", {{"why", cleared.error().message}});
  return mounted;
}

Status Volumes::MountResults(const std::string& target, Volume& volume) {
  if (limits_.sealed_directory.empty())
    return MountMemory(target, limits_.output_bytes, kResultsMode);
  SPW_ASSIGN(volume.sealed, MakeDirectoryIn(limits_.sealed_directory, kResultsMode));
  volume.collection.limit_bytes = kWhatFits;
  const Status shown = BindMount(volume.sealed, target, false);
  if (!shown) DropDirectory(volume.sealed);
  return shown;
}

std::optional<std::pair<std::string, Volumes::Volume>> Volumes::Mounted(
    const VolumeRequest& asked) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [target, volume] : volumes_)
    if (volume.asked.kind == VolumeRequest::Kind::kDataset && volume.stage == Stage::kPublished &&
        volume.asked.claim == asked.claim && volume.asked.name_space == asked.name_space)
      return std::pair(target, volume);
  return std::nullopt;
}

// One input at a time, until it is among the volumes: who asks for the same claim is shown it then,
// and nothing is opened a second time.
Status Volumes::TakeTurn() {
  Lock lock(mutex_);
  if (!changed_.wait_for(lock, limits_.longest_call, [this] { return !filling_; }))
    return Fail(Code::kUnavailable, "another claim is being opened; this one follows");
  filling_ = true;
  return Ok();
}

Status Volumes::MountInput(const std::string& target, Volume& volume) {
  const auto other = Mounted(volume.asked);
  if (!other) return FillInput(target, volume);
  volume.bytes = other->second.bytes;
  const Status shown = BindMount(other->first, target, true);
  // It may have been unmounted meanwhile: an empty directory must not pass for the data.
  const auto identity = IdentityOf(target);
  if (shown && identity && *identity == other->second.identity) return Ok();
  return Fail(Code::kUnavailable, "the claim was just given back by another pod");
}

// Plaintext of all claims that are mounted, each counted once.
Status Volumes::CheckRoom(std::int64_t bytes) const {
  std::set<std::string> counted;
  std::int64_t used = 0;
  const std::lock_guard lock(mutex_);
  for (const auto& [target, volume] : volumes_)
    if (volume.bytes > 0 && counted.insert(volume.volume_id).second) used += volume.bytes;
  if (bytes <= limits_.input_bytes - used) return Ok();
  return Fail(Code::kCapacity,
              fmt::format("its files take {} bytes of memory; {} of {} bytes are used by inputs: "
                          "rent a machine with more memory, or select fewer files",
                          bytes, used, limits_.input_bytes));
}

Status Volumes::FillInput(const std::string& target, Volume& volume) {
  const PodServices* services = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return KeysGone();
    services = services_;
  }
  const InputSize size = SizeOfClaim(services->data->files, volume.asked.claim);
  if (size.files == 0)
    return Fail(Code::kInvalid, fmt::format("the run of this node has no file of claim \"{}\"",
                                            volume.asked.claim));
  if (services->mount != nullptr)
    return BindMount(services->mount->DirectoryOf(volume.asked.claim), target, true);
  volume.bytes = size.bytes;
  SPW_TRY(CheckRoom(size.bytes));
  SPW_TRY(MountMemory(target, size.bytes + kDirectoryRoom, kInputMode));
  const Status filled = WriteInputs(
      target, *OpenClaim(*services->content, services->data->files, volume.asked.claim));
  if (filled) return MakeMountReadOnly(target);
  DropMemory(target);
  return filled;
}

// ---- unpublish

Status Volumes::Unpublish(const std::string& volume_id, const std::string& target_path) {
  Lock lock(mutex_);
  const auto it = volumes_.find(target_path);
  if (it == volumes_.end()) {
    lock.unlock();
    SPW_TRY(Unmount(target_path));
    if (kept_ != nullptr) kept_->Drop(kKeptVolume + target_path);
    return Ok();
  }
  if (it->second.volume_id != volume_id)
    return Fail(Code::kInvalid, fmt::format("volume {} is mounted there", it->second.volume_id));
  if (it->second.stage != Stage::kPublished)
    return Fail(Code::kUnavailable, "the volume is being unpublished");
  return it->second.gives_results ? Hold(lock, target_path) : Leave(lock, target_path);
}

Status Volumes::Hold(Lock& lock, const std::string& target) {
  const auto held = std::count_if(volumes_.begin(), volumes_.end(),
                                  [](const auto& entry) { return entry.second.held; });
  if (static_cast<std::size_t>(held) >= limits_.held)
    return Fail(Code::kUnavailable,
                fmt::format("the results of {} volumes wait for the site's receipts", held));
  volumes_.at(target).stage = Stage::kLeaving;
  ++publishing_;
  const Volume volume = volumes_.at(target);
  lock.unlock();
  const Result<std::string> place = MoveToHeld(target, volume);
  const Status gone = place ? Unmount(target) : Status(tl::unexpected(place.error()));
  lock.lock();
  --publishing_;
  changed_.notify_all();
  if (!gone) {
    volumes_.at(target).stage = Stage::kPublished;
    return gone;
  }
  auto entry = volumes_.extract(target);
  entry.key() = *place;
  entry.mapped() = Held(volume, *place);
  volumes_.insert(std::move(entry));
  queue_.push_back(*place);
  if (kept_ != nullptr) kept_->Drop(kKeptVolume + target);
  lock.unlock();
  on_change_();
  return Ok();
}

Volumes::Volume Volumes::Held(Volume volume, const std::string& place) {
  volume.held = true;
  volume.stage = Stage::kCollecting;
  volume.collection.root = place;
  return volume;
}

// Nobody writes to it any more from here on. What is on the sealed volume is held where it lies.
Result<std::string> Volumes::MoveToHeld(const std::string& target, const Volume& volume) const {
  if (!volume.sealed.empty()) {
    SPW_TRY(MakeMountReadOnly(target));
    Keep(volume.sealed, Held(volume, volume.sealed));
    return volume.sealed;
  }
  SPW_TRY(FreezeMemory(target));
  SPW_TRY(MakeTarget(limits_.held_directory));
  const std::string place =
      fmt::format("{}/{}", limits_.held_directory, Sha256Hex(target).substr(0, kPlaceDigits));
  SPW_TRY(Unmount(place));  // of a call that failed in the middle
  SPW_TRY(MakeTarget(place));
  SPW_TRY(BindMount(target, place, true));
  // Whoever goes on with both of them knows the one by the other.
  Keep(place, Held(volume, place));
  return place;
}

Status Volumes::Leave(Lock& lock, const std::string& place) {
  Volume& leaving = volumes_.at(place);
  const bool directory = leaving.held && !leaving.sealed.empty();
  leaving.stage = Stage::kLeaving;
  lock.unlock();
  const Status gone = directory ? Ok() : Unmount(place);  // frees memory, which takes its time
  lock.lock();
  const auto it = volumes_.find(place);
  if (it == volumes_.end()) return gone;  // closed meanwhile
  if (!gone) {
    it->second.stage = it->second.held ? Stage::kFailed : Stage::kPublished;
    return gone;
  }
  const std::string uid = it->second.asked.uid, sealed = it->second.sealed;
  volumes_.erase(it);
  if (!sealed.empty()) DropDirectory(sealed);
  if (kept_ != nullptr) kept_->Drop(kKeptVolume + place);
  const bool last = std::none_of(volumes_.begin(), volumes_.end(),
                                 [&](const auto& entry) { return entry.second.asked.uid == uid; });
  if (last && !closed_) {
    std::erase(released_, uid);
    released_.push_back(uid);
    if (released_.size() > door::kMaxReleased) released_.pop_front();
    KeepReleased();
  }
  lock.unlock();
  on_change_();
  lock.lock();
  return Ok();
}

// ---- what outlives this process

void Volumes::Keep(const std::string& target, const Volume& volume) const {
  if (kept_ == nullptr) return;
  const json::object about = {{"volume", volume.volume_id},
                              {"results", volume.asked.kind == VolumeRequest::Kind::kResults},
                              {"gives", volume.gives_results},
                              {"claim", volume.asked.claim},
                              {"namespace", volume.asked.name_space},
                              {"bucket", volume.asked.bucket},
                              {"directory", volume.asked.directory},
                              {"pod", volume.asked.pod},
                              {"uid", volume.asked.uid},
                              {"device", static_cast<std::int64_t>(volume.identity.device)},
                              {"inode", static_cast<std::int64_t>(volume.identity.inode)},
                              {"sealed", volume.sealed},
                              {"held", volume.held},
                              {"bytes", volume.bytes}};
  kept_->Put(kKeptVolume + target, AsBytes(json::serialize(about)));
}

// Called with mutex_ held.
void Volumes::KeepReleased() const {
  if (kept_ == nullptr) return;
  json::array uids;
  for (const std::string& uid : released_) uids.emplace_back(uid);
  kept_->Put(kKeptReleased, AsBytes(json::serialize(uids)));
}

void Volumes::Restore(const KeptItems& left) {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, item] : left) {
    const auto value = ParseJson(AsText(item.bytes));
    if (name == kKeptReleased && value && value->is_array())
      for (const json::value& uid : value->get_array())
        released_.emplace_back(View(uid.as_string()));
    if (!name.starts_with(kKeptVolume) || !value || !value->is_object()) continue;
    const json::object& about = value->get_object();
    const auto text = [&](std::string_view key) {
      return std::string(View(about.at(key).as_string()));
    };
    const std::string target = name.substr(kKeptVolume.size());
    Volume volume;
    volume.volume_id = text("volume");
    volume.asked = {.kind = about.at("results").as_bool() ? VolumeRequest::Kind::kResults
                                                          : VolumeRequest::Kind::kDataset,
                    .claim = text("claim"),
                    .name_space = text("namespace"),
                    .bucket = text("bucket"),
                    .directory = text("directory"),
                    .pod = text("pod"),
                    .uid = text("uid")};
    volume.gives_results = about.at("gives").as_bool();
    volume.identity = {static_cast<dev_t>(about.at("device").as_int64()),
                       static_cast<ino_t>(about.at("inode").as_int64())};
    volume.bytes = about.at("bytes").as_int64();
    volume.sealed = text("sealed");
    volume.held = about.at("held").as_bool();
    if (volume.held) {
      volume.stage = Stage::kCollecting;
      queue_.push_back(target);
    }
    volume.collection = {target,
                         volume.asked.claim,
                         volume.sealed.empty() ? limits_.output_bytes : kWhatFits,
                         {},
                         {}};
    volumes_.emplace(target, std::move(volume));
  }
  // One that was being moved is there twice; the kubelet asks again for the end of its target.
  std::vector<std::string> moved;
  for (const auto& [target, volume] : volumes_)
    for (const auto& [place, other] : volumes_)
      if (!volume.held && other.held && volume.identity == other.identity) moved.push_back(target);
  for (const std::string& target : moved) {
    volumes_.erase(target);
    kept_->Drop(kKeptVolume + target);
  }
}

// ---- the collecting thread

void Volumes::CollectAll() {
  const auto failed = [](const auto& entry) { return entry.second.stage == Stage::kFailed; };
  Lock lock(mutex_);
  while (!closed_) {
    if (const auto home = Receipted()) {
      Note("results that are home", Leave(lock, *home));
    } else if (!queue_.empty()) {
      CollectNext(lock);
    } else if (std::ranges::none_of(volumes_, failed)) {
      changed_.wait(lock);
    } else if (std::chrono::steady_clock::now() < retry_at_) {
      changed_.wait_until(lock, retry_at_);
    } else {
      for (auto& [place, volume] : volumes_) {
        if (volume.stage != Stage::kFailed) continue;
        volume.stage = Stage::kCollecting;
        queue_.push_back(place);
      }
    }
  }
}

// A held volume whose files all have their receipts.
std::optional<std::string> Volumes::Receipted() const {
  for (const auto& [place, volume] : volumes_)
    if (volume.stage == Stage::kCollected && services_->results->Pending(volume.asked.uid) == 0)
      return place;
  return std::nullopt;
}

void Volumes::CollectNext(Lock& lock) {
  const std::string place = std::move(queue_.front());
  queue_.pop_front();
  // The entry stays where it is: only Leave() and Close() remove it, not while it is collecting.
  Volume& volume = volumes_.at(place);
  lock.unlock();
  const Status done = CollectOne(volume.asked, volume.collection);
  lock.lock();
  volume.stage = done ? Stage::kCollected : Stage::kFailed;
  if (!done) retry_at_ = std::chrono::steady_clock::now() + limits_.retry;
  Note(fmt::format("results of {}", volume.asked.pod), done);
}

Status Volumes::CollectOne(const VolumeRequest& asked, Collection& collection) {
  ResultWriter writer(*services_->results, *services_->key, services_->names, asked.pod, asked.uid);
  SPW_TRY(CollectResults(collection, writer));
  for (const std::string& skipped : collection.skipped)
    services_->logs->AppendLine(asked.pod, asked.uid,
                                fmt::format("[spillway: not taken as a result: {}]", skipped));
  return Ok();
}

}  // namespace spillway::node
