#include "clouds/simulated/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

namespace spillway::simulated {
namespace {

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool SyncDirectory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = ::fsync(fd) == 0;
  ::close(fd);
  return good;
}

}  // namespace

Status WriteDurably(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path temporary = path.string() + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool good = fd >= 0;
  if (good) {
    good = WriteAll(fd, text) && ::fsync(fd) == 0;
    good = (::close(fd) == 0) && good;
  }
  good = good && std::rename(temporary.c_str(), path.c_str()) == 0 &&
         SyncDirectory(path.parent_path());
  if (good) return Ok();
  return Fail(Code::kInternal, "cannot write " + path.string() + ": " + std::strerror(errno));
}

Result<std::string> ReadWhole(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return Fail(Code::kNotFound, path.string() + " does not exist");
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) return Fail(Code::kInternal, "cannot read " + path.string());
  return std::move(text).str();
}

}  // namespace spillway::simulated
