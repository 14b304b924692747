// The process that stands for a rented machine. It outlives the daemon that started it, as a
// machine at a provider would, and is recognised afterwards by its id and start time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace spillway::simulated {

// A process id alone may be used again by another process; with the start time (clock ticks since
// the machine's boot, /proc/<pid>/stat field 22) it is not mistaken.
struct ProcessId {
  pid_t pid = 0;
  std::int64_t start_ticks = 0;
};

struct ProcessPlan {
  std::vector<std::string> argv;  // argv[0] is an absolute path
  std::vector<std::string> env;   // NAME=value
  std::filesystem::path log;      // standard output and error are appended here
};

// Starts it in a session of its own, without any inherited descriptor. `recorded` is called with
// its identity before the program begins: if it fails, or the caller dies meanwhile, the program
// never runs. So a process exists only if it was recorded. kInternal: no process was started.
Result<ProcessId> StartProcess(const ProcessPlan& plan,
                               const std::function<Status(ProcessId)>& recorded);

// True while exactly that process runs. Collects its exit status if it was our child.
bool IsAlive(const ProcessId& process);

// Kills its whole process group and waits (at most a second) until the leader is gone. A process
// that is gone already, or a reused id, is left alone.
void KillGroup(const ProcessId& process);

}  // namespace spillway::simulated
