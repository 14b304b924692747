#include "gateway/machine_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/fd.h"
#include "base/sha256_stream.h"

namespace spillway::gateway {
namespace {

namespace fs = std::filesystem;

Result<std::string> HashOf(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return Fail(Code::kInvalid, path + ": cannot be read");
  Sha256Stream hash;
  ByteBuffer buffer(1 << 20);
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) return Fail(Code::kInvalid, path + ": cannot be read");
    if (got == 0) return Hex(hash.Finish());
    hash.Add(ByteView(buffer).first(static_cast<std::size_t>(got)));
  }
}

}  // namespace

Result<MachineFiles> MachineFiles::Open(const std::string& directory) {
  MachineFiles opened;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(directory, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (!it->is_regular_file()) continue;
    const std::string path = it->path().string();
    const std::string name = fs::relative(it->path(), directory).string();
    const auto size = static_cast<std::int64_t>(it->file_size());
    if (size == 0 || size > kMostBytes || name.size() > 64)
      return Fail(Code::kInvalid,
                  fmt::format("{}: must have 1 byte to 1 GiB, and a name of at most 64", path));
    if (opened.files_.size() == kMostFiles)
      return Fail(Code::kInvalid, fmt::format("{}: more than {} files", directory, kMostFiles));
    SPW_ASSIGN(const std::string sha256, HashOf(path));
    opened.files_.push_back({name, sha256, size});
    opened.path_of_[sha256] = path;
  }
  if (error) return Fail(Code::kInvalid, fmt::format("{}: {}", directory, error.message()));
  std::ranges::sort(opened.files_, {}, &door::MachineFile::name);
  return opened;
}

Result<ByteSlice> MachineFiles::Read(const std::string& sha256, const SliceRequest& slice) const {
  const auto known = path_of_.find(sha256);
  if (known == path_of_.end()) return Fail(Code::kNotFound, "no such file here");
  const std::int64_t total = std::ranges::find(files_, sha256, &door::MachineFile::sha256)->bytes;
  if (slice.first >= total) return Fail(Code::kInvalid, "the range begins beyond the file's end");
  const std::int64_t last = std::min(slice.last.value_or(total - 1), total - 1);
  ByteSlice read{
      std::string(static_cast<std::size_t>(std::min(last - slice.first + 1, kSliceBytes)), '\0'),
      slice.first, total};
  const Fd fd(::open(known->second.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat now{};
  if (!fd.valid() || ::fstat(fd.get(), &now) != 0 || now.st_size != total ||
      ::pread(fd.get(), read.bytes.data(), read.bytes.size(), slice.first) !=
          std::ssize(read.bytes))
    return Fail(Code::kCorrupt, known->second + " was changed; restart spillwayd");
  return read;
}

}  // namespace spillway::gateway
