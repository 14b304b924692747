#include "gateway/incoming_file.h"

#include "gateway/files.h"

namespace spillway::gateway {

Status IncomingFile::Write(std::int64_t offset, ByteView plain) {
  return WriteAt(file_.get(), path_, offset, plain);
}

Result<Digest> IncomingFile::Hash() const {
  return HashFile(file_.get(), path_, about_.size_bytes);
}

}  // namespace spillway::gateway
