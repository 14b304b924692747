#include "gateway/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/sha256_stream.h"
#include "net/socket.h"

namespace spillway::gateway {

Status CheckName(std::string_view name) {
  const bool good =
      !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  if (good) return Ok();
  return Fail(Code::kInvalid,
              fmt::format("\"{}\" is not a name: 1 to 63 of a-z, 0-9 and '-'", name.substr(0, 80)));
}

Error FileError(std::string_view what, const std::string& path, int error_number) {
  Code code = Code::kInternal;
  if (error_number == ENOSPC || error_number == EDQUOT) code = Code::kUnavailable;
  if (error_number == ENOENT) code = Code::kNotFound;
  return {code, fmt::format("{} {}: {}", what, path, std::strerror(error_number)), {}};
}

Status MakeDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Fail(FileError("create", path, error.value()));
  if (chmod(path.c_str(), 0700) != 0) return Fail(FileError("chmod", path, errno));
  return Ok();
}

Status SyncDirectory(const std::string& path) {
  const net::Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return Fail(FileError("open", path, errno));
  if (fsync(fd.get()) != 0) return Fail(FileError("fsync", path, errno));
  return Ok();
}

Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  const net::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Fail(FileError("open", path, errno));
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return Fail(FileError("stat", path, errno));
  if (static_cast<std::size_t>(info.st_size) > max_bytes)
    return Fail(Code::kCorrupt, fmt::format("{}: {} bytes, at most {} were ever written", path,
                                            info.st_size, max_bytes));
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  SPW_TRY(ReadAt(fd.get(), path, 0, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
  return text;
}

Status WriteDurably(const std::string& path, ByteView bytes) {
  const std::string temporary = path + ".tmp";
  const auto write = [&]() -> Status {
    const net::Fd fd(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) return Fail(FileError("open", temporary, errno));
    SPW_TRY(WriteAt(fd.get(), temporary, 0, bytes));
    if (fsync(fd.get()) != 0) return Fail(FileError("fsync", temporary, errno));
    if (rename(temporary.c_str(), path.c_str()) != 0)
      return Fail(FileError("rename to", path, errno));
    return Ok();
  };
  if (Status written = write(); !written) {
    unlink(temporary.c_str());
    return written;
  }
  return SyncDirectory(std::filesystem::path(path).parent_path());
}

Status Remove(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return Fail(FileError("remove", path, errno));
  return Ok();
}

Result<std::vector<std::string>> ListFiles(const std::string& directory, std::string_view suffix) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(opendir(directory.c_str()), closedir);
  if (!handle) {
    if (errno == ENOENT) return names;
    return Fail(FileError("list", directory, errno));
  }
  while (true) {
    errno = 0;
    const dirent* entry = readdir(handle.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name.ends_with(suffix) && name.front() != '.')
      names.emplace_back(name.substr(0, name.size() - suffix.size()));
  }
  if (errno != 0) return Fail(FileError("list", directory, errno));
  std::sort(names.begin(), names.end());
  return names;
}

Status WriteAt(int fd, const std::string& path, std::int64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = pwrite(fd, bytes.data(), bytes.size(), offset);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Fail(FileError("write", path, errno));
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    offset += wrote;
  }
  return Ok();
}

Status ReadAt(int fd, const std::string& path, std::int64_t offset, std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = pread(fd, out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(FileError("read", path, errno));
    if (got == 0) return Fail(Code::kCorrupt, fmt::format("{}: is shorter than expected", path));
    out = out.subspan(static_cast<std::size_t>(got));
    offset += got;
  }
  return Ok();
}

Result<Digest> HashFile(int fd, const std::string& path, std::int64_t bytes) {
  Sha256Stream hash;
  ByteBuffer buffer(1 << 20);
  for (std::int64_t at = 0; at < bytes;) {
    const auto part = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::int64_t>(bytes - at, std::ssize(buffer))));
    SPW_TRY(ReadAt(fd, path, at, part));
    hash.Add(part);
    at += std::ssize(part);
  }
  return hash.Finish();
}

ByteBuffer RandomBytes(std::size_t count) {
  ByteBuffer bytes(count);
  SPW_CHECK(RAND_bytes(bytes.data(), static_cast<int>(count)) == 1, "the machine has no entropy");
  return bytes;
}

}  // namespace spillway::gateway
