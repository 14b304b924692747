#include "gateway/incoming_file.h"

#include <algorithm>

#include "base/sha256_stream.h"
#include "gateway/files.h"

namespace spillway::gateway {

Status IncomingFile::Write(std::int64_t offset, ByteView plain) {
  return WriteAt(file_.get(), path_, offset, plain);
}

Result<Digest> IncomingFile::Hash() const {
  Sha256Stream hash;
  ByteBuffer buffer(1 << 20);
  for (std::int64_t at = 0; at < about_.size_bytes;) {
    const auto part = std::span(buffer).first(static_cast<std::size_t>(
        std::min<std::int64_t>(about_.size_bytes - at, static_cast<std::int64_t>(buffer.size()))));
    SPW_TRY(ReadAt(file_.get(), path_, at, part));
    hash.Add(part);
    at += static_cast<std::int64_t>(part.size());
  }
  return hash.Finish();
}

}  // namespace spillway::gateway
