// Looks for plaintext where none may be: does any 32-byte window of a sample occur in a stream?
//
// Every window of the sample is in an exact index. A window anywhere in the stream contains a whole
// 16-byte block that starts at a multiple of 16, so one look per 16 bytes into a filter over the
// sample's 16-byte blocks is enough to rule out all 16 windows around it; only on a hit are they
// compared one by one. Nothing is missed by that, and sealed or overwritten data runs at memory
// speed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/encoding.h"
#include "base/result.h"

namespace spillway::data {

inline constexpr std::size_t kWindowBytes = 32;

// Windows of all samples. Immutable once built; several scanners and threads may share it.
// Memory: at most 17 bytes per sample byte, 704 MiB at the limit.
class ScanIndex {
 public:
  static constexpr std::size_t kMaxSampleBytes = 64 * 1024 * 1024;

  // Windows never span two samples. A window of one byte 32 times over is left out: zeros on a disk
  // say nothing about the data. kInvalid when the samples exceed 64 MiB together, or when no window
  // is left, because a scan with nothing to look for would always pass.
  static Result<ScanIndex> Build(std::span<const ByteView> samples);

  std::size_t window_count() const { return windows_; }  // different ones

  // For Scanner. Whether a block of 16 bytes may be part of a window: false is certain.
  bool MayHoldBlock(const std::uint8_t* block) const;
  // Offset of an equal window in the joined samples, or -1.
  std::int64_t FindWindow(const std::uint8_t* window) const;
  struct Origin {
    std::size_t sample = 0;
    std::int64_t offset = 0;
  };
  Origin OriginOf(std::int64_t joined_offset) const;

 private:
  ScanIndex() = default;
  void AddWindow(std::size_t offset);
  void AddBlock(const std::uint8_t* block);

  ByteBuffer joined_;
  std::vector<std::size_t> starts_;    // of each sample in joined_
  std::vector<std::uint32_t> table_;   // open addressing; offset + 1, 0 = free
  std::vector<std::uint64_t> filter_;  // two bits per block in one word
  std::size_t windows_ = 0;
  std::size_t blocks_added_ = 0;  // blocks before this offset were offered to the filter
};

// A stretch of the stream in which every window occurs in the sample.
struct ScanHit {
  std::int64_t offset = 0;  // in the stream
  std::int64_t length = 0;  // 32 at least
  std::size_t sample = 0;   // where its first window comes from
  std::int64_t sample_offset = 0;
};

// One stream. Feed() takes it in pieces of any size; the result does not depend on how it is cut.
// Hits are complete as soon as the bytes that make them were fed. Not thread-safe.
class Scanner {
 public:
  static constexpr std::size_t kMaxHits = 1000;  // kept; more are only counted

  // `index` outlives the scanner.
  explicit Scanner(const ScanIndex& index) : index_(&index) {}

  void Feed(ByteView bytes);

  std::int64_t scanned_bytes() const { return fed_; }
  std::int64_t hit_windows() const { return hit_windows_; }  // all of them
  const std::vector<ScanHit>& hits() const { return hits_; }

 private:
  void Search();
  void Record(std::int64_t offset, std::int64_t joined_offset);

  const ScanIndex* index_;
  ByteBuffer buffer_;  // stream bytes from buffer_at_ on
  std::int64_t buffer_at_ = 0;
  std::int64_t next_ = 0;  // first window start not looked at yet
  std::int64_t fed_ = 0;
  std::int64_t hit_windows_ = 0;
  std::int64_t last_hit_ = -2;
  std::vector<ScanHit> hits_;
};

}  // namespace spillway::data
