// Plaintext of the inputs, opened chunk by chunk in memory out of the sealed cache.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "node/stager.h"
#include "runtime/pod_spec.h"

namespace spillway::node {

// Keeps the most recently opened chunks, at least one and at most `limit_bytes` of plaintext, and
// zeroises what it lets go. Thread-safe.
class ChunkReader {
 public:
  ChunkReader(std::shared_ptr<CacheFile> cache, const RunKey& key,
              std::shared_ptr<const StagedData> data, std::int64_t limit_bytes);
  ~ChunkReader();

  const data::Manifest& manifest() const { return data_->manifest; }
  // Plaintext of chunk `index` from `offset` on; fills `out`. kCorrupt if the disk gave back other
  // bytes than were stored, kDenied without a key or after Close().
  Status Read(std::uint32_t index, std::int64_t offset, std::span<char> out);
  // Zeroises everything; later reads are refused.
  void Close();

 private:
  struct Opened {
    std::uint32_t index;
    ByteBuffer plain;
  };
  Result<const Opened*> Find(std::uint32_t index);
  void DropOldest();

  const std::shared_ptr<CacheFile> cache_;
  const RunKey& key_;
  const std::shared_ptr<const StagedData> data_;
  const std::int64_t limit_bytes_;
  std::mutex mutex_;          // guards everything below
  std::list<Opened> opened_;  // newest use first
  std::int64_t opened_bytes_ = 0;
  bool closed_ = false;
};

// The files below "<claim>/" of the manifest, as the input of one pod; none is an empty
// volume.
std::shared_ptr<runtime::InputSource> OpenClaim(std::shared_ptr<ChunkReader> reader,
                                                const std::string& claim);

}  // namespace spillway::node
