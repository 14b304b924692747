// For tests that mount: their process gets a mount name space of its own, once.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace spillway::node {

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

inline void Put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace spillway::node
