#include "runtime/pod_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "runtime/frames.h"
#include "runtime/launch.h"
#include "runtime/line_cutter.h"
#include "runtime/plain.h"

namespace spillway::runtime {
namespace {

// The sandbox's and pod-init's own memory, which is not the pod's to use.
constexpr std::int64_t kOverheadBytes = 32 << 20;
// After the grace, pod-init must have ended the command or be sending outputs; silence for this
// long means that it is stuck.
constexpr std::int64_t kSilenceMs = 10'000;
constexpr std::size_t kMaxNotes = 100;

std::int64_t SteadyMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Result<std::string> PodInitProgram(const PodSpec& spec) {
  if (!spec.pod_init_program.empty()) return spec.pod_init_program;
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error || self.ends_with(" (deleted)"))
    return Fail(
        Code::kUnavailable,
        fmt::format("this program's file '{}' was replaced while it runs; restart it", self));
  return self;
}

InitConfig MakeConfig(const PodSpec& spec) {
  InitConfig config;
  config.argv = spec.argv;
  config.env = PodEnvironment(spec);
  config.working_dir = spec.working_dir.empty() ? "/" : spec.working_dir;
  config.input_limit_bytes = spec.input_limit_bytes;
  config.output_limit_bytes = spec.output_limit_bytes;
  for (const Volume& volume : spec.volumes) {
    InitVolume::Role role = InitVolume::Role::kOther;
    if (std::holds_alternative<MemoryInput>(volume.kind)) role = InitVolume::Role::kInput;
    if (std::holds_alternative<MemoryOutput>(volume.kind)) role = InitVolume::Role::kOutput;
    config.volumes.push_back({volume.mount_path, role});
  }
  return config;
}

std::vector<std::string> NotesFor(const PodSpec& spec, const SandboxSupport& support) {
  std::vector<std::string> notes;
  if (!support.sandbox())
    notes.push_back(
        "not sandboxed: namespaces are not available here, the pod ran as a plain process that can "
        "see the machine's files and network; mount paths were rewritten in its arguments");
  if (spec.memory_bytes > 0 && support.cgroups.memory.version == 0)
    notes.push_back(
        "memory: no control group here; each process's private memory was limited "
        "(RLIMIT_DATA), not the pod's sum");
  if (spec.cpu_milli > 0 && support.cgroups.cpu.version == 0)
    notes.push_back("cpu: not limited, no control group here");
  return notes;
}

}  // namespace

// The pod's thread and everything it owns. The thread also forks, because the kernel's
// parent-death signal follows the forking thread, not the process.
class PodProcess::Loop {
 public:
  Loop(const PodSpec& spec, PodCallbacks callbacks)
      : spec_(spec),
        callbacks_(std::move(callbacks)),
        input_guard_({spec.volumes.size(), kMaxFilesPerPod, spec.input_limit_bytes}),
        output_guard_({spec.volumes.size(), kMaxFilesPerPod, spec.output_limit_bytes}) {}
  ~Loop() {
    if (thread_.joinable()) {
      Request(Wish::kKill, Duration{0});
      thread_.join();
    }
  }

  Status Start(const SandboxSupport& support);

  enum class Wish { kNone, kTerminate, kKill };
  void Request(Wish wish, Duration grace) {
    {
      const std::lock_guard lock(mutex_);
      if (wish <= wish_) return;
      wish_ = wish;
      grace_ = grace;
    }
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }
  const PodExit& Wait() {
    std::unique_lock lock(mutex_);
    done_changed_.wait(lock, [&] { return done_; });
    return exit_;
  }
  std::optional<PodExit> Exit() {
    const std::lock_guard lock(mutex_);
    return done_ ? std::optional(exit_) : std::nullopt;
  }

 private:
  Result<LaunchPlan> Prepare(const SandboxSupport& support);
  void Run();
  void ReadInfo();
  void PollOnce();
  int PollTimeoutMs() const;
  void OnWake();
  void HardKill();
  void FailPod(std::string why);

  void Pump();
  Status FillBuffer();
  Status NextInput();

  bool ReadControl();
  Status OnFrame(const Frame& frame);
  Status OnOutputFile(const FileHeader& header);
  void OnCommandEnded(const CommandEnded& ended);
  bool ReadLog(Fd& fd, LineCutter& cutter, LogStream stream);
  void Finish();

  const PodSpec spec_;
  PodCallbacks callbacks_;
  std::thread thread_;
  Fd wake_;

  std::optional<PodCgroup> cgroup_;  // set once started
  PlainDirectory plain_;
  bool is_plain_ = false;
  Launched child_;
  Fd first_;  // pidfd of the sandbox's process 1

