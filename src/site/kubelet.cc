#include "site/kubelet.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "model/decode.h"
#include "site/objects.h"

namespace spillway::site {
namespace {

constexpr Duration kGrace{10s};

// The directory `relative` below `root`, made if `make`. Links are followed only to places that are
// below the root as well: a pod may have planted one.
Result<std::string> PlaceBelow(const std::string& root, const std::string& relative, bool make) {
  namespace fs = std::filesystem;
  if (relative.empty() || relative[0] == '/')
    return Fail(Code::kInvalid, fmt::format("\"{}\" is not a directory below {}", relative, root));
  std::error_code error;
  const fs::path wanted = fs::path(root) / relative;
  const fs::path top = fs::canonical(root, error);
  // What exists of the path decides where it leads; only then is the rest made.
  const fs::path leads = error ? fs::path() : fs::weakly_canonical(wanted, error);
  const bool below = !error && leads.string().starts_with(top.string() + "/");
  if (!below)
    return Fail(Code::kInvalid, fmt::format("{} does not lie below {}", wanted.string(), root));
  if (make) fs::create_directories(leads, error);
  if (error || !fs::is_directory(leads, error))
    return Fail(Code::kNotFound, fmt::format("{} is not a directory", leads.string()));
  return leads.string();
}

std::string ReasonOf(const runtime::PodExit& exit) {
  if (exit.oom) return "OOMKilled";
  if (!exit.ran) return "ContainerCannotRun";
  return exit.code == 0 ? "Completed" : "Error";
}

}  // namespace

PodLogs::PodLogs(std::string directory) : directory_(std::move(directory)) {}

void PodLogs::AppendLine(const std::string& uid, std::string_view line) {
  std::string text(line);
  text += '\n';
  AppendAt(uid, -1, text);
}

void PodLogs::AppendAt(const std::string& uid, std::int64_t offset, std::string_view bytes) {
  // A uid becomes a file name; ours are lower-case hex and dashes.
  if (uid.empty() ||
      uid.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz-") != std::string::npos)
    return;
  const std::lock_guard lock(mutex_);
  const std::string path = directory_ + "/" + uid + ".log";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  struct stat info{};
  fstat(fd, &info);
  if (offset >= 0 && offset < info.st_size) {
    const auto known = static_cast<std::size_t>(info.st_size - offset);
    bytes.remove_prefix(std::min(known, bytes.size()));
  }
  if (info.st_size + static_cast<std::int64_t>(bytes.size()) > kMaxBytes) {
    // Once, when the limit is reached.
    if (info.st_size < kMaxBytes)
      bytes = "[the log is cut here: it reached its limit]\n";
    else
      bytes = {};
  }
  [[maybe_unused]] const auto written = write(fd, bytes.data(), bytes.size());
  close(fd);
}

std::string PodLogs::Read(const std::string& uid, std::int64_t offset) const {
  const std::lock_guard lock(mutex_);
  const std::string path = directory_ + "/" + uid + ".log";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string out(1 << 20, '\0');
  const auto n = pread(fd, out.data(), out.size(), offset);
  close(fd);
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

Kubelet::Kubelet(store::Store& store, PodLogs& logs, const Clock& clock, KubeletOptions options)
    : store_(store), logs_(logs), clock_(clock), options_(std::move(options)) {}

Kubelet::~Kubelet() {
  stopping_ = true;
  std::map<std::string, Pod> pods;
  {
    const std::lock_guard lock(mutex_);
    pods.swap(pods_);
  }
  for (auto& [uid, pod] : pods)
    if (pod.process) pod.process->Kill();
}

Status Kubelet::Recover() {
  for (const store::ObjectPtr& pod : store_.List("Pod")) {
    if (PodPhaseOf(pod->body) != "Running") continue;
    const store::ObjectPtr node = store_.Get({"Node", "", std::string(NodeOf(pod->body))});
    if (node == nullptr || !LabelOf(node->body, kBurstKey).empty()) continue;
    SPW_TRY(store_.Update(pod->key, [&](json::value& body) {
      MarkDisrupted(body, "NodeRestarted", "the site's node was restarted while it ran",
                    clock_.Now());
      return true;
    }));
    store_.AddEvent(pod->key, true, "NodeRestarted",
                    "the site's node was restarted; the pod is queued again");
  }
  return Ok();
}

Status Kubelet::Sync() {
  for (const store::ObjectPtr& pod : store_.List("Pod")) {
    const std::string node_name(NodeOf(pod->body));
    if (node_name.empty()) continue;
    const store::ObjectPtr node = store_.Get({"Node", "", node_name});
    if (node == nullptr || !LabelOf(node->body, kBurstKey).empty()) continue;
    std::unique_lock lock(mutex_);
    const auto it = pods_.find(pod->uid);
    const bool running = it != pods_.end();
    if (Deleting(pod->body) || (Finished(pod->body) && running)) {
      if (running && !it->second.stopping && it->second.process) {
        it->second.stopping = true;
        it->second.process->Terminate(kGrace);
      }
      lock.unlock();
      if (!running && Deleting(pod->body)) {
        if (options_.buckets != nullptr) options_.buckets->Drop(pod->uid);
        const auto removed = store_.Apply({{pod->key, {}, std::nullopt, true}});
        if (!removed) return tl::unexpected(removed.error());
      }
      continue;
    }
    lock.unlock();
    if (!running && PodPhaseOf(pod->body) == "Pending") SPW_TRY(StartPod(pod));
  }
  // Destroy what has ended, outside the lock: the destructor waits for the pod's thread.
  std::vector<std::pair<std::string, Pod>> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = pods_.begin(); it != pods_.end();) {
      if (it->second.process && it->second.process->Exit()) {
        ended.emplace_back(it->first, std::move(it->second));
        it = pods_.erase(it);
      } else {
        ++it;
      }
    }
  }
  for (auto& [uid, pod] : ended) {
    pod.process.reset();
    if (options_.buckets != nullptr) options_.buckets->Drop(uid);
  }
  return Ok();
}

int Kubelet::Running() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(pods_.size());
}

