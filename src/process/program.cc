#include "process/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

namespace spillway::process {
namespace {

using Steady = std::chrono::steady_clock;

constexpr Duration kKillTime = 5s;  // only an input or output that hangs takes longer

tl::unexpected<Error> Failed(std::string_view what, int error) {
  return Fail(Code::kInternal, fmt::format("{}: {}", what, std::strerror(error)));
}

Result<Fd> InputFile(std::string_view text) {
  Fd file(::memfd_create("request", MFD_CLOEXEC));
  while (file && !text.empty()) {
    const ssize_t n = ::write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed("the input cannot be written", errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (!file) return Failed("no descriptor left", errno);
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

struct Pipe {
  Fd ours, theirs;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return Failed("no pipe left", errno);
  Pipe pipe{Fd(fds[0]), Fd(fds[1])};
  ::fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK);
  return pipe;
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
  Run(const ProgramPlan& plan, Child child, Fd out, Fd err)
      : plan_(plan),
        child_(std::move(child)),
        out_(std::move(out)),
        err_(std::move(err)),
        lines_(plan),
        deadline_(Steady::now() + plan.timeout) {}

  ProgramEnd Wait() {
    while (child_.pidfd()) {  // none: no descriptor left, so it is ended at once
      std::array<pollfd, 3> polled = {pollfd{child_.pidfd().get(), POLLIN, 0},
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
      child_.Signal(SIGTERM);
      deadline_ = Steady::now() + plan_.grace;
    } else {
      killed_ = true;
      child_.Signal(SIGKILL);
      deadline_ = Steady::now() + kKillTime;
    }
    return true;
  }

  ProgramEnd Finish() {
    child_.Signal(SIGKILL);
    ReadOutput();
    ReadErrors();
    lines_.End();
    const std::optional<int> status = child_.Wait(killed_ ? 0ms : kKillTime);
    if (cut_short_) {
      end_.how = *cut_short_;
    } else if (status && WIFEXITED(*status)) {
      end_.how = ProgramEnd::How::kExited;
      end_.status = WEXITSTATUS(*status);
    } else {
      end_.how = ProgramEnd::How::kKilled;
      end_.status = status && WIFSIGNALED(*status) ? WTERMSIG(*status) : 0;
    }
    return std::move(end_);
  }

  const ProgramPlan& plan_;
  Child child_;
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
  SPW_ASSIGN(const Fd in, InputFile(plan.input));
  SPW_ASSIGN(Pipe out, MakePipe());
  SPW_ASSIGN(Pipe err, MakePipe());
  SPW_ASSIGN(Child child,
             Child::Start(plan.command, {in.get(), out.theirs.get(), err.theirs.get()}));
  out.theirs.Close();
  err.theirs.Close();
  return Run(plan, std::move(child), std::move(out.ours), std::move(err.ours)).Wait();
}

}  // namespace spillway::process