  // Inputs on their way to pod-init.
  std::string outgoing_;
  std::size_t outgoing_sent_ = 0;
  std::size_t input_volume_ = 0;
  FileStreamGuard input_guard_;
  bool inputs_done_ = false;

  // What pod-init says.
  FrameReader reader_;
  FileStreamGuard output_guard_;
  bool started_ = false;
  bool command_ended_ = false;
  bool outputs_wanted_ = true;
  std::int64_t silence_since_ms_ = 0;
  std::optional<std::int64_t> give_up_ms_;  // grace end of Terminate

  LineCutter out_lines_;
  LineCutter err_lines_;
  std::string last_error_line_;
  std::string failure_;
  PodExit result_;  // the thread's; exit_ is the published copy

  std::mutex mutex_;  // guards what follows
  std::condition_variable done_changed_;
  Wish wish_ = Wish::kNone;
  Duration grace_{0};
  bool done_ = false;
  PodExit exit_;
};

Result<LaunchPlan> PodProcess::Loop::Prepare(const SandboxSupport& support) {
  static std::atomic<std::uint64_t> next_number{1};
  const std::uint64_t number = next_number++;
  SPW_ASSIGN(const std::string program, PodInitProgram(spec_));
  InitConfig config = MakeConfig(spec_);
  result_.notes = NotesFor(spec_, support);
  LaunchPlan plan;
  if (support.sandbox()) {
    plan.argv = SandboxArgv(spec_, support.bwrap_path, support.user_namespace, program);
    plan.info = true;
  } else {
    is_plain_ = true;
    SPW_ASSIGN(plain_, PlainDirectory::Make(number));
    SPW_ASSIGN(const auto mounts, MakePlainMounts(spec_, plain_.path()));
    MakePlain(config, spec_, plain_.path(), mounts);
    plan.argv = {program, "pod-init"};
    // pod-init must outlive us for a moment: it sees the socket close, kills every process of the
    // pod and removes the private directory. No namespace would do that for it.
    plan.die_with_caller = false;
  }
  // Read only by builds with the address sanitizer, whose quarantine would fill the pod's memory.
  plan.env = {"ASAN_OPTIONS=quarantine_size_mb=1"};
  if (support.cgroups.memory.version == 0) config.data_limit_bytes = spec_.memory_bytes;
  const std::string encoded = EncodeConfig(config);
  if (encoded.size() > kMaxFrameBytes)
    return Fail(Code::kInvalid, fmt::format("pod '{}': command and environment have {} bytes, at "
                                            "most {} are possible",
                                            spec_.name, encoded.size(), kMaxFrameBytes));
  AppendFrame(outgoing_, FrameType::kConfig, encoded);
  return plan;
}

Status PodProcess::Loop::Start(const SandboxSupport& support) {
  SPW_ASSIGN(LaunchPlan plan, Prepare(support));
  const std::string group =
      fmt::format("{}{}-{}", kPodPrefix, ::getpid(), static_cast<const void*>(this));
  auto cgroup = PodCgroup::Create(support.cgroups, group,
                                  spec_.memory_bytes > 0 ? spec_.memory_bytes + kOverheadBytes : 0,
                                  spec_.cpu_milli);
  if (!cgroup) return Fail(cgroup.error());
  cgroup_.emplace(std::move(*cgroup));
  plan.join_fds = cgroup_->JoinFds();
  wake_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return Fail(Code::kInternal, "cannot start a pod: eventfd");
  std::promise<Status> launched;
  std::future<Status> outcome = launched.get_future();
  thread_ = std::thread([this, &plan, promise = std::move(launched)]() mutable {
    Result<Launched> child = Launch(plan);
    const bool ok = child.has_value();
    if (ok) child_ = std::move(*child);
    promise.set_value(ok ? Ok() : Status(Fail(child.error())));  // `plan` is gone after this
    if (ok) Run();
  });
  Status status = outcome.get();
  if (!status) thread_.join();
  return status;
}

void PodProcess::Loop::Run() {
  ::fcntl(child_.control.get(), F_SETFL, O_NONBLOCK);
  ReadInfo();
  silence_since_ms_ = SteadyMs();
  siginfo_t ended = {};
  const auto pid = static_cast<id_t>(child_.pid);
  while (::waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0)
    PollOnce();
  Finish();
}

