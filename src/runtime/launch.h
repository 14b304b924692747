// Starting a child process with exactly the descriptors it is meant to have.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/fd.h"

namespace spillway::runtime {

inline constexpr int kControlFd = 3;  // the child's end of the socket pair
inline constexpr int kInfoFd = 4;     // bwrap writes the sandbox's first process id here

struct LaunchPlan {
  std::vector<std::string> argv;  // argv[0] is an absolute path
  std::vector<std::string> env;   // NAME=value
  std::vector<int> join_fds;      // cgroup.procs files to enter before exec
  bool info = false;              // give the child kInfoFd
  // SIGKILL when the *calling thread* ends (PR_SET_PDEATHSIG); that thread must outlive the child.
  // Without it the child must watch the control socket.
  bool die_with_caller = true;
};

struct Launched {
  pid_t pid = -1;
  Fd pidfd;
  Fd control;  // stream socket; close it to tell the child that we are gone
  Fd out;      // the child's standard output, non-blocking
  Fd err;
  Fd info;
};

// Forks and execs. The child: own session, standard input empty, no other descriptor, default
// signals. An exec that fails is a line on `err` and exit code 127.
// kInternal: no descriptors or processes left.
Result<Launched> Launch(const LaunchPlan& plan);

}  // namespace spillway::runtime
