#include "gateway/key_files.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "data/bytes.h"
#include "data/secret.h"
#include "gateway/files.h"
#include "net/socket.h"

namespace spillway::gateway {
namespace {

constexpr std::size_t kTimeBytes = 8;
constexpr std::size_t kKeyFileBytes = kTimeBytes + data::Secret::kSize;

// Fills `key` and answers when it was made.
Result<Time> ReadKeyFile(const std::string& path, ports::KeyBytes key) {
  SPW_ASSIGN(std::string bytes, ReadFile(path, kKeyFileBytes));
  const data::CleanseGuard guard({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  if (bytes.size() != kKeyFileBytes)
    return Fail(Code::kCorrupt, fmt::format("{}: {} bytes instead of {}; the run key is lost", path,
                                            bytes.size(), kKeyFileBytes));
  const ByteView view = AsBytes(bytes);
  std::ranges::copy(view.subspan(kTimeBytes), key.begin());
  return Time{Duration(
      static_cast<std::int64_t>(data::ReadBigEndian<std::uint64_t>(view.first(kTimeBytes))))};
}

std::string KeyId(ports::KeyBytes key) {
  std::array<std::uint8_t, 16> id;
  data::HkdfExpand(*data::Secret::FromBytes(key), AsBytes("spillway key id"), id);
  return Hex(id);
}

}  // namespace

Result<std::unique_ptr<KeyFiles>> KeyFiles::Open(std::string directory) {
  SPW_TRY(MakeDirectory(directory));
  return std::unique_ptr<KeyFiles>(new KeyFiles(std::move(directory)));
}

Status KeyFiles::Check() {
  return SyncDirectory(directory_);
}

Result<ports::KeyRecord> KeyFiles::Create(const std::string& run, Time now, ports::KeyBytes key) {
  SPW_TRY(CheckName(run));
  const auto existing = ReadKeyFile(PathOf(run), key);
  if (existing) return ports::KeyRecord{KeyId(key), 1, *existing, ""};
  if (existing.error().code != Code::kNotFound) return Fail(existing.error());
  SPW_ASSIGN(const data::Secret made, data::Secret::Generate());
  ByteBuffer bytes;
  bytes.reserve(kKeyFileBytes);
  const data::CleanseGuard guard({bytes.data(), kKeyFileBytes});
  data::AppendBigEndian(bytes, static_cast<std::uint64_t>(now.time_since_epoch().count()));
  data::AppendBytes(bytes, made.bytes());
  SPW_TRY(WriteDurably(PathOf(run), bytes));
  std::ranges::copy(made.bytes(), key.begin());
  return ports::KeyRecord{KeyId(key), 1, now, ""};
}

Status KeyFiles::Unwrap(const std::string& run, const std::string& wrapped, ports::KeyBytes key) {
  data::Cleanse(key);
  SPW_TRY(CheckName(run));
  if (!wrapped.empty())
    return Fail(Code::kCorrupt,
                fmt::format("the key of run {} was wrapped by another key service", run));
  SPW_TRY(ReadKeyFile(PathOf(run), key));
  return Ok();
}

Result<ports::KeyEnd> KeyFiles::Destroy(const std::string& run, Time now) {
  SPW_TRY(CheckName(run));
  for (const std::string& path : {PathOf(run), PathOf(run) + ".tmp"}) {
    const net::Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid() && errno == ENOENT) continue;
    if (!fd.valid()) return Fail(FileError("open", path, errno));
    SPW_TRY(WriteAt(fd.get(), path, 0, RandomBytes(kKeyFileBytes)));
    if (fsync(fd.get()) != 0) return Fail(FileError("fsync", path, errno));
    SPW_TRY(Remove(path));
  }
  SPW_TRY(SyncDirectory(directory_));
  return ports::KeyEnd{now, "the key's file was overwritten, removed and its directory synced"};
}

}  // namespace spillway::gateway
