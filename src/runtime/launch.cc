#include "runtime/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace spillway::runtime {
namespace {

constexpr int kSafeFd = 16;  // above every number the child's descriptors are moved to

tl::unexpected<Error> Failed(std::string_view what) {
  return Fail(Code::kInternal,
              fmt::format("cannot start a pod: {}: {}", what, std::strerror(errno)));
}

// Moves a descriptor out of the way of the fixed numbers.
Result<Fd> High(int fd) {
  const Fd low(fd);
  Fd high(::fcntl(fd, F_DUPFD_CLOEXEC, kSafeFd));
  if (!high) return Failed("descriptor");
  return high;
}

struct Ends {
  Fd parent;
  Fd child;
};

Result<Ends> MakePipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return Failed("pipe");
  Fd read_end(fds[0]);
  SPW_ASSIGN(Fd write_end, High(fds[1]));
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  return Ends{std::move(read_end), std::move(write_end)};
}

Result<Ends> MakeSocketPair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0)
    return Failed("socketpair");
  Fd parent(fds[0]);
  SPW_ASSIGN(Fd child, High(fds[1]));
  return Ends{std::move(parent), std::move(child)};
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

struct ChildSetup {
  char* const* argv;
  char* const* env;
  const int* join_fds;
  std::size_t join_count;
  int out, err, control, info;  // info -1: none
  pid_t parent;
  bool die_with_caller;
};

[[noreturn]] void ChildFails(std::string_view what) {
  // Only async-signal-safe calls here.
  const char* why = ::strerrordesc_np(errno);
  (void)!::write(STDERR_FILENO, what.data(), what.size());
  (void)!::write(STDERR_FILENO, ": ", 2);
  if (why != nullptr) (void)!::write(STDERR_FILENO, why, std::strlen(why));
  (void)!::write(STDERR_FILENO, "\n", 1);
  ::_exit(127);
}

// Runs between fork and exec of a process with many threads: async-signal-safe calls only.
[[noreturn]] void RunChild(const ChildSetup& setup) {
  ::dup2(setup.out, STDOUT_FILENO);
  ::dup2(setup.err, STDERR_FILENO);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || (null != STDIN_FILENO && ::dup2(null, STDIN_FILENO) < 0)) ChildFails("/dev/null");
  for (std::size_t i = 0; i < setup.join_count; ++i)
    if (::write(setup.join_fds[i], "0", 1) != 1) ChildFails("cannot enter the control group");
  ::dup2(setup.control, kControlFd);
  int first_unused = kControlFd + 1;
  if (setup.info >= 0) {
    ::dup2(setup.info, kInfoFd);
    first_unused = kInfoFd + 1;
  }
  ::close_range(static_cast<unsigned>(first_unused), ~0U, 0);
  ::setsid();
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (setup.die_with_caller) ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != setup.parent) ::_exit(127);  // the parent died before prctl
  ::execve(setup.argv[0], setup.argv, setup.env);
  ChildFails(setup.argv[0]);
}

}  // namespace

Result<Launched> Launch(const LaunchPlan& plan) {
  SPW_ASSIGN(Ends control, MakeSocketPair());
  SPW_ASSIGN(Ends out, MakePipe());
  SPW_ASSIGN(Ends err, MakePipe());
  Ends info;
  if (plan.info) {
    SPW_ASSIGN(info, MakePipe());
  }
  // Join descriptors may be low numbers that dup2 would overwrite.
  std::vector<Fd> join;
  std::vector<int> join_fds;
  for (const int fd : plan.join_fds) {
    join.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, kSafeFd));
    if (!join.back()) return Failed("descriptor");
    join_fds.push_back(join.back().get());
  }
  const std::vector<char*> argv = Pointers(plan.argv);
  const std::vector<char*> env = Pointers(plan.env);
  const ChildSetup setup = {argv.data(),         env.data(),       join_fds.data(),
                            join_fds.size(),     out.child.get(),  err.child.get(),
                            control.child.get(), info.child.get(), ::getpid(),
                            plan.die_with_caller};
  Launched launched;
  launched.pid = ::fork();
  if (launched.pid < 0) return Failed("fork");
  if (launched.pid == 0) RunChild(setup);
  launched.pidfd = PidfdOpen(launched.pid);
  if (!launched.pidfd) {
    const auto failed = Failed("pidfd_open");
    ::kill(launched.pid, SIGKILL);
    ::waitpid(launched.pid, nullptr, 0);
    return failed;
  }
  launched.control = std::move(control.parent);
  launched.out = std::move(out.parent);
  launched.err = std::move(err.parent);
  launched.info = std::move(info.parent);
  return launched;
}

}  // namespace spillway::runtime
