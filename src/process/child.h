// Starting somebody else's executable. program.h runs one to its end; here is one that goes on
// while we talk to it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"

namespace spillway::process {

// The descriptors that become 0, 1 and 2; borrowed for the call. Two of them may be the same.
struct Standard {
  int in = -1, out = -1, err = -1;
};

struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up in our PATH unless it has a slash
  std::vector<std::string> env;   // NAME=value, all of it; see EnvironmentWith()
  std::string directory;          // to start in; empty: ours
};

// Our own environment with some variables set, which may already be there.
std::vector<std::string> EnvironmentWith(
    const std::vector<std::pair<std::string, std::string>>& set);

// A child in a session of its own, with default signals and no descriptor but the three. Its end
// is the end of its whole process group: the destructor leaves nothing behind (SIGKILL). Movable.
class Child {
 public:
  // kNotFound if there is no such program, kInternal if the system refuses: it was never started.
  static Result<Child> Start(const Command& command, const Standard& standard);

  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  // Becomes readable at its end; invalid if the system had no descriptor left.
  const Fd& pidfd() const { return pidfd_; }
  // To the child and its group.
  void Signal(int signal) const;
  // The status of waitpid(2) if it ends within `patience`. Once it has one, it stays.
  std::optional<int> Wait(Duration patience);

 private:
  Child(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid_ = -1;
  Fd pidfd_;
  std::optional<int> status_;
};

}  // namespace spillway::process
