// The daemon as a child process, and everything that it starts.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::demo {

// Makes this process the one that orphaned descendants come back to (prctl(2)
// PR_SET_CHILD_SUBREAPER), so that none of them can be overlooked. Once, before anything is
// started.
void AdoptOrphans();

// A child in a session of its own: Ctrl-C reaches us, and we stop it in good order.
class Child {
 public:
  // argv[0] is a path. Its output is appended to `log`.
  static Result<Child> Start(const std::vector<std::string>& argv, const std::string& log);

  pid_t pid() const { return pid_; }
  // Also reaps other descendants that ended. Once false, it stays false.
  bool Running();
  // SIGTERM, then SIGKILL after `patience`. Ok if it ended by itself with exit code 0.
  Status Stop(Duration patience);

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
  std::optional<int> status_;  // of waitpid, once it has ended
};

// Runs a program found in PATH to its end and gives what it wrote to standard output; its standard
// error goes into the error. kInvalid when it exits with anything but 0. At most 1 MiB of each.
Result<std::string> RunCommand(const std::vector<std::string>& argv);

// Descendants that are alive now, after at most `patience` for them to end: "pid command".
std::vector<std::string> Survivors(Duration patience);

// Processes of an earlier demonstration: those that run one of `programs` and name `directory` in
// their arguments. Nothing else is touched.
std::vector<pid_t> LeftFromBefore(const std::vector<std::string>& programs,
                                  const std::string& directory);

// SIGTERM to each, SIGKILL to those that are still there after `patience`.
void End(const std::vector<pid_t>& processes, Duration patience);

}  // namespace spillway::demo