Result<DatasetInfo> Kubelet::DatasetOf(const store::ObjectPtr& pod,
                                       const ClaimTarget& target) const {
  const std::string name = target.dataset.substr(target.dataset.find('/') + 1);
  const store::ObjectPtr dataset = store_.Get({"Dataset", pod->key.ns, name});
  if (dataset == nullptr)
    return Fail(Code::kNotFound, fmt::format("Dataset {} does not exist", target.dataset));
  SPW_ASSIGN(DatasetInfo info, DecodeDataset(dataset->body));
  if (info.s3 && options_.buckets == nullptr)
    return Fail(
        Code::kInvalid,
        fmt::format("Dataset {} is in {}, and the site uses no buckets; start spillwayd with "
                    "--s3-credentials",
                    target.dataset, info.SourceName()));
  return info;
}

Result<runtime::Volume> Kubelet::VolumeOf(const store::ObjectPtr& pod, const Mount& mount,
                                          std::vector<ports::BucketResults>& results) const {
  runtime::Volume volume{mount.volume, mount.mount_path, runtime::EmptyDir{}};
  if (mount.claim.empty()) return volume;
  SPW_ASSIGN(const ClaimTarget target, ResolveClaim(store_, pod->key.ns, mount.claim));
  std::optional<DatasetInfo> dataset;
  if (!target.dataset.empty()) {
    SPW_ASSIGN(dataset, DatasetOf(pod, target));
  }
  std::string directory;
  if (!dataset) {
    SPW_ASSIGN(directory, PlaceBelow(options_.results_root, target.directory, true));
  } else if (!dataset->s3) {
    SPW_ASSIGN(directory, PlaceBelow(options_.data_root, dataset->directory, false));
  } else if (target.results) {
    results.push_back({*dataset->s3, target.directory});
    SPW_ASSIGN(directory, options_.buckets->ResultsOf(pod->uid, results.back()));
  } else {
    SPW_ASSIGN(directory, options_.buckets->Fetch(pod->uid, *dataset, Duration{0}));
  }
  if (target.results)
    volume.kind = runtime::BindReadWrite{std::move(directory)};
  else
    volume.kind = runtime::BindReadOnly{std::move(directory)};
  return volume;
}

Result<runtime::PodSpec> Kubelet::SpecFor(const store::ObjectPtr& pod, const std::set<int>& gpus,
                                          std::vector<ports::BucketResults>& results) const {
  const CommandLine command = CommandOf(pod->body);
  runtime::PodSpec spec;
  spec.name = pod->key.ns + "/" + pod->key.name;
  spec.argv = command.argv;
  spec.env = command.env;
  spec.working_dir = command.working_dir;
  spec.hostname = pod->key.name.substr(0, 63);
  spec.cpu_milli = LimitOf(pod->body, "cpu", true);
  spec.memory_bytes = LimitOf(pod->body, "memory", false);
  spec.pod_init_program = options_.pod_init_program;
  for (int gpu : gpus) spec.gpu_ids.push_back(std::to_string(gpu));
  SPW_ASSIGN(const std::vector<Mount> mounts, MountsOf(pod->body));
  for (const Mount& mount : mounts) {
    SPW_ASSIGN(runtime::Volume volume, VolumeOf(pod, mount, results));
    spec.volumes.push_back(std::move(volume));
  }
  return spec;
}

