// The sealed chunk: what travels, and what lies on a rented disk exactly as it travelled.
//
//   offset  size
//        0     4  "SPWC"
//        4     1  format version, 1
//        5     1  codec, 0 = none, 1 = zstd
//        6     1  log2 of the segment size, 16
//        7     1  0
//        8     4  chunk index, big-endian
//       12     8  plaintext length, big-endian
//       20    24  salt, random, one per sealing
//       44    32  key commitment
//       76        segments of 64 KiB, each followed by its 16-byte GCM tag; the last may be
//                 shorter, and an empty chunk has one empty segment, so every chunk is
//                 authenticated
//
// The segments hold the plaintext as it is (codec 0), or one zstd frame of the whole of it where
// that is shorter (codec 1); then the chunk opens only as a whole.
//
// Key (32), base nonce (12) and commitment (32) come from HKDF-Expand over the run key and (format
// version, run, dataset, dataset version, direction, chunk id, index, salt). Segment nonce = base
// nonce XOR segment number. Each segment authenticates run, chunk id, segment number and count,
// plaintext length and codec. So a chunk opens only in its own place: another position, run,
// dataset, version or direction derives another key. The commitment fixes the key, which GCM alone
// does not (C2SP chunked-encryption; research in Grubbs, Lu, Ristenpart, "Message Franking", 2017).
#pragma once

#include <cstdint>
#include <string>

#include "base/encoding.h"
#include "base/result.h"
#include "data/aead.h"
#include "data/secret.h"

namespace spillway::data {

enum class Direction : std::uint8_t {
  kDown,  // from the site to a rented node
  kUp,    // results on their way home
};
std::string_view DirectionName(Direction direction);  // "down", "up"

// Where a chunk belongs. Both sides build it from what they know, never from the chunk itself.
struct ChunkContext {
  std::string run_id;
  std::string dataset;  // "<namespace>/<name>" of the Dataset, or of the results claim
  std::string dataset_version;
  Direction direction = Direction::kDown;
  std::string chunk_id;  // "data" for chunks of the layout, "manifest", or "result/<path>"
  std::uint32_t index = 0;
};

inline constexpr std::size_t kSaltBytes = 24;
inline constexpr std::size_t kChunkHeaderBytes = 76;
inline constexpr std::size_t kSegmentBytes = 64 * 1024;
inline constexpr std::int64_t kMaxChunkBytes = std::int64_t{256} * 1024 * 1024;  // of plaintext

// What the segments hold; the values are those of the header.
enum class Codec : std::uint8_t { kNone = 0, kZstd = 1 };

// The size of a sealed chunk tells how well its content compresses, so a sender must want it.
enum class Compression : std::uint8_t {
  kNever,
  kWherePays,  // zstd where that saves an eighth; what is compressed already stays as it is
};

// Bytes of a sealed chunk whose segments hold `stored_bytes` >= 0: of the plaintext with codec
// none. The most that a chunk with that much plaintext can have.
std::int64_t SealedSize(std::int64_t stored_bytes);

// Seals at most kMaxChunkBytes. `salt` has 24 bytes, drawn at random by the caller for each call:
// the same salt twice in one context would repeat a nonce. kInvalid on a wrong salt or size.
Result<ByteBuffer> SealChunk(const Secret& run_key, const ChunkContext& context, ByteView plaintext,
                             ByteView salt, Compression compression = Compression::kNever);
// Likewise into `out`, whose memory is used again: the kernel asks more for new memory than the
// cipher for its work. Nothing is in `out` after an error.
Status SealChunk(const Secret& run_key, const ChunkContext& context, ByteView plaintext,
                 ByteView salt, Compression compression, ByteBuffer& out);

// Names one sealing: SHA-256 over its header and the tags of its segments, 16 bytes in 64 KiB. With
// the run key that is as good as a digest of every byte, because the tags authenticate the rest;
// hashing all of it would cost ten times as much as sealing it. Who holds the run key could make
// other segments for the same tags, and is the one whom the data is for. kCorrupt for a size that
// no chunk has.
Result<Digest> SealDigest(ByteView sealed);

// The plaintext, or kCorrupt for anything that is not exactly what SealChunk made for this context
// and key; no plaintext is returned in part.
Result<ByteBuffer> OpenChunk(const Secret& run_key, const ChunkContext& context, ByteView sealed);

// Opens single segments of one sealed chunk: what a read of a few bytes needs, and not the whole
// chunk. It holds the key of this chunk alone, derived once and wiped with the object. Its
// functions may run on several threads at once.
class ChunkOpener {
 public:
  // Checks header, size and key commitment; no segment yet. `header` is the beginning of the sealed
  // chunk, kChunkHeaderBytes or more of it, and `sealed_bytes` the size of the whole. kCorrupt when
  // it was not sealed with this key for this place.
  static Result<ChunkOpener> Make(const Secret& run_key, ChunkContext context, ByteView header,
                                  std::int64_t sealed_bytes);

  std::int64_t plain_bytes() const { return plain_bytes_; }
  // A compressed chunk opens only by Open().
  Codec codec() const { return codec_; }

  // The whole segments around a range of plaintext: which, and where they lie in the sealed chunk.
  struct Cover {
    std::size_t first = 0;
    std::size_t count = 0;
    std::int64_t sealed_offset = 0;
    std::int64_t sealed_bytes = 0;
  };
  // For 0 <= offset, 0 < bytes, offset + bytes <= plain_bytes(); kInvalid otherwise, and for a
  // compressed chunk.
  Result<Cover> CoverOf(std::int64_t offset, std::int64_t bytes) const;

  // Opens plaintext [offset, offset + out.size()) into `out`. `segments` are exactly the sealed
  // bytes of CoverOf(offset, out.size()) and do not overlap `out`. Segments that lie whole in the
  // range are opened straight into `out`; one that sticks out at either end goes through a buffer
  // of 64 KiB. kCorrupt when a segment was changed: `out` is then zeroed, all of it.
  Status OpenRange(std::int64_t offset, ByteView segments, std::span<std::uint8_t> out) const;

  // The whole chunk, header included, into `out` of plain_bytes(); otherwise as OpenRange.
  Status Open(ByteView sealed, std::span<std::uint8_t> out) const;
  // Likewise into memory of its own, which it takes only for what was authenticated.
  Result<ByteBuffer> Open(ByteView sealed) const;
  // Authenticates the whole chunk; of its plaintext it holds a segment at a time, and no longer.
  Status Verify(ByteView sealed) const;

 private:
  ChunkOpener(ChunkContext context, Codec codec, std::int64_t plain_bytes,
              std::int64_t stored_bytes, ByteView key, ByteView base_nonce);

  Cover StoredCoverOf(std::int64_t offset, std::int64_t bytes) const;
  bool OpenSegment(std::size_t segment, ByteView sealed, std::span<std::uint8_t> out) const;
  Status OpenPieces(std::int64_t offset, ByteView segments, std::span<std::uint8_t> out) const;
  Status OpenStored(std::int64_t offset, ByteView segments, std::span<std::uint8_t> out) const;
  Result<ByteBuffer> OpenAllStored(ByteView sealed) const;
  Status OpenCompressed(ByteView sealed, std::span<std::uint8_t> out) const;
  Status CheckSize(ByteView sealed) const;
  Status Changed(std::size_t segment) const;

  ChunkContext context_;
  Codec codec_;
  std::int64_t plain_bytes_;
  std::int64_t stored_bytes_;  // of the segments without their tags
  Aes256Gcm cipher_;
  Nonce base_nonce_{};
};

}  // namespace spillway::data
