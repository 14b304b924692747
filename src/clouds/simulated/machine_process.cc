#include "clouds/simulated/machine_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

namespace spillway::simulated {
namespace {

std::string Because(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

// Start time of a process that runs; nullopt if there is none or it is a zombie.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
std::optional<std::int64_t> StartTicks(pid_t pid) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(stream, line)) return std::nullopt;
  // The name in parentheses may hold anything; the fields follow its last one.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  std::string state;
  fields >> state;
  if (state == "Z" || state == "X") return std::nullopt;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  std::int64_t ticks = 0;
  if (!(fields >> ticks)) return std::nullopt;
  return ticks;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// In the child, between fork and exec: only async-signal-safe calls.
[[noreturn]] void RunChild(int go, int log, char* const* argv, char* const* env) {
  ::setsid();
  (void)!::write(go, "s", 1);
  // Wait until the parent has recorded us; end of file means that it died or gave up.
  char byte = 0;
  ssize_t n = 0;
  do {
    n = ::read(go, &byte, 1);
  } while (n < 0 && errno == EINTR);
  if (n != 1) ::_exit(126);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) ::_exit(126);
  ::close_range(3, ~0U, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execve(argv[0], argv, env);
  static constexpr char kFailed[] = "the machine's program cannot be started\n";
  (void)!::write(2, kFailed, sizeof kFailed - 1);
  ::_exit(127);
}

}  // namespace

Result<ProcessId> StartProcess(const ProcessPlan& plan,
                               const std::function<Status(ProcessId)>& recorded) {
  const std::vector<char*> argv = Pointers(plan.argv), env = Pointers(plan.env);
  const int log = ::open(plan.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return Fail(Code::kInternal, Because(("cannot open " + plan.log.string()).c_str()));
  int go[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) != 0) {
    ::close(log);
    return Fail(Code::kInternal, Because("cannot make a socket pair"));
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(go[1]);
    RunChild(go[0], log, argv.data(), env.data());
  }
  ::close(log);
  ::close(go[0]);
  const auto give_up = [&](std::string why) {
    ::close(go[1]);
    if (pid > 0) ::waitpid(pid, nullptr, 0);  // it ends at the closed socket
    return Fail(Code::kInternal, std::move(why));
  };
  if (pid < 0) return give_up(Because("cannot start a process"));
  // Until it leads its group, KillGroup would find nothing to kill.
  char leads = 0;
  ssize_t n = 0;
  do {
    n = ::read(go[1], &leads, 1);
  } while (n < 0 && errno == EINTR);
  if (n != 1) return give_up("a process ended before it began");
  const std::optional<std::int64_t> ticks = StartTicks(pid);
  if (!ticks) return give_up("a process ended before it began");
  const ProcessId process{pid, *ticks};
  if (const Status stored = recorded(process); !stored) return give_up(stored.error().message);
  const bool gone = ::send(go[1], "g", 1, MSG_NOSIGNAL) != 1;
  ::close(go[1]);
  if (gone) return Fail(Code::kInternal, Because("a process ended before it began"));
  return process;
}

bool IsAlive(const ProcessId& process) {
  if (process.pid <= 1) return false;
  // Fails with ECHILD for a process of an earlier daemon; then init collects it.
  (void)::waitpid(process.pid, nullptr, WNOHANG);
  return StartTicks(process.pid) == process.start_ticks;
}

void KillGroup(const ProcessId& process) {
  if (!IsAlive(process)) return;
  ::kill(-process.pid, SIGKILL);
  for (int i = 0; i < 100 && IsAlive(process); ++i) ::poll(nullptr, 0, 10);
}

}  // namespace spillway::simulated
