// cache.extent: the only file the agent ever writes on a rented disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "data/wipe.h"

namespace spillway::node {

// A preallocated file of sealed bytes that remembers which of its blocks were ever written. Store,
// Load, Grow and Used are thread-safe; the functions of BlockFile serve one wiping thread, after
// StopWrites().
class CacheFile final : public data::BlockFile {
 public:
  static constexpr std::int64_t kBlock = 4096;
  static constexpr const char* kName = "cache.extent";

  // Makes directory/cache.extent with all its blocks (posix_fallocate), `size_bytes` rounded up to
  // whole blocks, mode 0600. kConflict if it exists; kCapacity if the disk has no room.
  static Result<std::unique_ptr<CacheFile>> Create(const std::string& directory,
                                                   std::int64_t size_bytes);
  // The file an earlier process left; nullptr if there is none. All of it counts as written.
  static Result<std::unique_ptr<CacheFile>> OpenLeft(const std::string& directory);
  ~CacheFile() override;

  // Writes sealed bytes inside the file. kUnavailable after StopWrites().
  Status Store(std::int64_t offset, ByteView sealed);
  Status Load(std::int64_t offset, std::span<std::uint8_t> out);
  // Adds whole blocks at the end. kCapacity if the disk has no room.
  Status Grow(std::int64_t more_bytes);
  // Returns when running writes have ended; all later ones are refused.
  void StopWrites();

  // Whole blocks that were ever written, in order, without overlap.
  std::vector<data::ByteRange> Used() const;
  // Type of the file system and the device below it, as the kernel names them.
  std::string Filesystem() const;
  std::string Device() const;
  // Bypasses the page cache from here on where the file system allows it (O_DIRECT).
  void PreferDirect();
  // Removes the name; the file is empty space afterwards.
  Status Unlink();

  Result<std::int64_t> Size() override;
  Status WriteAt(std::int64_t offset, ByteView bytes) override;
  Status ReadAt(std::int64_t offset, std::span<std::uint8_t> out) override;
  Status Flush() override;
  Status DropCache() override;

 private:
  CacheFile(std::string directory, int fd, std::int64_t size);
  void MarkUsed(std::int64_t offset, std::int64_t length);
  bool Direct(std::int64_t offset, const std::uint8_t* data, std::size_t size) const;

  const std::string directory_, path_;
  const int fd_;
  int direct_fd_ = -1;
  std::shared_mutex write_gate_;  // shared while a Store runs
  bool writes_stopped_ = false;   // guarded by write_gate_
  mutable std::mutex mutex_;      // guards the two below
  std::int64_t size_;
  std::map<std::int64_t, std::int64_t> used_;  // start -> end
};

}  // namespace spillway::node
