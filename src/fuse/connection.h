// A mount: the kernel's end of it, and the memory that the next server needs to go on.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace spillway::fuse {

// Whoever holds both descriptors keeps the mount alive; when the last copy of `device` is closed,
// the mount answers ENOTCONN for ever.
struct Connection {
  Fd device;  // /dev/fuse
  Fd memory;  // a memfd, see requests.h
};

// The file system type in mountinfo is "fuse.spillway".
inline constexpr const char* kMountSource = "spillway-data";

// Mounts read-only at the directory, for every user, with permissions checked by the kernel.
// Nothing there answers before a Server has begun. Needs root: kDenied; kUnavailable where the
// kernel has no FUSE.
Result<Connection> Mount(const std::string& directory);
// Another pair of descriptors of the same mount.
Result<Connection> Duplicate(const Connection& connection);

// The mount's read-ahead (/sys/class/bdi). A server must be answering.
Status SetReadAhead(const std::string& directory, std::int64_t bytes);

}  // namespace spillway::fuse
