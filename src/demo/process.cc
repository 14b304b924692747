#include "demo/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace spillway::demo {
namespace {

namespace fs = std::filesystem;

constexpr Duration kLook = 20ms;
constexpr std::size_t kMaxOutput = 1 << 20;

std::string CommandOf(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid), std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  for (fs::directory_iterator it(fmt::format("/proc/{}/task", pid), error), end;
       !error && it != end; it.increment(error)) {
    std::ifstream file(it->path() / "children");
    for (pid_t child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

bool Alive(pid_t pid) {
  return kill(pid, 0) == 0 || errno == EPERM;
}

void Reap() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

}  // namespace

void AdoptOrphans() {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

Result<Child> Child::Start(const std::vector<std::string>& argv, const std::string& log) {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return Fail(Code::kInternal, "no process could be started");
  if (pid == 0) {
    setsid();
    const int null = open("/dev/null", O_RDONLY);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (null < 0 || out < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0)
      _exit(126);
    execv(words[0], words.data());
    _exit(127);
  }
  return Child(pid);
}

bool Child::Running() {
  int status = 0;
  for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;)
    if (ended == pid_) status_ = status;
  return !status_;
}

Status Child::Stop(Duration patience) {
  if (Running()) kill(pid_, SIGTERM);
  const SystemClock clock;
  const Duration end = clock.SteadyNow() + patience;
  while (Running() && clock.SteadyNow() < end) std::this_thread::sleep_for(kLook);
  if (Running()) {
    kill(pid_, SIGKILL);
    while (Running()) std::this_thread::sleep_for(kLook);
    return Fail(Code::kInternal, fmt::format("the daemon did not stop within {} and was killed",
                                             FormatDuration(patience)));
  }
  if (WIFEXITED(*status_) && WEXITSTATUS(*status_) == 0) return Ok();
  return Fail(Code::kInternal,
              WIFSIGNALED(*status_)
                  ? fmt::format("the daemon was ended by signal {}", WTERMSIG(*status_))
                  : fmt::format("the daemon ended with exit code {}", WEXITSTATUS(*status_)));
}

Result<std::string> RunCommand(const std::vector<std::string>& argv) {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0) return Fail(Code::kInternal, "no pipe could be made");
  if (pipe2(err, O_CLOEXEC) != 0) {
    close(out[0]), close(out[1]);
    return Fail(Code::kInternal, "no pipe could be made");
  }
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    execvp(words[0], words.data());
    _exit(127);
  }
  close(out[1]), close(err[1]);
  // Both ends at once: a program that fills one pipe would wait for ever for the other.
  std::string texts[2];
  pollfd polled[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  for (int open_ends = 2; open_ends > 0 && poll(polled, 2, -1) > 0;)
    for (int i = 0; i < 2; ++i) {
      if (polled[i].revents == 0) continue;
      char piece[4096];
      const ssize_t got = read(polled[i].fd, piece, sizeof piece);
      if (got > 0 && texts[i].size() < kMaxOutput)
        texts[i].append(piece, static_cast<std::size_t>(got));
      if (got > 0) continue;
      polled[i].fd = -1;
      --open_ends;
    }
  close(out[0]), close(err[0]);
  int status = 0;
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return Fail(Code::kInvalid, fmt::format("{}: {}", fmt::join(argv, " "), texts[1]));
  return texts[0];
}

std::vector<std::string> Survivors(Duration patience) {
  const SystemClock clock;
  const Duration end = clock.SteadyNow() + patience;
  while (true) {
    Reap();
    const std::vector<pid_t> children = ChildrenOf(getpid());
    if (children.empty() || clock.SteadyNow() >= end) {
      std::vector<std::string> out;
      for (const pid_t child : children)
        out.push_back(fmt::format("{} {}", child, CommandOf(child).substr(0, 200)));
      return out;
    }
    std::this_thread::sleep_for(kLook);
  }
}

std::vector<pid_t> LeftFromBefore(const std::vector<std::string>& programs,
                                  const std::string& directory) {
  std::vector<pid_t> found;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    pid_t pid = 0;
    const auto [rest, parsed] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed != std::errc() || rest != name.data() + name.size() || pid == getpid()) continue;
    std::error_code ignored;
    std::string program = fs::read_symlink(it->path() / "exe", ignored).string();
    // A program that was built again meanwhile.
    if (program.ends_with(" (deleted)")) program.resize(program.size() - 10);
    if (std::find(programs.begin(), programs.end(), program) == programs.end()) continue;
    if (CommandOf(pid).find(directory) != std::string::npos) found.push_back(pid);
  }
  return found;
}

void End(const std::vector<pid_t>& processes, Duration patience) {
  for (const pid_t pid : processes) kill(pid, SIGTERM);
  const SystemClock clock;
  const Duration end = clock.SteadyNow() + patience;
  const auto any = [&] { return std::any_of(processes.begin(), processes.end(), Alive); };
  while (any() && clock.SteadyNow() < end) std::this_thread::sleep_for(kLook);
  for (const pid_t pid : processes)
    if (Alive(pid)) kill(pid, SIGKILL);
}

}  // namespace spillway::demo
