#include "runtime/pod_init.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "runtime/fd.h"
#include "runtime/frames.h"
#include "runtime/launch.h"
#include "runtime/tree.h"

namespace spillway::runtime {
namespace {

constexpr int kMaxSkippedReports = 100;

tl::unexpected<Error> Failed(std::string_view what, std::string_view path) {
  return Fail(Code::kInternal, fmt::format("{} '{}': {}", what, path, std::strerror(errno)));
}

std::int64_t MonotonicMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The socket to the parent, used blocking.
class Control {
 public:
  Status Send(FrameType type, std::string_view payload = {}) {
    buffer_.clear();
    AppendFrame(buffer_, type, payload);
    for (std::size_t sent = 0; sent < buffer_.size();) {
      const ssize_t n =
          ::send(kControlFd, buffer_.data() + sent, buffer_.size() - sent, MSG_NOSIGNAL);
      if (n < 0 && errno != EINTR) return Failed("cannot write to", "the parent");
      if (n > 0) sent += static_cast<std::size_t>(n);
    }
    return Ok();
  }

  // Reads once. False: the parent is gone.
  bool ReadOnce() {
    std::array<char, kDataFrameBytes> bytes;
    ssize_t n = 0;
    do {
      n = ::read(kControlFd, bytes.data(), bytes.size());
    } while (n < 0 && errno == EINTR);
    if (n <= 0) return false;
    reader_.Feed({bytes.data(), static_cast<std::size_t>(n)});
    return true;
  }
  Result<std::optional<Frame>> Buffered() { return reader_.Next(); }

  // Waits for a whole frame; kUnavailable if the parent is gone.
  Result<Frame> Receive() {
    for (;;) {
      SPW_ASSIGN(auto frame, reader_.Next());
      if (frame) return std::move(*frame);
      if (!ReadOnce()) return Fail(Code::kUnavailable, "the parent is gone");
    }
  }

 private:
  FrameReader reader_;
  std::string buffer_;
};

// Writes the input files below their volumes.
class InputWriter {
 public:
  explicit InputWriter(const InitConfig& config)
      : config_(config),
        guard_({config.volumes.size(), kMaxFilesPerPod, config.input_limit_bytes}) {}

  Status OnFile(std::string_view payload) {
    SPW_ASSIGN(header_, DecodeFile(payload));
    SPW_TRY(guard_.OnFile(header_));
    const InitVolume& volume = config_.volumes[header_.volume];
    if (volume.role != InitVolume::Role::kInput)
      return Fail(Code::kCorrupt, "pod channel: a file for a volume that is not an input");
    SPW_ASSIGN(file_, CreateBelow(volume.path, header_.path));
    return FinishIfComplete();
  }
  Status OnData(std::string_view bytes) {
    SPW_TRY(guard_.OnData(bytes.size()));
    while (!bytes.empty()) {
      const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("cannot write input", header_.path);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return FinishIfComplete();
  }
  Status OnEnd() const { return guard_.OnEnd(); }

 private:
  Status FinishIfComplete() {
    if (guard_.remaining() > 0) return Ok();
    const std::int64_t seconds =
        header_.mtime_ms >= 0 ? header_.mtime_ms / 1000 : (header_.mtime_ms - 999) / 1000;
    const timespec time = {seconds, (header_.mtime_ms - seconds * 1000) * 1'000'000};
    const std::array times = {time, time};
    if (::fchmod(file_.get(), (header_.mode & 0555) | 0400) != 0 ||
        ::futimens(file_.get(), times.data()) != 0)
      return Failed("cannot finish input", header_.path);
    file_.Close();
    return Ok();
  }

  const InitConfig& config_;
  FileStreamGuard guard_;
  FileHeader header_;
  Fd file_;
};

Status ReceiveInputs(Control& control, const InitConfig& config) {
  InputWriter writer(config);
  for (;;) {
    SPW_ASSIGN(const Frame frame, control.Receive());
    if (frame.type == FrameType::kFile)
      SPW_TRY(writer.OnFile(frame.payload));
    else if (frame.type == FrameType::kData)
      SPW_TRY(writer.OnData(frame.payload));
    else if (frame.type == FrameType::kInputsEnd)
      return writer.OnEnd();
    else
      return Fail(Code::kCorrupt, "pod channel: unexpected frame between the inputs");
  }
}

// Takes write permission everywhere, and where the kernel lets us remounts read-only, which even
// the files' owner cannot undo.
Status ProtectInputs(Control& control, const InitConfig& config) {
  for (const InitVolume& volume : config.volumes) {
    if (volume.role != InitVolume::Role::kInput) continue;
    SPW_TRY(MakeTreeReadOnly(volume.path));
    if (config.plain) continue;
    const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
    if (::mount(nullptr, volume.path.c_str(), nullptr, flags, nullptr) != 0)
      SPW_TRY(control.Send(FrameType::kNote,
                           fmt::format("{} is protected by file permissions only: remount "
                                       "read-only: {}",
                                       volume.path, std::strerror(errno))));
  }
  return Ok();
}

// For good: also for programs started later (no_new_privs, bounding set).
Status DropCapabilities() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("prctl", "no_new_privs");
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return Failed("capset", "none");
  return Ok();
}

void WriteOomScore() {
  // Prefer to lose the command rather than pod-init, which still has results to bring home.
  const Fd fd(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (fd) (void)!::write(fd.get(), "1000", 4);
}

void SetLimits(const InitConfig& config) {
  // 1, not 0: a core pattern that pipes to a program ignores 0 and would carry the pod's memory to
  // the host's disk; 1 is the value that the kernel refuses to dump for in either case (core(5)).
  const rlimit no_core = {1, 1};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (config.data_limit_bytes <= 0) return;
  const auto bytes = static_cast<rlim_t>(config.data_limit_bytes);
  const rlimit data = {bytes, bytes};
  ::setrlimit(RLIMIT_DATA, &data);
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void RunCommand(const InitConfig& config, pid_t init) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != init) ::_exit(1);
  ::prctl(PR_SET_DUMPABLE, 1);  // else /proc/self belongs to root
  WriteOomScore();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::umask(022);
  const auto fail = [&](int code, const std::string& what) {
    (void)!::write(STDERR_FILENO, what.data(), what.size());
    ::_exit(code);
  };
  const std::string& directory = config.working_dir;
  if (!directory.empty() && ::chdir(directory.c_str()) != 0)
    fail(126,
         fmt::format("cannot enter working directory '{}': {}\n", directory, std::strerror(errno)));
  std::vector<char*> argv = Pointers(config.argv);
  std::vector<char*> env = Pointers(config.env);
  ::environ = env.data();
  SetLimits(config);
  ::execvp(argv[0], argv.data());
  const int code = errno == ENOENT ? 127 : 126;  // a shell's codes
  fail(code, fmt::format("cannot run '{}': {}\n", config.argv[0], std::strerror(errno)));
  ::_exit(code);
}

// Kills every other process of this pod and waits for it.
void KillRest(const InitConfig& config) {
  if (!config.plain && ::getpid() == 1) ::kill(-1, SIGKILL);
  // A plain pod has no namespace to end. pod-init is the subreaper, so a process that left its
  // parents becomes its child; killed one generation at a time until there is no child.
  for (;;) {
    if (config.plain) {
      std::ifstream children(fmt::format("/proc/self/task/{}/children", ::getpid()));
      for (pid_t pid = 0; children >> pid;) ::kill(pid, SIGKILL);
    }
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
  }
}

// Runs the command to its end. Nothing: the parent is gone.
class CommandRun {
 public:
  CommandRun(Control& control, const InitConfig& config) : control_(control), config_(config) {}

