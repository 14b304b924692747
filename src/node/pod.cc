#include "node/pod.h"

#include <fmt/format.h>

#include <atomic>

#include "base/log.h"

namespace spillway::node {
namespace {

constexpr int kNeverStartedCode = 128;  // as the runtime's, for a command that did not run

Duration SteadyNow() {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

runtime::PodExit NeverStarted(std::string reason) {
  runtime::PodExit exit;
  exit.code = kNeverStartedCode;
  exit.reason = std::move(reason);
  return exit;
}

}  // namespace

Pod::Pod(door::PodOrder order, std::function<void()> on_change)
    : order_(std::move(order)), on_change_(std::move(on_change)) {
  if (order_.deadline_ms > 0) deadline_ = SteadyNow() + Duration(order_.deadline_ms);
}

Pod::~Pod() {
  process_.reset();
}

void Pod::Start(const PodServices& services, std::vector<int> gpus) {
  SPW_CHECK(services_ == nullptr, "a pod starts once");
  services_ = &services;
  gpus_ = std::move(gpus);
  writer_.emplace(*services.results, *services.key, services.names, order_.key, order_.uid);
  auto process = runtime::PodProcess::Start(SpecFor(gpus_), services.support, Callbacks());
  if (process) {
    process_ = std::move(*process);
  } else {
    OnExit(NeverStarted(process.error().message));
  }
}

decltype(runtime::Volume::kind) Pod::InputOf(const std::string& claim) const {
  const auto [first, end] = services_->data->files.OfClaim(claim);
  // What has no file is not in the mount, and an empty volume of its own.
  if (services_->mount != nullptr && first != end)
    return runtime::BindReadOnly{services_->mount->DirectoryOf(claim)};
  return runtime::MemoryInput{OpenClaim(*services_->content, services_->data->files, claim)};
}

runtime::PodSpec Pod::SpecFor(const std::vector<int>& gpus) const {
  runtime::PodSpec spec;
  spec.name = order_.key;
  spec.argv = order_.argv;
  spec.env = order_.env;
  spec.working_dir = order_.working_dir;
  for (const door::PodVolume& volume : order_.volumes) {
    runtime::Volume made{volume.name, volume.mount_path, runtime::EmptyDir{}};
    if (volume.kind == "input") made.kind = InputOf(volume.claim);
    if (volume.kind == "results") made.kind = runtime::MemoryOutput{};
    spec.volumes.push_back(std::move(made));
  }
  spec.cpu_milli = order_.cpu_milli;
  spec.memory_bytes = order_.memory_bytes;
  spec.hostname = order_.key.substr(order_.key.find('/') + 1).substr(0, 63);
  for (const int gpu : gpus) spec.gpu_ids.push_back(std::to_string(gpu));
  spec.pod_init_program = services_->pod_init_program;
  return spec;
}

runtime::PodCallbacks Pod::Callbacks() {
  runtime::PodCallbacks callbacks;
  callbacks.on_started = [this] {
    {
      const std::lock_guard lock(mutex_);
      running_ = true;
      started_ = SteadyNow();
    }
    on_change_();
  };
  callbacks.on_log = [this](runtime::LogStream, std::string_view line) {
    services_->logs->AppendLine(order_.key, order_.uid, line);
  };
  callbacks.on_output_file = [this](const runtime::OutputFile& file) {
    return writer_->BeginFile(order_.volumes[file.volume].claim, file.path, file.mode,
                              file.size_bytes);
  };
  callbacks.on_output_data = [this](std::string_view bytes) { return writer_->Add(bytes); };
  callbacks.on_exit = [this](const runtime::PodExit& exit) { OnExit(exit); };
  return callbacks;
}

// What a person must know and no exit code says goes into the pod's own log.
void Pod::OnExit(const runtime::PodExit& exit) {
  const auto tell = [this](std::string_view text) {
    services_->logs->AppendLine(order_.key, order_.uid, fmt::format("[spillway: {}]", text));
  };
  if (!exit.ran || (exit.code == 0 && !exit.reason.empty())) tell(exit.reason);
  for (const std::string& skipped : exit.skipped) tell("not taken as a result: " + skipped);
  for (const std::string& note : exit.notes)
    log::Info("a pod ran with less isolation", {{"pod", order_.key}, {"note", note}});
  writer_.reset();
  log::Info("pod ended", {{"pod", order_.key}, {"code", exit.code}});
  {
    const std::lock_guard lock(mutex_);
    exit_ = exit;
  }
  on_change_();
}

void Pod::Stop() {
  if (stopping_) return;
  stopping_ = true;
  if (process_) process_->Terminate(Duration(order_.grace_ms));
  const std::lock_guard lock(mutex_);
  if (!HasStarted()) exit_ = NeverStarted("stopped before it was started");
}

void Pod::Kill() {
  if (process_) process_->Kill();
}

void Pod::Tick() {
  if (!deadline_ || stopping_ || SteadyNow() < *deadline_ || Ended()) return;
  too_late_ = true;
  Stop();
}

bool Pod::Ended() const {
  const std::lock_guard lock(mutex_);
  return exit_.has_value();
}

bool Pod::Settled() const {
  if (!Ended()) return false;
  return !HasStarted() ||
         (services_->results->Pending(order_.uid) == 0 && services_->logs->Drained(order_.uid));
}

std::string Pod::ReasonOf(const runtime::PodExit& exit) const {
  if (too_late_) return "DeadlineExceeded";
  if (!exit.ran) return HasStarted() ? "ContainerCannotRun" : "NeverStarted";
  if (exit.oom) return "OOMKilled";
  if (exit.code != 0) return "Error";
  return exit.outputs_complete ? "" : "ResultsLost";
}

door::PodStatus Pod::Report() const {
  const bool settled = Settled();
  const Duration now = SteadyNow();
  const auto ago = [now](Duration then) {
    return then == Duration{0} ? -1 : std::max<std::int64_t>((now - then).count(), 0);
  };
  const std::lock_guard lock(mutex_);
  door::PodStatus status;
  status.key = order_.key;
  status.uid = order_.uid;
  status.phase = running_ ? "Running" : "Pending";
  status.started_ms_ago = ago(started_);
  if (!exit_) return status;
  if (!settled) {
    status.phase = "Running";
    status.reason = "ReturningResults";
    return status;
  }
  status.reason = ReasonOf(*exit_);
  status.phase = status.reason.empty() ? "Succeeded" : "Failed";
  status.exit_code = exit_->code;
  status.started_ms_ago = ago(exit_->started);
  status.ended_ms_ago = ago(exit_->ended);
  status.max_rss_bytes = exit_->max_rss_bytes;
  return status;
}

}  // namespace spillway::node
