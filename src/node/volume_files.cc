#include "node/volume_files.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "data/path.h"
#include "runtime/frames.h"
#include "runtime/tree.h"

namespace spillway::node {
namespace {

constexpr std::int64_t kPage = 4096;
constexpr std::size_t kBufferBytes = 1 << 20;
constexpr std::size_t kMostSkipped = 100;

tl::unexpected<Error> Failed(std::string_view what, std::string_view path) {
  const Code code = errno == ENOSPC ? Code::kCapacity : Code::kInternal;
  return Fail(code, fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno)));
}

Status WriteAll(int fd, ByteView bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write input", path);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return Ok();
}

Status FinishInput(int fd, const runtime::InputFile& file) {
  const std::int64_t ms = file.mtime.time_since_epoch().count();
  const std::int64_t seconds = ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
  const timespec time = {seconds, (ms - seconds * 1000) * 1'000'000};
  const std::array times = {time, time};
  if (::fchmod(fd, (file.mode & 0555) | 0444) != 0 || ::futimens(fd, times.data()) != 0)
    return Failed("finish input", file.path);
  return Ok();
}

Status HandOver(const std::string& path, int fd, const struct stat& info, const std::string& claim,
                std::span<std::uint8_t> buffer, ResultWriter& writer) {
  SPW_TRY(writer.BeginFile(claim, path, info.st_mode & 0777, info.st_size));
  for (std::int64_t left = info.st_size; left > 0;) {
    const auto want = std::min(buffer.size(), static_cast<std::size_t>(left));
    const ssize_t n = ::read(fd, buffer.data(), want);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed("read result", path);
    SPW_TRY(writer.Add(AsText(buffer.first(static_cast<std::size_t>(n)))));
    left -= n;
  }
  return Ok();
}

}  // namespace

InputSize SizeOfClaim(const RunFiles& files, const std::string& claim) {
  InputSize size;
  const auto [first, end] = files.OfClaim(claim);
  for (std::uint32_t file = first; file < end; ++file) {
    const std::int64_t bytes = files.tree().Of(files.tree().NodeOf(file)).size_bytes;
    ++size.files;
    size.bytes += (bytes + kPage - 1) / kPage * kPage;
  }
  return size;
}

Status WriteInputs(const std::string& root, runtime::InputSource& source) {
  ByteBuffer buffer(kBufferBytes);
  const data::CleanseGuard guard(buffer);
  while (true) {
    SPW_ASSIGN(const std::optional<runtime::InputFile> file, source.Next());
    if (!file) return Ok();
    SPW_TRY(runtime::CheckRelativePath(file->path));
    SPW_ASSIGN(const runtime::Fd fd, runtime::CreateBelow(root, file->path));
    for (std::int64_t left = file->size_bytes; left > 0;) {
      const auto want = std::min(buffer.size(), static_cast<std::size_t>(left));
      SPW_ASSIGN(const std::size_t got, source.Read(reinterpret_cast<char*>(buffer.data()), want));
      if (got == 0) return Fail(Code::kCorrupt, fmt::format("'{}' ends too early", file->path));
      SPW_TRY(WriteAll(fd.get(), std::span(buffer).first(got), file->path));
      left -= static_cast<std::int64_t>(got);
    }
    SPW_TRY(FinishInput(fd.get(), *file));
  }
}

Status CollectResults(Collection& collection, ResultWriter& writer) {
  ByteBuffer buffer(kBufferBytes);
  const data::CleanseGuard cleanse(buffer);
  runtime::FileStreamGuard guard({1, runtime::kMaxFilesPerPod, collection.limit_bytes});
  collection.skipped.clear();
  std::size_t skipped = 0;
  runtime::TreeVisitor visitor;
  visitor.skipped = [&](const std::string& path, const std::string& why) {
    if (++skipped <= kMostSkipped) collection.skipped.push_back(path + ": " + why);
    return Ok();
  };
  visitor.file = [&](const std::string& path, int fd, const struct stat& info) -> Status {
    // What the site would refuse for good must not keep the rest from coming home.
    if (const Status named = data::CheckRelativePath(path); !named)
      return visitor.skipped(path, named.error().message);
    runtime::FileHeader header;
    header.path = path;
    header.size_bytes = info.st_size;
    if (const Status fits = guard.OnFile(header); !fits)
      return visitor.skipped(path, fits.error().message);
    SPW_TRY(guard.OnData(static_cast<std::size_t>(info.st_size)));
    if (collection.taken.contains(path)) return Ok();
    SPW_TRY(HandOver(path, fd, info, collection.claim, buffer, writer));
    collection.taken.insert(path);
    return Ok();
  };
  SPW_TRY(runtime::WalkTree(collection.root, visitor));
  if (skipped > kMostSkipped)
    collection.skipped.push_back(fmt::format("and {} more", skipped - kMostSkipped));
  return Ok();
}

}  // namespace spillway::node
