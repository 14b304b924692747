#include "kube/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "net/socket.h"

extern char** environ;

namespace spillway::kube {
namespace {

constexpr std::size_t kComplaintBytes = 2 << 10;

using net::Fd;

struct Pipe {
  Fd read, write;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return Fail(Code::kInternal, std::string("pipe: ") + std::strerror(errno));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const ProgramRequest& request) {
  std::vector<std::string> all;
  for (const auto& [name, value] : request.env) all.push_back(name + "=" + value);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    bool replaced = false;
    for (const auto& [ours, value] : request.env) replaced = replaced || ours == name;
    if (!replaced) all.emplace_back(text);
  }
  return all;
}

Result<pid_t> Spawn(const ProgramRequest& request, const Pipe& out, const Pipe& err) {
  std::vector<std::string> arguments = request.argv, environment = Environment(request);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
  posix_spawnattr_init(&attributes);
  // A daemon blocks and ignores signals that its children must hear.
  sigset_t blocked, usual;
  sigemptyset(&blocked);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &blocked);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int failure = ::posix_spawnp(&pid, request.argv.front().c_str(), &actions, &attributes,
                                     Pointers(arguments).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0)
    return Fail(failure == ENOENT ? Code::kNotFound : Code::kInternal,
                "cannot start " + request.argv.front() + ": " + std::strerror(failure));
  return pid;
}

// Appends what can be read; false at the end of the stream.
bool Drain(const Fd& fd, std::string& text, std::size_t limit) {
  std::array<char, 4096> bytes;
  const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
  if (got < 0) return errno == EINTR;
  const auto size = static_cast<std::size_t>(got);
  text.append(bytes.data(), std::min(size, limit - std::min(limit, text.size())));
  return got > 0;
}

// Reads both pipes until they close. The limit of the output is exceeded when it holds one byte
// more than allowed.
Status Collect(const ProgramRequest& request, Pipe& out, Pipe& err, ProgramResult* result) {
  const auto deadline = std::chrono::steady_clock::now() + request.timeout;
  bool out_open = true, err_open = true;
  while (out_open || err_open) {
    const auto left = std::chrono::ceil<Duration>(deadline - std::chrono::steady_clock::now());
    if (left <= 0ms)
      return Fail(Code::kUnavailable,
                  request.argv.front() + " did not end within " + FormatDuration(request.timeout));
    std::array<pollfd, 2> entries{pollfd{out_open ? out.read.get() : -1, POLLIN, 0},
                                  pollfd{err_open ? err.read.get() : -1, POLLIN, 0}};
    if (::poll(entries.data(), entries.size(), static_cast<int>(left.count())) <= 0) continue;
    if (entries[0].revents != 0)
      out_open = Drain(out.read, result->output, request.output_bytes + 1);
    if (entries[1].revents != 0) err_open = Drain(err.read, result->complaint, kComplaintBytes);
    if (result->output.size() > request.output_bytes)
      return Fail(Code::kInvalid, request.argv.front() + " wrote more than " +
                                      std::to_string(request.output_bytes) + " bytes");
  }
  return Ok();
}

}  // namespace

Result<ProgramResult> RunProgram(const ProgramRequest& request) {
  SPW_CHECK(!request.argv.empty());
  SPW_ASSIGN(Pipe out, MakePipe());
  SPW_ASSIGN(Pipe err, MakePipe());
  SPW_ASSIGN(const pid_t pid, Spawn(request, out, err));
  out.write = Fd();
  err.write = Fd();
  ProgramResult result;
  const Status collected = Collect(request, out, err, &result);
  // A program that closed its output and stays, or left children behind, ends here as well.
  int status = 0;
  pid_t ended = 0;
  const auto patience = std::chrono::steady_clock::now() + (collected ? 1000ms : 0ms);
  while ((ended = ::waitpid(pid, &status, WNOHANG)) == 0 &&
         std::chrono::steady_clock::now() < patience)
    ::poll(nullptr, 0, 2);
  ::kill(-pid, SIGKILL);
  while (ended != pid && ((ended = ::waitpid(pid, &status, 0)) == pid || errno == EINTR)) {
  }
  SPW_TRY(collected);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace spillway::kube
