#include "fuse/connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "fuse/content.h"
#include "fuse/requests.h"

namespace spillway::fuse {
namespace {

tl::unexpected<Error> Failed(std::string_view what) {
  const int why = errno;
  const Code code = why == EPERM || why == EACCES                    ? Code::kDenied
                    : why == ENOENT || why == ENODEV || why == ENXIO ? Code::kUnavailable
                                                                     : Code::kInternal;
  return Fail(code, fmt::format("cannot {}: {}", what, std::strerror(why)));
}

}  // namespace

Result<Connection> Mount(const std::string& directory) {
  Connection connection;
  connection.device = Fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!connection.device) return Failed("open /dev/fuse");
  SPW_ASSIGN(connection.memory, Requests::NewMemory());
  // Documentation/filesystems/fuse.rst of Linux.
  const std::string options = fmt::format(
      "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,max_read={}",
      connection.device.get(), kMaxReadBytes);
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_RDONLY | MS_NOATIME;
  if (::mount(kMountSource, directory.c_str(), "fuse.spillway", flags, options.c_str()) != 0)
    return Failed(fmt::format("mount a FUSE file system at '{}'", directory));
  return connection;
}

Result<Connection> Duplicate(const Connection& connection) {
  Connection copy;
  copy.device = Fd(::fcntl(connection.device.get(), F_DUPFD_CLOEXEC, 0));
  copy.memory = Fd(::fcntl(connection.memory.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.device || !copy.memory) return Failed("duplicate a mount's descriptors");
  return copy;
}

Status SetReadAhead(const std::string& directory, std::int64_t bytes) {
  struct stat info{};
  if (::stat(directory.c_str(), &info) != 0) return Failed("look at " + directory);
  const std::string path =
      fmt::format("/sys/class/bdi/{}:{}/read_ahead_kb", major(info.st_dev), minor(info.st_dev));
  std::ofstream file(path);
  file << bytes / 1024 << std::flush;
  if (!file) return Fail(Code::kUnavailable, path + ": cannot be written");
  return Ok();
}

}  // namespace spillway::fuse