// bwrap writes {"child-pid": N} as soon as the sandbox's first process exists.
void PodProcess::Loop::ReadInfo() {
  if (!child_.info) return;
  std::string text;
  std::array<char, 256> bytes;
  while (text.find('}') == std::string::npos && text.size() < 4096) {
    pollfd ready = {child_.info.get(), POLLIN, 0};
    if (::poll(&ready, 1, -1) < 0 && errno != EINTR) break;
    const ssize_t n = ::read(child_.info.get(), bytes.data(), bytes.size());
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) break;
    if (n > 0) text.append(bytes.data(), static_cast<std::size_t>(n));
  }
  child_.info.Close();
  constexpr std::string_view kKey = "\"child-pid\": ";
  const std::size_t key = text.find(kKey);
  if (key == std::string::npos) return;
  pid_t first = 0;
  std::from_chars(text.data() + key + kKey.size(), text.data() + text.size(), first);
  if (first > 1) first_ = PidfdOpen(first);
}

int PodProcess::Loop::PollTimeoutMs() const {
  if (!give_up_ms_) return -1;
  const std::int64_t at = std::max(*give_up_ms_, silence_since_ms_) + kSilenceMs;
  return static_cast<int>(std::clamp<std::int64_t>(at - SteadyMs(), 0, 60'000));
}

void PodProcess::Loop::PollOnce() {
  const bool sending = !inputs_done_ || outgoing_sent_ < outgoing_.size();
  const auto wanted = static_cast<short>(sending ? POLLIN | POLLOUT : POLLIN);
  // A closed descriptor is -1, which poll ignores.
  std::array<pollfd, 5> fds = {{{wake_.get(), POLLIN, 0},
                                {child_.pidfd.get(), POLLIN, 0},
                                {child_.control.get(), wanted, 0},
                                {child_.out.get(), POLLIN, 0},
                                {child_.err.get(), POLLIN, 0}}};
  const int timeout_ms = PollTimeoutMs();
  if (::poll(fds.data(), fds.size(), timeout_ms) <= 0) {
    if (timeout_ms >= 0 && PollTimeoutMs() == 0) FailPod("pod-init did not answer after the grace");
    return;
  }
  ReadControl();  // always first: the start comes before the first line of the log
  if (fds[3].revents != 0) ReadLog(child_.out, out_lines_, LogStream::kOut);
  if (fds[4].revents != 0) ReadLog(child_.err, err_lines_, LogStream::kErr);
  if (child_.control && (fds[2].revents & POLLOUT) != 0) Pump();
  if (fds[0].revents != 0) OnWake();
}

void PodProcess::Loop::OnWake() {
  std::uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof count);
  Wish wish;
  Duration grace;
  {
    const std::lock_guard lock(mutex_);
    wish = wish_;
    grace = grace_;
  }
  if (command_ended_ && wish == Wish::kTerminate) return;
  if (!command_ended_) result_.stopped = true;
  if (wish == Wish::kKill || !started_) return HardKill();
  give_up_ms_ = SteadyMs() + grace.count();
  AppendFrame(outgoing_, FrameType::kTerminate, EncodeGrace(grace.count()));
}

// Process 1 takes the whole sandbox with it, and bwrap ends after it. A plain pod has no process 1:
// closing the socket tells pod-init to kill all and end.
void PodProcess::Loop::HardKill() {
  if (is_plain_)
    child_.control.Close();
  else if (!first_ || !PidfdSignal(first_, SIGKILL))
    ::kill(child_.pid, SIGKILL);  // not reaped yet, so the number is still ours
}

void PodProcess::Loop::FailPod(std::string why) {
  if (failure_.empty()) failure_ = std::move(why);
  give_up_ms_.reset();
  HardKill();
}

void PodProcess::Loop::Pump() {
  if (outgoing_sent_ == outgoing_.size()) {
    outgoing_.clear();
    outgoing_sent_ = 0;
    if (!inputs_done_)
      if (Status filled = FillBuffer(); !filled) return FailPod(filled.error().message);
  }
  const std::string_view rest = std::string_view(outgoing_).substr(outgoing_sent_);
  const ssize_t n = ::send(child_.control.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
  if (n > 0) outgoing_sent_ += static_cast<std::size_t>(n);
  // Other errors: pod-init is gone, which the poll loop sees.
}

// Puts the next piece of the inputs into outgoing_.
Status PodProcess::Loop::FillBuffer() {
  if (input_guard_.remaining() == 0) return NextInput();
  const auto& volume = spec_.volumes[input_volume_];
  InputSource& source = *std::get<MemoryInput>(volume.kind).source;
  std::string bytes(
      static_cast<std::size_t>(std::min<std::int64_t>(input_guard_.remaining(), kDataFrameBytes)),
      '\0');
  auto read = source.Read(bytes.data(), bytes.size());
  if (!read) return Fail(read.error().In(fmt::format("volume '{}'", volume.name)));
  if (*read == 0 || *read > bytes.size())
    return Fail(Code::kCorrupt,
                fmt::format("volume '{}': an input is shorter than announced", volume.name));
  SPW_TRY(input_guard_.OnData(*read));
  AppendFrame(outgoing_, FrameType::kData, std::string_view(bytes).substr(0, *read));
  return Ok();
}

Status PodProcess::Loop::NextInput() {
  for (; input_volume_ < spec_.volumes.size(); ++input_volume_) {
    const Volume& volume = spec_.volumes[input_volume_];
    const auto* input = std::get_if<MemoryInput>(&volume.kind);
    if (input == nullptr) continue;
    auto next = input->source->Next();
    if (!next) return Fail(next.error().In(fmt::format("volume '{}'", volume.name)));
    if (!*next) continue;
    const InputFile& file = **next;
    SPW_TRY(CheckRelativePath(file.path));
    const FileHeader header = {static_cast<std::uint32_t>(input_volume_), file.path,
                               file.mode & 0777, file.mtime.time_since_epoch().count(),
                               file.size_bytes};
    if (header.size_bytes < 0 || header.size_bytes > kMaxFileBytes)
      return Fail(Code::kInvalid,
                  fmt::format("input '{}' has {} bytes", file.path, header.size_bytes));
    SPW_TRY(input_guard_.OnFile(header));
    // The pages of the tmpfs count against the pod's group; they are not the command's to pay for.
    constexpr std::int64_t kPageBytes = 4096;
    SPW_TRY(cgroup_->AddMemory((header.size_bytes / kPageBytes + 2) * kPageBytes));
    AppendFrame(outgoing_, FrameType::kFile, EncodeFile(header));
    return Ok();
  }
  AppendFrame(outgoing_, FrameType::kInputsEnd, {});
  inputs_done_ = true;
  return Ok();
}

// False if there is nothing more to read now.
bool PodProcess::Loop::ReadControl() {
  if (!child_.control) return false;
  std::array<char, kDataFrameBytes> bytes;
  const ssize_t n = ::recv(child_.control.get(), bytes.data(), bytes.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    child_.control.Close();
    return false;
  }
  silence_since_ms_ = SteadyMs();
  reader_.Feed({bytes.data(), static_cast<std::size_t>(n)});
  for (;;) {
    auto frame = reader_.Next();
    Status handled = frame ? Ok() : Status(Fail(frame.error()));
    if (frame && !*frame) return true;
    if (frame) handled = OnFrame(**frame);
    if (handled) continue;
    FailPod(handled.error().message);
    child_.control.Close();
    return false;
  }
}

Status PodProcess::Loop::OnFrame(const Frame& frame) {
  const auto keep = [&](std::vector<std::string>& list) {
    if (list.size() < 2 * kMaxNotes) list.push_back(frame.payload);
  };
  switch (frame.type) {
    case FrameType::kNote:
      keep(result_.notes);
      return Ok();
    case FrameType::kSkipped:
      keep(result_.skipped);
      return Ok();
    case FrameType::kFailure:
      if (failure_.empty()) failure_ = frame.payload;
      return Ok();
    case FrameType::kStarted:
      started_ = true;
      result_.started = Duration(SteadyMs());
      if (callbacks_.on_started) callbacks_.on_started();
      return Ok();
    case FrameType::kCommandEnded: {
      SPW_ASSIGN(const CommandEnded ended, DecodeCommandEnded(frame.payload));
      if (started_) OnCommandEnded(ended);
      return Ok();
    }
    case FrameType::kFile: {
      SPW_ASSIGN(const FileHeader header, DecodeFile(frame.payload));
      return OnOutputFile(header);
    }
    case FrameType::kData:
      SPW_TRY(output_guard_.OnData(frame.payload.size()));
      if (outputs_wanted_ && callbacks_.on_output_data)
        if (Status taken = callbacks_.on_output_data(frame.payload); !taken) {
          outputs_wanted_ = false;
          failure_ = "results were refused: " + taken.error().message;
        }
      return Ok();
    case FrameType::kEnd:
      SPW_TRY(output_guard_.OnEnd());
      result_.outputs_complete = outputs_wanted_;
      return Ok();
    default:
      return Fail(Code::kCorrupt, "pod channel: pod-init sent a frame that is not its to send");
  }
}

Status PodProcess::Loop::OnOutputFile(const FileHeader& header) {
  SPW_TRY(output_guard_.OnFile(header));
  if (!command_ended_ || !std::holds_alternative<MemoryOutput>(spec_.volumes[header.volume].kind))
    return Fail(Code::kCorrupt, "pod channel: an output at the wrong time or of the wrong volume");
  if (!outputs_wanted_ || !callbacks_.on_output_file) return Ok();
  const OutputFile file = {header.volume, header.path, header.mode, Time(Duration(header.mtime_ms)),
                           header.size_bytes};
  if (Status taken = callbacks_.on_output_file(file); !taken) {
    outputs_wanted_ = false;
    failure_ = "results were refused: " + taken.error().message;
  }
  return Ok();
}

void PodProcess::Loop::OnCommandEnded(const CommandEnded& ended) {
  command_ended_ = true;
  result_.code = ended.code;
  result_.signal = ended.signal;
  result_.started = Duration(ended.started_ms);
  result_.ended = Duration(ended.ended_ms);
  result_.max_rss_bytes = ended.max_rss_bytes;
}

// False if there is nothing more to read now.
bool PodProcess::Loop::ReadLog(Fd& fd, LineCutter& cutter, LogStream stream) {
  if (!fd) return false;
  std::array<char, 64 << 10> bytes;
  const ssize_t n = ::read(fd.get(), bytes.data(), bytes.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  const std::function<void(std::string_view)> line = [&](std::string_view text) {
    if (stream == LogStream::kErr && !started_) last_error_line_ = text;
    if (callbacks_.on_log) callbacks_.on_log(stream, text);
  };
  if (n <= 0) {
    if (!cutter.empty()) cutter.Emit(line);
    fd.Close();
    return false;
  }
  cutter.Feed({bytes.data(), static_cast<std::size_t>(n)}, line);
  return true;
}

// The process has ended: take what is still in the pipes, reap, and tell.
void PodProcess::Loop::Finish() {
  while (ReadControl()) {
  }
  if (is_plain_) cgroup_->KillAll();
  while (ReadLog(child_.out, out_lines_, LogStream::kOut)) {
  }
  while (ReadLog(child_.err, err_lines_, LogStream::kErr)) {
  }
  int status = 0;
  rusage usage = {};
  ::wait4(child_.pid, &status, 0, &usage);
  result_.ran = started_;
  result_.oom = cgroup_->OomKills() > 0;
  if (!command_ended_) {  // pod-init could not tell: killed, or never there
    result_.signal = started_ ? SIGKILL : 0;
    result_.code = 128 + result_.signal;
    result_.ended = Duration(started_ ? SteadyMs() : 0);
    result_.max_rss_bytes = std::int64_t{usage.ru_maxrss} * 1024;
  }
  if (result_.code == 0) result_.oom = false;  // it did without what was killed
  if (result_.signal != 0)
    result_.reason =
        fmt::format("killed by signal {} ({})", result_.signal, ::strsignal(result_.signal));
  else if (result_.code != 0 && started_)
    result_.reason = fmt::format("exit code {}", result_.code);
  else if (!started_)
    result_.reason =
        fmt::format("the command was not started: {}", !failure_.empty() ? failure_
                                                       : result_.stopped ? "stopped before"
                                                                         : last_error_line_);
  if (result_.oom)
    result_.reason += fmt::format(": out of memory, the limit is {} bytes", spec_.memory_bytes);
  if (started_ && !failure_.empty())
    result_.reason += (result_.reason.empty() ? "" : "; ") + failure_;
  plain_.Remove();
  cgroup_.reset();
  if (callbacks_.on_exit) callbacks_.on_exit(result_);
  const std::lock_guard lock(mutex_);
  exit_ = result_;
  done_ = true;
  done_changed_.notify_all();
}

PodProcess::PodProcess(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
PodProcess::~PodProcess() = default;

Result<std::unique_ptr<PodProcess>> PodProcess::Start(const PodSpec& spec,
                                                      const SandboxSupport& support,
                                                      PodCallbacks callbacks) {
  SPW_TRY(CheckPodSpec(spec));
  auto loop = std::make_unique<Loop>(spec, std::move(callbacks));
  if (Status started = loop->Start(support); !started)
    return Fail(started.error().In(fmt::format("pod '{}'", spec.name)));
  return std::unique_ptr<PodProcess>(new PodProcess(std::move(loop)));
}

void PodProcess::Terminate(Duration grace) {
  loop_->Request(Loop::Wish::kTerminate, std::max(grace, Duration{0}));
}
void PodProcess::Kill() {
  loop_->Request(Loop::Wish::kKill, Duration{0});
}
const PodExit& PodProcess::Wait() {
  return loop_->Wait();
}
std::optional<PodExit> PodProcess::Exit() const {
  return loop_->Exit();
}

}  // namespace spillway::runtime
