#include "clouds/exec/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "runtime/fd.h"

namespace spillway::exec {
namespace {

using runtime::Fd;
using Steady = std::chrono::steady_clock;

constexpr int kAboveStandard = 3;  // no descriptor of ours may have one of the child's numbers

tl::unexpected<Error> Failed(std::string_view what, int error) {
  return Fail(Code::kInternal, fmt::format("{}: {}", what, std::strerror(error)));
}

Result<Fd> High(Fd low) {
  Fd high(::fcntl(low.get(), F_DUPFD_CLOEXEC, kAboveStandard));
  if (!high) return Failed("no descriptor left", errno);
  return high;
}

Result<Fd> InputFile(std::string_view text) {
  SPW_ASSIGN(Fd file, High(Fd(::memfd_create("request", MFD_CLOEXEC))));
  while (!text.empty()) {
    const ssize_t n = ::write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed("the request cannot be written", errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

struct Pipe {
  Fd ours, theirs;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return Failed("no pipe left", errno);
  Fd low_read(fds[0]), low_write(fds[1]);
  Pipe pipe;
  SPW_ASSIGN(pipe.ours, High(std::move(low_read)));
  SPW_ASSIGN(pipe.theirs, High(std::move(low_write)));
  ::fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn tells a failed exec at once, and does not copy a large process.
Result<pid_t> Spawn(const ProgramPlan& plan, const Fd& in, const Fd& out, const Fd& err) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&files, in.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, err.get(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawn_file_actions_addchdir_np(&files, "/");
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const std::vector<char*> argv = Pointers(plan.argv), env = Pointers(plan.env);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), env.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return Failed(plan.argv[0] + " cannot be started", error);
  return pid;
}

// Cuts standard error into lines within the limits.
class Lines {
 public:
  explicit Lines(const ProgramPlan& plan) : plan_(plan) {}

  void Feed(std::string_view bytes) {
    for (const char c : bytes) {
      if (c == '\n')
        End();
      else if (++length_ <= kMaxLineBytes)
        line_ += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  void End() {
    if (length_ == 0) return;
    ++lines_;
    if (plan_.said && lines_ == kMaxLines)
      plan_.said("(more lines are left out)");
    else if (plan_.said && lines_ < kMaxLines)
      plan_.said(length_ > kMaxLineBytes ? fmt::format("(a line of {} bytes is left out)", length_)
                                         : line_);
    line_.clear();
    length_ = 0;
  }

 private:
  const ProgramPlan& plan_;
  std::string line_;
  std::size_t length_ = 0;
  int lines_ = 0;
};

// One run between its start and its end.
class Run {
 public:
  Run(const ProgramPlan& plan, pid_t pid, Fd out, Fd err)
      : plan_(plan),
        pid_(pid),
        pidfd_(runtime::PidfdOpen(pid)),
        out_(std::move(out)),
        err_(std::move(err)),
        lines_(plan),
        deadline_(Steady::now() + plan.timeout) {}

  ProgramEnd Wait() {
    while (pidfd_) {  // none: no descriptor left, so it is ended at once
      std::array<pollfd, 3> polled = {pollfd{pidfd_.get(), POLLIN, 0},
                                      pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0}};
      const auto left = std::chrono::ceil<Duration>(deadline_ - Steady::now());
      const int ready = ::poll(polled.data(), polled.size(),
                               static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000)));
      if (ready < 0 && errno != EINTR) break;
      if (polled[1].revents != 0) ReadOutput();
      if (polled[2].revents != 0) ReadErrors();
      if (polled[0].revents != 0) break;  // it has ended
      if (Steady::now() >= deadline_ && !Escalate(ProgramEnd::How::kTimedOut)) break;
    }
    return Finish();
  }

 private:
  // Takes what is there, at most one pipe's capacity. The descriptor is closed at its end.
  template <typename Take>
  static void Read(Fd& fd, const Take& take) {
    std::array<char, 16 << 10> buffer;
    for (int i = 0; i < 64 && fd; ++i) {
      const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
      if (n > 0)
        take(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
      else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        fd.Close();
      else if (errno == EAGAIN)
        return;
    }
  }
  void ReadOutput() {
    Read(out_, [this](std::string_view bytes) {
      if (end_.output.size() + bytes.size() <= plan_.max_output)
        end_.output += bytes;
      else if (!cut_short_)
        Escalate(ProgramEnd::How::kTooMuchOutput);
    });
  }
  void ReadErrors() {
    Read(err_, [this](std::string_view bytes) { lines_.Feed(bytes); });
  }

  // First asks its group to end, then makes it. False: nothing is left to try.
  bool Escalate(ProgramEnd::How why) {
    if (killed_) return false;
    if (!cut_short_) {
      cut_short_ = why;
      ::kill(-pid_, SIGTERM);
      deadline_ = Steady::now() + plan_.grace;
    } else {
      killed_ = true;
      ::kill(-pid_, SIGKILL);
      deadline_ = Steady::now() + 5s;  // only an input or output that hangs takes longer
    }
    return true;
  }

  ProgramEnd Finish() {
    // While it is not reaped its number, and its group's, cannot belong to another.
    ::kill(-pid_, SIGKILL);
    ReadOutput();
    ReadErrors();
    lines_.End();
    int status = 0;
    const bool reaped = ::waitpid(pid_, &status, killed_ ? WNOHANG : 0) == pid_;
    if (cut_short_) {
      end_.how = *cut_short_;
    } else if (reaped && WIFEXITED(status)) {
      end_.how = ProgramEnd::How::kExited;
      end_.status = WEXITSTATUS(status);
    } else {
      end_.how = ProgramEnd::How::kKilled;
      end_.status = reaped && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }
    return std::move(end_);
  }

  const ProgramPlan& plan_;
  const pid_t pid_;
  const Fd pidfd_;
  Fd out_, err_;
  Lines lines_;
  Steady::time_point deadline_;
  std::optional<ProgramEnd::How> cut_short_;
  bool killed_ = false;
  ProgramEnd end_;
};

}  // namespace

std::string ProgramEnd::Describe(const ProgramPlan& plan) const {
  switch (how) {
    case How::kExited:
      return fmt::format("exited with status {}", status);
    case How::kKilled:
      return fmt::format("was killed by signal {}", status);
    case How::kTimedOut:
      return fmt::format("did not end within {} and was killed", HumanDuration(plan.timeout));
    case How::kTooMuchOutput:
      return fmt::format("wrote more than {} bytes and was killed", plan.max_output);
  }
  return "ended";
}

Result<ProgramEnd> RunProgram(const ProgramPlan& plan) {
  SPW_CHECK(!plan.argv.empty() && plan.argv[0].starts_with('/'), "a program has an absolute path");
  SPW_ASSIGN(const Fd in, InputFile(plan.input));
  SPW_ASSIGN(Pipe out, MakePipe());
  SPW_ASSIGN(Pipe err, MakePipe());
  SPW_ASSIGN(const pid_t pid, Spawn(plan, in, out.theirs, err.theirs));
  out.theirs.Close();
  err.theirs.Close();
  return Run(plan, pid, std::move(out.ours), std::move(err.ours)).Wait();
}

}  // namespace spillway::exec