Status Kubelet::StartPod(const store::ObjectPtr& pod) {
  const std::string node(NodeOf(pod->body));
  SPW_ASSIGN(const Resources requests, DecodePodRequests(SpecOf(pod->body)));
  std::set<int> gpus;
  {
    const std::lock_guard lock(mutex_);
    std::set<int> taken;
    for (const auto& [uid, other] : pods_)
      if (other.node == node) taken.insert(other.gpus.begin(), other.gpus.end());
    for (int gpu = 0; std::ssize(gpus) < requests.gpus; ++gpu)
      if (!taken.contains(gpu)) gpus.insert(gpu);
  }
  const store::ObjectKey key = pod->key;
  const std::string uid = pod->uid;
  std::vector<ports::BucketResults> results;
  auto spec = SpecFor(pod, gpus, results);
  if (!spec) {
    // A claim may still appear; until then the pod waits, as ContainerCreating does in Kubernetes.
    const bool comes = spec.error().code == Code::kUnavailable;
    store_.AddEvent(key, !comes, comes ? "FetchingData" : "FailedMount", spec.error().message);
    return Ok();
  }
  runtime::PodCallbacks callbacks;
  callbacks.on_log = [this, uid](runtime::LogStream, std::string_view line) {
    logs_.AppendLine(uid, line);
  };
  callbacks.on_started = [this, key, uid] {
    const Status status = store_.Update(key, [&](json::value& body) {
      if (StringOr(body.at("metadata"), "uid", "") != uid || Finished(body)) return false;
      MarkRunning(body, clock_.Now());
      return true;
    });
    if (!status)
      log::Warn("pod status not written", {{"pod", key.name}, {"error", status.error().message}});
  };
  callbacks.on_exit = [this, key, uid, results](const runtime::PodExit& exit) {
    OnExit(key, uid, exit, results);
  };
  {
    // The entry is there before the process, so that no second one is started.
    const std::lock_guard lock(mutex_);
    pods_[uid] = Pod{nullptr, gpus, node, false};
  }
  auto process = runtime::PodProcess::Start(*spec, options_.support, std::move(callbacks));
  const std::lock_guard lock(mutex_);
  if (!process) {
    pods_.erase(uid);
    const Error error = process.error();
    store_.AddEvent(key, true, "Failed", error.message);
    if (error.code != Code::kInvalid) return Ok();
    return store_.Update(key, [&](json::value& body) {
      MarkEnded(body, {128, "ContainerCannotRun", error.message, clock_.Now(), clock_.Now()});
      return true;
    });
  }
  pods_[uid].process = std::move(*process);
  store_.AddEvent(key, false, "Started", "Started the container as a local process");
  return Ok();
}

void Kubelet::OnExit(const store::ObjectKey& key, const std::string& uid,
                     const runtime::PodExit& exit,
                     const std::vector<ports::BucketResults>& results) {
  // Only what is in its bucket counts as a result.
  Status home = Ok();
  if (!results.empty() && !stopping_) home = options_.buckets->BringHome(uid, results).status;
  const Time now = clock_.Now();
  for (const std::string& note : exit.notes) store_.AddEvent(key, false, "NotLimited", note);
  const Status status = store_.Update(key, [&](json::value& body) {
    if (StringOr(body.at("metadata"), "uid", "") != uid || Finished(body)) return false;
    if (stopping_) {
      MarkDisrupted(body, "NodeRestarted", "the site's node was stopped while it ran", now);
      return true;
    }
    const Time started = StartedAt(body).value_or(now);
    if (!home) {
      MarkEnded(body, {exit.code == 0 ? 1 : exit.code, "ResultsLost", home.error().message, started,
                       now});
      return true;
    }
    MarkEnded(body, {exit.code, ReasonOf(exit), exit.reason, started, now});
    return true;
  });
  if (!status && status.error().code != Code::kNotFound)
    log::Error("end of a pod not written", {{"pod", key.name}, {"error", status.error().message}});
}

}  // namespace spillway::site
