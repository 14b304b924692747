#include "gateway/incoming_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gateway/files.h"

namespace spillway::gateway {

Status IncomingFile::Write(std::int64_t offset, ByteView plain) {
  if (!sized_ && ftruncate(file_.get(), about_.size_bytes) != 0)
    return Fail(FileError("write", path_, errno));
  sized_ = true;
  const bool zeros = std::all_of(plain.begin(), plain.end(), [](std::uint8_t b) { return b == 0; });
  return zeros ? Ok() : WriteAt(file_.get(), path_, offset, plain);
}

// What is in the file is hashed, and not what came: that is what goes home.
Status IncomingFile::HashTo(std::int64_t end) {
  ByteBuffer buffer(256 << 10);
  while (hashed_bytes_ < end) {
    const auto part = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::int64_t>(end - hashed_bytes_, std::ssize(buffer))));
    SPW_TRY(ReadAt(file_.get(), path_, hashed_bytes_, part));
    hash_.Add(part);
    hashed_bytes_ += std::ssize(part);
  }
  return Ok();
}

Status IncomingFile::HashAhead(const std::vector<bool>& have) {
  std::int64_t end = hashed_bytes_;
  while (end < about_.size_bytes && have[static_cast<std::size_t>(end / about_.chunk_bytes)])
    end = std::min(end + about_.chunk_bytes, about_.size_bytes);
  return HashTo(end);
}

Result<Digest> IncomingFile::Hash() {
  SPW_TRY(HashTo(about_.size_bytes));
  if (!digest_) digest_ = hash_.Finish();
  return *digest_;
}

}  // namespace spillway::gateway
