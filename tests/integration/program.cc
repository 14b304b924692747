#include "tests/integration/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace spillway::integration {
namespace {

// Output goes to files in memory, which never fill up as a pipe would.
std::string TakeText(int fd) {
  std::string text(static_cast<std::size_t>(lseek(fd, 0, SEEK_END)), '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  close(fd);
  return text;
}

}  // namespace

Outcome RunProgram(const std::string& program, const std::vector<std::string>& args,
                   const std::string& where, Duration most) {
  std::vector<std::string> words = {SPILLWAY_BIN_DIR "/" + program};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
  const pid_t pid = fork();
  if (pid == 0) {
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || chdir(where.c_str()) != 0)
      _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd waiter{fd, POLLIN, 0};
  if (poll(&waiter, 1, static_cast<int>(most.count())) != 1) kill(pid, SIGKILL);
  close(fd);
  int status = 0;
  waitpid(pid, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, TakeText(out), TakeText(err)};
}

}  // namespace spillway::integration