  Result<std::optional<CommandEnded>> Run() {
    sigset_t watched;
    ::sigemptyset(&watched);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) ::sigaddset(&watched, signal);
    ::sigprocmask(SIG_BLOCK, &watched, nullptr);
    const Fd signals(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) return Failed("signalfd", "");
    const pid_t init = ::getpid();
    // Before the fork, so that the parent hears of the start before the command's first line.
    SPW_TRY(control_.Send(FrameType::kStarted));
    ended_.started_ms = MonotonicMs();
    child_ = ::fork();
    if (child_ < 0) return Failed("cannot fork", config_.argv[0]);
    if (child_ == 0) RunCommand(config_, init);
    ::setpgid(child_, child_);
    while (!done_) {
      std::array<pollfd, 2> fds = {{{kControlFd, POLLIN, 0}, {signals.get(), POLLIN, 0}}};
      if (::poll(fds.data(), fds.size(), PollTimeoutMs()) < 0 && errno != EINTR)
        return Failed("poll", "");
      if (kill_at_ms_ && MonotonicMs() >= *kill_at_ms_) Signal(SIGKILL), kill_at_ms_.reset();
      if (fds[1].revents != 0) OnSignals(signals.get());
      if (fds[0].revents != 0 && !OnControl()) return std::nullopt;
    }
    return ended_;
  }

