// Where the bytes of the files come from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/encoding.h"
#include "base/result.h"

namespace spillway::fuse {

// The most that one read asks for (FUSE_MAX_MAX_PAGES of 4 KiB).
inline constexpr std::size_t kMaxReadBytes = 1 << 20;

// Used by one thread at a time.
class Reader {
 public:
  virtual ~Reader() = default;
  // `size` bytes (1 to kMaxReadBytes) of file number `file` from `offset` on, all of them inside
  // the file. They are valid until Done(). Nothing if they are not here yet: the read is
  // repeated after Server::Wake(). An error makes the read fail with EIO; who is to know of it was
  // told by the reader.
  virtual Result<std::optional<ByteView>> Read(std::uint32_t file, std::int64_t offset,
                                               std::size_t size) = 0;
  // Follows each Read(), when the kernel has its answer.
  virtual void Done() = 0;
};

// Thread-safe.
class Content {
 public:
  virtual ~Content() = default;
  virtual std::unique_ptr<Reader> NewReader() = 0;
  // A read of the file waited too long for its bytes and has failed.
  virtual void GaveUp(std::uint32_t file) = 0;
};

}  // namespace spillway::fuse
