// Sealed results that are not receipted yet: in memory up to a limit, beyond it in the results area
// of the cache file, which grows in steps while the disk has room.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "node/cache_file.h"

namespace spillway::node {

struct ResultStoreLimits {
  std::int64_t memory_bytes = 64 << 20;
  std::int64_t disk_bytes = std::int64_t{64} << 30;
  std::int64_t grow_bytes = 64 << 20;  // at least, each time
};

// Thread-safe.
class ResultStore {
 public:
  // One sealed chunk: bytes here, or a place in the cache file.
  struct Slot {
    ByteBuffer bytes;
    std::int64_t offset = -1, length = 0;
  };

  // The results area begins at `area_at` and ends with the cache file.
  ResultStore(std::shared_ptr<CacheFile> cache, std::int64_t area_at, ResultStoreLimits limits);

  // Takes the bytes unless it fails: kCapacity if neither memory nor disk has room.
  Result<Slot> Put(ByteBuffer& sealed);
  Result<ByteBuffer> Get(const Slot& slot);
  void Release(Slot& slot);
  std::int64_t memory_used() const;

 private:
  const std::shared_ptr<CacheFile> cache_;
  const std::int64_t area_at_;
  const ResultStoreLimits limits_;
  mutable std::mutex mutex_;  // guards the three below
  std::int64_t memory_used_ = 0;
  std::int64_t cursor_ = 0;   // bytes of the area given out since it was last empty
  std::int64_t on_disk_ = 0;  // slots in the area
};

}  // namespace spillway::node