 private:
  int PollTimeoutMs() const {
    if (!kill_at_ms_) return -1;
    return static_cast<int>(std::clamp<std::int64_t>(*kill_at_ms_ - MonotonicMs(), 0, 60'000));
  }
  void Signal(int signal) const { ::kill(-child_, signal); }

  void OnSignals(int fd) {
    signalfd_siginfo info;
    while (::read(fd, &info, sizeof info) == sizeof info)
      if (info.ssi_signo != SIGCHLD) Signal(static_cast<int>(info.ssi_signo));
    int status = 0;
    rusage usage = {};
    for (pid_t pid; (pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0;) {
      if (pid != child_) continue;
      done_ = true;
      ended_.ended_ms = MonotonicMs();
      ended_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      ended_.code = WIFSIGNALED(status) ? 128 + ended_.signal : WEXITSTATUS(status);
      ended_.max_rss_bytes = std::int64_t{usage.ru_maxrss} * 1024;
    }
  }

  // False: the parent is gone or talks nonsense.
  bool OnControl() {
    if (!control_.ReadOnce()) return false;
    for (;;) {
      const auto frame = control_.Buffered();
      if (!frame) return false;
      if (!*frame) return true;
      const auto grace_ms = DecodeGrace((*frame)->payload);
      if ((*frame)->type != FrameType::kTerminate || !grace_ms) return false;
      if (done_) continue;
      Signal(SIGTERM);
      kill_at_ms_ = MonotonicMs() + *grace_ms;
    }
  }

  Control& control_;
  const InitConfig& config_;
  pid_t child_ = -1;
  bool done_ = false;
  CommandEnded ended_;
  std::optional<std::int64_t> kill_at_ms_;
};

Status SendFile(Control& control, std::uint32_t volume, const std::string& path, int fd,
                const struct stat& info) {
  FileHeader header;
  header.volume = volume;
  header.path = path;
  header.mode = info.st_mode & 0777;
  header.mtime_ms = std::int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
  header.size_bytes = info.st_size;
  SPW_TRY(control.Send(FrameType::kFile, EncodeFile(header)));
  std::string bytes(kDataFrameBytes, '\0');
  for (std::int64_t left = header.size_bytes; left > 0;) {
    const auto want = static_cast<std::size_t>(std::min<std::int64_t>(left, kDataFrameBytes));
    const ssize_t n = ::read(fd, bytes.data(), want);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed("cannot read output", path);
    const std::string_view chunk(bytes.data(), static_cast<std::size_t>(n));
    SPW_TRY(control.Send(FrameType::kData, chunk));
    left -= n;
  }
  return Ok();
}

Status SendOutputs(Control& control, const InitConfig& config) {
  FileStreamGuard guard({config.volumes.size(), kMaxFilesPerPod, config.output_limit_bytes});
  int skipped = 0;
  for (std::uint32_t volume = 0; volume < config.volumes.size(); ++volume) {
    const InitVolume& place = config.volumes[volume];
    if (place.role != InitVolume::Role::kOutput) continue;
    TreeVisitor visitor;
    visitor.skipped = [&](const std::string& path, const std::string& why) -> Status {
      if (++skipped > kMaxSkippedReports) return Ok();
      return control.Send(FrameType::kSkipped, fmt::format("{}/{}: {}", place.path, path, why));
    };
    visitor.file = [&](const std::string& path, int fd, const struct stat& info) -> Status {
      FileHeader header;
      header.volume = volume;
      header.size_bytes = info.st_size;
      header.path = path;
      if (Status fits = guard.OnFile(header); !fits)
        return visitor.skipped(path, fits.error().message);
      SPW_TRY(guard.OnData(static_cast<std::size_t>(info.st_size)));
      return SendFile(control, volume, path, fd, info);
    };
    SPW_TRY(WalkTree(place.path, visitor));
  }
  if (skipped > kMaxSkippedReports)
    SPW_TRY(control.Send(FrameType::kSkipped,
                         fmt::format("and {} more", skipped - kMaxSkippedReports)));
  return control.Send(FrameType::kEnd);
}

// The whole life of a pod; an error before Started is told to the parent by the caller.
Status LivePod(Control& control, InitConfig& config) {
  SPW_ASSIGN(const Frame first, control.Receive());
  if (first.type != FrameType::kConfig)
    return Fail(Code::kCorrupt, "pod channel: the configuration must come first");
  SPW_ASSIGN(config, DecodeConfig(first.payload));
  if (config.plain) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  SPW_TRY(ReceiveInputs(control, config));
  SPW_TRY(ProtectInputs(control, config));
  SPW_TRY(DropCapabilities());
  ::prctl(PR_SET_DUMPABLE, 0);  // dropping capabilities must not have made us readable again
  SPW_ASSIGN(const auto ended, CommandRun(control, config).Run());
  KillRest(config);
  if (!ended) return Fail(Code::kUnavailable, "the parent is gone");
  SPW_TRY(control.Send(FrameType::kCommandEnded, EncodeCommandEnded(*ended)));
  return SendOutputs(control, config);
}

}  // namespace

int PodInitMain(int /*argc*/, char** /*argv*/) {
  // The command runs as the same user: without this it could open our socket through /proc and tell
  // the parent anything.
  ::prctl(PR_SET_DUMPABLE, 0);
  ::fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  ::close_range(kControlFd + 1, ~0U, 0);
  ::umask(022);
  Control control;
  InitConfig config;
  const Status lived = LivePod(control, config);
  if (!lived) {
    KillRest(config);
    const Status told = control.Send(FrameType::kFailure, lived.error().message);
    if (!told && !config.plain_root.empty()) RemoveTree(config.plain_root);
  }
  // Not a return: a sanitizer's check at exit needs to trace this process, which is forbidden.
  ::_exit(lived ? 0 : 1);
}

}  // namespace spillway::runtime
