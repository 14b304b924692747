// Memory and processor limits of one pod through control groups, version 1 or 2.
// Groups are only ever created below the caller's own group, so no limit set from outside can be
// escaped. Sources: kernel documentation admin-guide/cgroup-v1 and admin-guide/cgroup-v2.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/fd.h"

namespace spillway::runtime {

// A directory in which groups may be created to limit one resource.
struct CgroupPlace {
  int version = 0;  // 0: cannot be limited here; 1 or 2
  std::string directory;
};
struct CgroupPlaces {
  CgroupPlace memory;
  CgroupPlace cpu;
};

// Pure: where this process's groups are, from the texts of /proc/self/cgroup and
// /proc/self/mountinfo. Says nothing about permission.
CgroupPlaces LocateCgroups(std::string_view self_cgroup, std::string_view mountinfo);

// The group of one pod. Destroying it removes the directories; the processes must be gone.
class PodCgroup {
 public:
  // Creates the directories below `places` and sets the limits; a limit of 0, or a place of version
  // 0, is left out. `name` must be unique on the machine. kUnavailable names the file.
  static Result<PodCgroup> Create(const CgroupPlaces& places, const std::string& name,
                                  std::int64_t memory_bytes, std::int64_t cpu_milli);
  PodCgroup() = default;
  PodCgroup(PodCgroup&& other) noexcept;
  PodCgroup& operator=(PodCgroup&&) = delete;
  ~PodCgroup();

  // Open cgroup.procs files: a process joins by writing "0" to each.
  std::vector<int> JoinFds() const;
  // Raises the memory limit, for what the pod is given on top of what it may use. A no-op without
  // one.
  Status AddMemory(std::int64_t bytes);
  // How many processes the kernel killed in this group for lack of memory.
  std::int64_t OomKills() const;
  // Sends SIGKILL to every process still in the group.
  void KillAll() const;

  const std::string& memory_directory() const { return memory_.directory; }
  const std::string& cpu_directory() const { return cpu_.directory; }

 private:
  std::int64_t memory_bytes_ = 0;
  CgroupPlace memory_;  // the pod's own directories
  CgroupPlace cpu_;
  std::vector<Fd> procs_;
};

// Names of groups and directories start so; the number after it is the owner's process id.
inline constexpr std::string_view kPodPrefix = "spillway-pod-";

// Removes empty groups whose owning process no longer exists.
void RemoveLeftoverCgroups(const CgroupPlaces& places);

}  // namespace spillway::runtime
