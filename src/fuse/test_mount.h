// For tests that mount: a directory in a mount name space that nobody else sees.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/fd.h"

namespace spillway::fuse {

// Empty if this thread, and every thread it starts from now on, may mount without anybody else
// seeing it; otherwise why not.
inline std::string PrivateMounts() {
  static const std::string why_not = []() -> std::string {
    if (::geteuid() != 0) return "mounting needs root";
    if (::unshare(CLONE_NEWNS) != 0)
      return std::string("no mount name space here: ") + std::strerror(errno);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return std::string("mounts cannot be made private here: ") + std::strerror(errno);
    return "";
  }();
  return why_not;
}

// The same for FUSE file systems.
inline std::string MayMount() {
  if (std::string why_not = PrivateMounts(); !why_not.empty()) return why_not;
  const Fd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  return device ? "" : std::string("/dev/fuse: ") + std::strerror(errno);
}

// Unmounts and removes it at the end.
class TestDirectory {
 public:
  TestDirectory() {
    std::string name = "/tmp/spw-fuse-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TestDirectory() {
    ::umount2(path_.c_str(), MNT_DETACH);
    ::rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace spillway::fuse
