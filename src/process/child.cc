#include "process/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

#include "process/pidfd.h"

extern char** environ;

namespace spillway::process {
namespace {

constexpr Duration kLook = 2ms;     // where there is no pidfd
constexpr Duration kKillTime = 5s;  // only an input or output that hangs takes longer

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Above 0, 1 and 2, so that giving the child one of its numbers does not take another away.
Result<Fd> High(int fd) {
  Fd high(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!high)
    return Fail(Code::kInternal, fmt::format("no descriptor left: {}", std::strerror(errno)));
  return high;
}

}  // namespace

std::vector<std::string> EnvironmentWith(
    const std::vector<std::pair<std::string, std::string>>& set) {
  std::vector<std::string> all;
  for (const auto& [name, value] : set) all.push_back(name + "=" + value);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (std::none_of(set.begin(), set.end(), [&](const auto& ours) { return ours.first == name; }))
      all.emplace_back(text);
  }
  return all;
}

// posix_spawn tells a failed exec at once, and does not copy a large process.
Result<Child> Child::Start(const Command& command, const Standard& standard) {
  SPW_CHECK(!command.argv.empty());
  SPW_ASSIGN(const Fd in, High(standard.in));
  SPW_ASSIGN(const Fd out, High(standard.out));
  SPW_ASSIGN(const Fd err, High(standard.err));
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&files, in.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, err.get(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  if (!command.directory.empty())
    posix_spawn_file_actions_addchdir_np(&files, command.directory.c_str());
  // A daemon blocks and ignores signals that its children must hear.
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const std::vector<char*> argv = Pointers(command.argv), env = Pointers(command.env);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), env.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0)
    return Fail(error == ENOENT ? Code::kNotFound : Code::kInternal,
                fmt::format("{} cannot be started: {}", command.argv[0], std::strerror(error)));
  return Child(pid, PidfdOpen(pid));
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      status_(other.status_) {}

Child::~Child() {
  if (pid_ < 0 || status_) return;
  Signal(SIGKILL);
  (void)Wait(kKillTime);
}

void Child::Signal(int signal) const {
  if (!status_) ::kill(-pid_, signal);
}

std::optional<int> Child::Wait(Duration patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!status_) {
    siginfo_t info{};
    const bool ended =
        ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == pid_;
    if (ended) {
      // What it left behind in its group, whose number cannot be another's before it is reaped.
      Signal(SIGKILL);
      int status = 0;
      while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
      status_ = status;
      break;
    }
    const auto left = std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now());
    if (left <= 0ms) return std::nullopt;
    pollfd entry{pidfd_.get(), POLLIN, 0};
    const Duration step = pidfd_ ? std::min<Duration>(left, 1000ms) : std::min(left, kLook);
    ::poll(&entry, 1, static_cast<int>(step.count()));
  }
  return status_;
}

}  // namespace spillway::process
