// Overwriting the cache and proving it. Every byte gets its own piece of a fresh AES-256-CTR
// keystream, so data that is all alike, compressible or repeated cannot hide a write that never
// reached the medium; reading back regenerates the keystream and compares.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/result.h"
#include "data/secret.h"

namespace spillway::data {

// The preallocated cache file or block device. Offsets and lengths stay inside Size(). Buffers
// handed in start at a multiple of 4096 in memory; ranges that start and end on one make every
// access so.
class BlockFile {
 public:
  virtual ~BlockFile() = default;
  virtual Result<std::int64_t> Size() = 0;
  // All bytes or an error. ReadAt fills `out` completely or fails.
  virtual Status WriteAt(std::int64_t offset, ByteView bytes) = 0;
  virtual Status ReadAt(std::int64_t offset, std::span<std::uint8_t> out) = 0;
  // Returns when the medium has everything written so far.
  virtual Status Flush() = 0;
  // Forgets cached pages, so that the next read comes from the medium; after Flush().
  virtual Status DropCache() = 0;
};

struct ByteRange {
  std::int64_t offset = 0;
  std::int64_t length = 0;

  bool operator==(const ByteRange&) const = default;
};

enum class WipePhase { kOverwrite, kReadBack };

// After every buffer (1 MiB at most): bytes done of bytes requested in this phase.
using WipeProgress = std::function<void(WipePhase, std::int64_t done, std::int64_t requested)>;

struct WipeReport {
  std::int64_t bytes_requested = 0;
  std::int64_t bytes_written = 0;
  std::int64_t bytes_read_back = 0;
  std::int64_t mismatched_bytes = 0;  // among those read back
  std::string seed_commitment;        // hex, see SeedCommitment
  std::optional<Error> failure;       // the first one; the rest was still wiped and read

  // All requested bytes were overwritten, flushed, read back from the medium and found right.
  bool Complete() const {
    return !failure && bytes_written == bytes_requested && bytes_read_back == bytes_requested &&
           mismatched_bytes == 0;
  }
};

// 32 bytes, hex, that fix the seed without telling it: whoever kept the seed can repeat the check.
std::string SeedCommitment(const Secret& seed);

// Overwrites `ranges` (empty: the whole file) and reads back. A range that cannot be written or
// read is counted as not done and the others go on, so a bad block never shields the data behind
// it. `seed` is fresh for each wipe and lives in memory only. kInvalid, with nothing written, for
// ranges that overlap or leave the file; the error of Size() when that fails. Memory: two buffers
// of 1 MiB. `progress` may be empty.
Result<WipeReport> WipeAndReadBack(BlockFile& file, std::vector<ByteRange> ranges,
                                   const Secret& seed, const WipeProgress& progress = {});

}  // namespace spillway::data
