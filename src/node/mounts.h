// Mounts of a node's volumes. Everything here needs root, and follows no link at a path's last
// name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace spillway::node {

// The device name of our memory volumes in /proc/self/mountinfo.
inline constexpr const char* kMemoryVolume = "spillway-volume";

// Makes the directory a volume is mounted on; its parents are the kubelet's.
Status MakeTarget(const std::string& target);

// An empty tmpfs that never goes to swap: kDenied if the kernel cannot promise that and swap is on.
// `mode` is of its root directory.
Status MountMemory(const std::string& target, std::int64_t size_bytes, mode_t mode);

// Shows the directory `source` at `target` as well. A descriptor's /proc/self/fd path is followed.
Status BindMount(const std::string& source, const std::string& target, bool read_only);
// As BindMount, at a target that is made; again is harmless. kConflict: another directory is
// mounted there.
Status ShowDirectory(const std::string& source, const std::string& target, bool read_only);
// This mount only: other mounts of the same file system stay as they are. kUnavailable while a file
// that was opened through it is open for writing.
Status MakeMountReadOnly(const std::string& target);
// The whole file system, for every process that sees it. kUnavailable while a file in it is open
// for writing.
Status FreezeMemory(const std::string& target);

// A new directory with a name of its own below `parent`, which is made if it is missing.
Result<std::string> MakeDirectoryIn(const std::string& parent, mode_t mode);
// Empties every file in it, for who has one open, and removes it. Best effort.
void DropDirectory(const std::string& path);

// False also if the path does not exist.
Result<bool> IsMountPoint(const std::string& path);
// Where a path is: two paths with the same identity show the same directory.
struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const Identity&) const = default;
};
Result<Identity> IdentityOf(const std::string& path);

// Unmounts everything at `target` and removes the directory; lazily where it is still in use.
// Nothing there is fine.
Status Unmount(const std::string& target);
// As Unmount, and empties every file of a memory volume first, so that whoever still sees it finds
// nothing in it. Best effort.
void DropMemory(const std::string& target);
// The volumes an earlier process left below `directory`, in memory or of the inputs' file system:
// dropped. How many there were.
int DropLeftVolumes(const std::string& directory);

// Mount points of such volumes below `directory` in the text of mountinfo, the newest first.
// Pure.
std::vector<std::string> VolumesIn(std::string_view mountinfo, std::string_view directory);

}  // namespace spillway::node
