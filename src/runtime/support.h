// What this machine lets us use to isolate and limit a pod.
#pragma once

#include <string>
#include <vector>

#include "runtime/cgroup.h"

namespace spillway::runtime {

// One thing that was looked for, for `doctor` and for a pod's notes.
struct Finding {
  std::string name;  // "sandbox", "memory limit", "cpu limit", "swap"
  bool ok = false;
  std::string sentence;  // what it means for pods, and the remedy if it is not ok
};

struct SandboxSupport {
  std::string bwrap_path;       // empty: pods run as plain processes
  bool user_namespace = false;  // bwrap works with a user namespace of its own
  CgroupPlaces cgroups;         // only places in which a limit could really be set
  bool swap_active = false;     // pages of a tmpfs may be written to a disk
  std::vector<Finding> findings;

  bool sandbox() const { return !bwrap_path.empty(); }
};

// Looks by trying: starts an empty sandbox, creates and removes a control group. Takes some tens of
// milliseconds; the caller keeps the result. Never fails: what does not work is a finding.
SandboxSupport Probe();

// Removes what pods of processes that were killed left behind: empty control groups, and the
// memory directories of plain pods. Call once at the start. Never touches a living owner's.
void RemoveLeftovers(const SandboxSupport& support);

// Where plain pods have their private memory directories.
inline constexpr const char* kPlainParent = "/dev/shm";

}  // namespace spillway::runtime
