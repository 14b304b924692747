#include "node/mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "fuse/connection.h"
#include "runtime/tree.h"

namespace spillway::node {
namespace {

constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV;
constexpr int kMostStacked = 64;

tl::unexpected<Error> Failed(std::string_view what, std::string_view path) {
  const int why = errno;
  return Fail(why == EPERM ? Code::kDenied : Code::kInternal,
              fmt::format("cannot {} '{}': {}", what, path, std::strerror(why)));
}

std::string ReadText(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool SwapIsOn() {
  const std::string swaps = ReadText("/proc/swaps");
  return std::count(swaps.begin(), swaps.end(), '\n') > 1;
}

// The kernel writes blanks, tabs, newlines and backslashes as three octal digits.
std::string Unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Frees the memory of a file even while it is mapped or open elsewhere.
Status Empty(int fd) {
  const std::string again = fmt::format("/proc/self/fd/{}", fd);
  const int writable = ::open(again.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (writable >= 0) ::close(writable);
  return Ok();
}

void EmptyFiles(const std::string& directory) {
  const runtime::TreeVisitor visitor{
      .file = [](const std::string&, int fd, const struct stat&) { return Empty(fd); },
      .skipped = [](const std::string&, const std::string&) { return Ok(); }};
  if (const Status emptied = runtime::WalkTree(directory, visitor); !emptied)
    log::Warn("a volume could not be emptied", {{"why", emptied.error().message}});
}

tl::unexpected<Error> StillWritten() {
  return Fail(Code::kUnavailable, "a process still has a file of the volume open for writing");
}

}  // namespace

Status MakeTarget(const std::string& target) {
  if (::mkdir(target.c_str(), 0750) != 0 && errno != EEXIST) return Failed("make", target);
  return Ok();
}

Status MountMemory(const std::string& target, std::int64_t size_bytes, mode_t mode) {
  const std::string options = fmt::format("size={},mode={:o}", size_bytes, mode);
  // tmpfs(5): noswap since Linux 6.4.
  if (::mount(kMemoryVolume, target.c_str(), "tmpfs", kFlags, (options + ",noswap").c_str()) == 0)
    return Ok();
  if (errno != EINVAL) return Failed("mount memory at", target);
  if (SwapIsOn())
    return Fail(Code::kDenied,
                "swap is on, and this kernel (before 6.4) would write plaintext to it: swapoff -a");
  if (::mount(kMemoryVolume, target.c_str(), "tmpfs", kFlags, options.c_str()) != 0)
    return Failed("mount memory at", target);
  return Ok();
}

Status BindMount(const std::string& source, const std::string& target, bool read_only) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return Failed("show the volume at", target);
  // A bind mount takes its flags in a second step.
  const unsigned long flags = MS_REMOUNT | MS_BIND | kFlags | (read_only ? MS_RDONLY : 0);
  if (::mount(nullptr, target.c_str(), nullptr, flags, nullptr) == 0) return Ok();
  const auto failed = Failed("protect", target);
  ::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  return failed;
}

Status MakeMountReadOnly(const std::string& target) {
  const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | kFlags;
  if (::mount(nullptr, target.c_str(), nullptr, flags, nullptr) == 0) return Ok();
  if (errno == EBUSY) return StillWritten();
  return Failed("make read-only", target);
}

Status ShowDirectory(const std::string& source, const std::string& target, bool read_only) {
  SPW_ASSIGN(const bool mounted, IsMountPoint(target));
  if (!mounted) {
    SPW_TRY(MakeTarget(target));
    return BindMount(source, target, read_only);
  }
  SPW_ASSIGN(const Identity there, IdentityOf(target));
  SPW_ASSIGN(const Identity wanted, IdentityOf(source));
  if (there != wanted) return Fail(Code::kConflict, "another volume is mounted there");
  // It may have been interrupted before this.
  return read_only ? MakeMountReadOnly(target) : Ok();
}

Status FreezeMemory(const std::string& target) {
  if (::mount(nullptr, target.c_str(), nullptr, MS_REMOUNT | MS_RDONLY | kFlags, nullptr) == 0)
    return Ok();
  if (errno == EBUSY) return StillWritten();
  return Failed("freeze", target);
}

Result<std::string> MakeDirectoryIn(const std::string& parent, mode_t mode) {
  if (::mkdir(parent.c_str(), 0700) != 0 && errno != EEXIST) return Failed("make", parent);
  std::string path = parent + "/XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return Failed("make a directory in", parent);
  if (::chmod(path.c_str(), mode) != 0) return Failed("open to everybody", path);
  return path;
}

void DropDirectory(const std::string& path) {
  EmptyFiles(path);
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) log::Warn("a volume's directory stays", {{"why", error.message()}});
}

Result<bool> IsMountPoint(const std::string& path) {
  struct statx info{};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) == 0)
    return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  if (errno == ENOENT) return false;
  return Failed("look at", path);
}

Result<Identity> IdentityOf(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return Failed("look at", path);
  return Identity{info.st_dev, info.st_ino};
}

Status Unmount(const std::string& target) {
  for (int i = 0; i < kMostStacked; ++i) {
    SPW_ASSIGN(const bool mounted, IsMountPoint(target));
    if (!mounted) break;
    if (::umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) continue;
    if (errno == EBUSY && ::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
    return Failed("unmount", target);
  }
  if (::rmdir(target.c_str()) != 0 && errno != ENOENT) return Failed("remove", target);
  return Ok();
}

void DropMemory(const std::string& target) {
  const unsigned long writable = MS_REMOUNT | kFlags;
  struct statfs info{};
  const bool memory = ::statfs(target.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
  if (memory && ::mount(nullptr, target.c_str(), nullptr, writable, nullptr) == 0)
    EmptyFiles(target);
  ::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (const Status gone = Unmount(target); !gone)
    log::Warn("a volume's place stays", {{"why", gone.error().message}});
}

std::vector<std::string> VolumesIn(std::string_view mountinfo, std::string_view directory) {
  std::vector<std::string> found;
  const std::string prefix = std::string(directory) + "/";
  while (!mountinfo.empty()) {
    const std::size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    std::istringstream line{std::string(mountinfo.substr(0, end))};
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
    // proc_pid_mountinfo(5): id parent device root place options optional... - type source options
    std::string skip, place, type, source;
    line >> skip >> skip >> skip >> skip >> place;
    while (line >> skip && skip != "-") {
    }
    line >> type >> source;
    place = Unescaped(place);
    const bool ours = (type == "tmpfs" && source == kMemoryVolume) || source == fuse::kMountSource;
    if (ours && place.starts_with(prefix)) found.push_back(std::move(place));
  }
  std::reverse(found.begin(), found.end());
  return found;
}

int DropLeftVolumes(const std::string& directory) {
  std::error_code none;
  const std::filesystem::path real = std::filesystem::weakly_canonical(directory, none);
  const std::vector<std::string> left = VolumesIn(ReadText("/proc/self/mountinfo"), real.string());
  for (const std::string& target : left) DropMemory(target);
  return static_cast<int>(left.size());
}

}  // namespace spillway::node
