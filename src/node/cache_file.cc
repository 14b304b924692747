#include "node/cache_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

namespace spillway::node {
namespace {

std::int64_t RoundUp(std::int64_t bytes) {
  return (bytes + CacheFile::kBlock - 1) / CacheFile::kBlock * CacheFile::kBlock;
}

tl::unexpected<Error> Failed(const std::string& path, std::string_view what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return Fail(full ? Code::kCapacity : Code::kInternal,
              fmt::format("{}: cannot {}: {}", path, what, std::strerror(error)));
}

Status WriteAll(int fd, std::int64_t offset, ByteView bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed(path, fmt::format("write at {}", offset), n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
  return Ok();
}

Status ReadAll(int fd, std::int64_t offset, std::span<std::uint8_t> out, const std::string& path) {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd, out.data(), out.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed(path, fmt::format("read at {}", offset), n < 0 ? errno : EIO);
    out = out.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
  return Ok();
}

// File system type and source of the mount that holds `fd`, from /proc/self/mountinfo
// (https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html); device numbers if unknown.
std::pair<std::string, std::string> MountOf(int fd) {
  struct stat info{};
  ::fstat(fd, &info);
  const std::string number = fmt::format("{}:{}", major(info.st_dev), minor(info.st_dev));
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id, parent, device;
    fields >> id >> parent >> device;
    const std::size_t dash = line.find(" - ");
    if (device != number || dash == std::string::npos) continue;
    std::istringstream rest(line.substr(dash + 3));
    std::string type, source;
    rest >> type >> source;
    return {type, fmt::format("{} ({})", source, number)};
  }
  return {"unknown", number};
}

}  // namespace

CacheFile::CacheFile(std::string directory, int fd, std::int64_t size)
    : directory_(std::move(directory)), path_(directory_ + "/" + kName), fd_(fd), size_(size) {}

CacheFile::~CacheFile() {
  if (direct_fd_ >= 0) ::close(direct_fd_);
  ::close(fd_);
}

Result<std::unique_ptr<CacheFile>> CacheFile::Create(const std::string& directory,
                                                     std::int64_t size_bytes) {
  const std::string path = directory + "/" + kName;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST)
    return Fail(Code::kConflict, path + " exists; it must be overwritten first");
  if (fd < 0) return Failed(path, "create it", errno);
  std::unique_ptr<CacheFile> cache(new CacheFile(directory, fd, 0));
  if (Status grown = cache->Grow(size_bytes); !grown) {
    static_cast<void>(cache->Unlink());
    return Fail(grown.error());
  }
  return cache;
}

Result<std::unique_ptr<CacheFile>> CacheFile::OpenLeft(const std::string& directory) {
  const std::string path = directory + "/" + kName;
  const int fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::unique_ptr<CacheFile>();
  if (fd < 0) return Failed(path, "open it", errno);
  struct stat info{};
  ::fstat(fd, &info);
  std::unique_ptr<CacheFile> cache(new CacheFile(directory, fd, info.st_size));
  if (info.st_size > 0) cache->used_[0] = info.st_size;
  return cache;
}

Status CacheFile::Grow(std::int64_t more_bytes) {
  const std::lock_guard lock(mutex_);
  const std::int64_t more = RoundUp(more_bytes);
  if (more <= 0) return Ok();
  const int error = ::posix_fallocate(fd_, size_, more);
  if (error != 0) return Failed(path_, fmt::format("allocate {} bytes", more), error);
  size_ += more;
  return Ok();
}

void CacheFile::MarkUsed(std::int64_t offset, std::int64_t length) {
  std::int64_t start = offset / kBlock * kBlock, end = std::min(RoundUp(offset + length), size_);
  auto it = used_.upper_bound(start);
  if (it != used_.begin() && std::prev(it)->second >= start) it = std::prev(it);
  while (it != used_.end() && it->first <= end) {
    start = std::min(start, it->first);
    end = std::max(end, it->second);
    it = used_.erase(it);
  }
  used_[start] = end;
}

Status CacheFile::Store(std::int64_t offset, ByteView sealed) {
  const std::shared_lock gate(write_gate_);
  if (writes_stopped_) return Fail(Code::kUnavailable, path_ + ": it is being overwritten");
  const auto length = static_cast<std::int64_t>(sealed.size());
  {
    const std::lock_guard lock(mutex_);
    if (offset < 0 || length > size_ || offset > size_ - length)
      return Fail(Code::kInvalid, fmt::format("{}: {}+{} is outside", path_, offset, length));
    if (length > 0) MarkUsed(offset, length);  // before: a write that fails may have written
  }
  return WriteAll(fd_, offset, sealed, path_);
}

Status CacheFile::Load(std::int64_t offset, std::span<std::uint8_t> out) {
  return ReadAll(fd_, offset, out, path_);
}

void CacheFile::StopWrites() {
  const std::lock_guard gate(write_gate_);
  writes_stopped_ = true;
}

std::vector<data::ByteRange> CacheFile::Used() const {
  const std::lock_guard lock(mutex_);
  std::vector<data::ByteRange> ranges;
  for (const auto& [start, end] : used_) ranges.push_back({start, end - start});
  return ranges;
}

std::string CacheFile::Filesystem() const {
  return MountOf(fd_).first;
}

std::string CacheFile::Device() const {
  return MountOf(fd_).second;
}

void CacheFile::PreferDirect() {
  if (direct_fd_ < 0)
    direct_fd_ = ::open(path_.c_str(), O_RDWR | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
}

Status CacheFile::Unlink() {
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) return Failed(path_, "remove it", errno);
  const int directory = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
  return Ok();
}

Result<std::int64_t> CacheFile::Size() {
  const std::lock_guard lock(mutex_);
  return size_;
}

bool CacheFile::Direct(std::int64_t offset, const std::uint8_t* bytes, std::size_t size) const {
  return direct_fd_ >= 0 && offset % kBlock == 0 && size % kBlock == 0 &&
         reinterpret_cast<std::uintptr_t>(bytes) % kBlock == 0;
}

Status CacheFile::WriteAt(std::int64_t offset, ByteView bytes) {
  // Some file systems open with O_DIRECT and refuse the access; the ordinary way still works.
  if (Direct(offset, bytes.data(), bytes.size()) && WriteAll(direct_fd_, offset, bytes, path_))
    return Ok();
  return WriteAll(fd_, offset, bytes, path_);
}

Status CacheFile::ReadAt(std::int64_t offset, std::span<std::uint8_t> out) {
  if (Direct(offset, out.data(), out.size()) && ReadAll(direct_fd_, offset, out, path_))
    return Ok();
  return ReadAll(fd_, offset, out, path_);
}

Status CacheFile::Flush() {
  if (::fsync(fd_) != 0) return Failed(path_, "bring it to the disk", errno);
  return Ok();
}

Status CacheFile::DropCache() {
  const int error = ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
  if (error != 0) return Failed(path_, "forget its pages", error);
  return Ok();
}

}  // namespace spillway::node
