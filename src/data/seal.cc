#include "data/seal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/bytes.h"

namespace spillway::data {
namespace {

constexpr std::string_view kMagic = "SPWC";
constexpr std::uint8_t kFormatVersion = 1;
constexpr std::uint8_t kCodecNone = 0;
constexpr std::uint8_t kSegmentLog2 = 16;
static_assert(kSegmentBytes == std::size_t{1} << kSegmentLog2);

constexpr std::size_t kIndexAt = 8, kLengthAt = 12, kSaltAt = 20, kCommitmentAt = 44;

struct ChunkKeys {
  // key, base nonce, commitment: one stretch of HKDF output.
  std::array<std::uint8_t, 32 + kNonceBytes + 32> material;

  ~ChunkKeys() { Cleanse(material); }
  ByteView key() const { return ByteView(material).first(32); }
  ByteView base_nonce() const { return ByteView(material).subspan(32, kNonceBytes); }
  ByteView commitment() const { return ByteView(material).last(32); }
};

void DeriveKeys(const Secret& run_key, const ChunkContext& context, ByteView salt,
                ChunkKeys& keys) {
  ByteBuffer info;
  AppendField(info, "spillway chunk");
  AppendBigEndian(info, kFormatVersion);
  AppendField(info, context.run_id);
  AppendField(info, context.dataset);
  AppendField(info, context.dataset_version);
  AppendField(info, DirectionName(context.direction));
  AppendField(info, context.chunk_id);
  AppendBigEndian(info, context.index);
  AppendField(info, AsText(salt));
  HkdfExpand(run_key, info, keys.material);
}

std::size_t SegmentCount(std::uint64_t plain_bytes) {
  return plain_bytes == 0 ? 1 : (plain_bytes + kSegmentBytes - 1) / kSegmentBytes;
}

Nonce SegmentNonce(ByteView base, std::uint64_t segment) {
  Nonce nonce;
  std::copy(base.begin(), base.end(), nonce.begin());
  for (std::size_t i = 0; i < 8; ++i)
    nonce[kNonceBytes - 1 - i] ^= static_cast<std::uint8_t>(segment >> (8 * i));
  return nonce;
}

// The associated data of segment `segment`; only its number changes between the segments of a
// chunk.
ByteBuffer Associated(const ChunkContext& context, std::size_t segment, std::size_t count,
                      std::uint64_t plain_bytes) {
  ByteBuffer out;
  AppendField(out, context.run_id);
  AppendField(out, context.chunk_id);
  AppendBigEndian(out, context.index);
  AppendBigEndian(out, static_cast<std::uint32_t>(segment));
  AppendBigEndian(out, static_cast<std::uint32_t>(count));
  AppendBigEndian(out, plain_bytes);
  AppendBigEndian(out, kCodecNone);
  return out;
}

std::string Name(const ChunkContext& context) {
  return fmt::format("chunk {}/{} of {} ({}) in run {}", context.chunk_id, context.index,
                     context.dataset, DirectionName(context.direction), context.run_id);
}

tl::unexpected<Error> Corrupt(const ChunkContext& context, std::string_view what) {
  return Fail(Code::kCorrupt, fmt::format("{}: {}", Name(context), what));
}

// Checks everything that needs no key and returns the plaintext length.
Result<std::uint64_t> CheckHeader(const ChunkContext& context, ByteView sealed,
                                  std::int64_t sealed_bytes) {
  if (sealed.size() < kChunkHeaderBytes)
    return Corrupt(context, fmt::format("{} bytes are too few for a chunk", sealed.size()));
  if (AsText(sealed.first(kMagic.size())) != kMagic) return Corrupt(context, "not a sealed chunk");
  if (sealed[4] != kFormatVersion)
    return Corrupt(context, fmt::format("format version {} is not known", sealed[4]));
  if (sealed[5] != kCodecNone)
    return Corrupt(context, fmt::format("codec {} is not known", sealed[5]));
  if (sealed[6] != kSegmentLog2 || sealed[7] != 0)
    return Corrupt(context, "segment size or reserved byte is wrong");
  const auto index = ReadBigEndian<std::uint32_t>(sealed.subspan(kIndexAt, 4));
  if (index != context.index)
    return Corrupt(context, fmt::format("it says it is number {}", index));
  const auto length = ReadBigEndian<std::uint64_t>(sealed.subspan(kLengthAt, 8));
  if (length > static_cast<std::uint64_t>(kMaxChunkBytes))
    return Corrupt(context, fmt::format("plaintext length {} is above the limit", length));
  const std::int64_t expected = SealedSize(static_cast<std::int64_t>(length));
  if (sealed_bytes != expected)
    return Corrupt(context,
                   fmt::format("{} bytes arrived, {} belong to it", sealed_bytes, expected));
  return length;
}

}  // namespace

std::string_view DirectionName(Direction direction) {
  return direction == Direction::kDown ? "down" : "up";
}

std::int64_t SealedSize(std::int64_t plain_bytes) {
  SPW_CHECK(plain_bytes >= 0);
  const auto tags = SegmentCount(static_cast<std::uint64_t>(plain_bytes)) * kTagBytes;
  return static_cast<std::int64_t>(kChunkHeaderBytes + tags) + plain_bytes;
}

Result<ByteBuffer> SealChunk(const Secret& run_key, const ChunkContext& context, ByteView plaintext,
                             ByteView salt) {
  if (salt.size() != kSaltBytes)
    return Fail(Code::kInvalid, fmt::format("{}: a salt has {} bytes, not {}", Name(context),
                                            kSaltBytes, salt.size()));
  if (static_cast<std::int64_t>(plaintext.size()) > kMaxChunkBytes)
    return Fail(Code::kInvalid, fmt::format("{}: {} bytes exceed the {} of one chunk",
                                            Name(context), plaintext.size(), kMaxChunkBytes));
  ChunkKeys keys;
  DeriveKeys(run_key, context, salt, keys);

  ByteBuffer out;
  out.reserve(static_cast<std::size_t>(SealedSize(static_cast<std::int64_t>(plaintext.size()))));
  AppendRaw(out, kMagic);
  for (std::uint8_t byte : {kFormatVersion, kCodecNone, kSegmentLog2, std::uint8_t{0}})
    out.push_back(byte);
  AppendBigEndian(out, context.index);
  AppendBigEndian(out, static_cast<std::uint64_t>(plaintext.size()));
  AppendBytes(out, salt);
  AppendBytes(out, keys.commitment());

  const Aes256Gcm cipher(keys.key());
  const std::size_t count = SegmentCount(plaintext.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i * kSegmentBytes;
    const ByteView part = plaintext.subspan(from, std::min(kSegmentBytes, plaintext.size() - from));
    const std::size_t at = out.size();
    out.resize(at + part.size() + kTagBytes);
    cipher.Seal(SegmentNonce(keys.base_nonce(), i), Associated(context, i, count, plaintext.size()),
                part, std::span(out).subspan(at));
  }
  return out;
}

Result<ByteBuffer> OpenChunk(const Secret& run_key, const ChunkContext& context, ByteView sealed) {
  SPW_ASSIGN(const ChunkOpener opener,
             ChunkOpener::Make(run_key, context, sealed, static_cast<std::int64_t>(sealed.size())));
  ByteBuffer out(static_cast<std::size_t>(opener.plain_bytes()));
  SPW_TRY(opener.Open(sealed, out));
  return out;
}

ChunkOpener::ChunkOpener(ChunkContext context, std::int64_t plain_bytes, ByteView key,
                         ByteView base_nonce)
    : context_(std::move(context)), plain_bytes_(plain_bytes), cipher_(key) {
  std::copy(base_nonce.begin(), base_nonce.end(), base_nonce_.begin());
}

Result<ChunkOpener> ChunkOpener::Make(const Secret& run_key, ChunkContext context, ByteView header,
                                      std::int64_t sealed_bytes) {
  SPW_ASSIGN(const std::uint64_t length, CheckHeader(context, header, sealed_bytes));
  ChunkKeys keys;
  DeriveKeys(run_key, context, header.subspan(kSaltAt, kSaltBytes), keys);
  if (!EqualConstantTime(keys.commitment(), header.subspan(kCommitmentAt, 32)))
    return Corrupt(context, "it was not sealed with this key for this place");
  return ChunkOpener(std::move(context), static_cast<std::int64_t>(length), keys.key(),
                     keys.base_nonce());
}

Result<ChunkOpener::Cover> ChunkOpener::CoverOf(std::int64_t offset, std::int64_t bytes) const {
  if (offset < 0 || bytes <= 0 || bytes > plain_bytes_ || offset > plain_bytes_ - bytes)
    return Fail(Code::kInvalid, fmt::format("{}: there are no {} bytes from {} on in its {}",
                                            Name(context_), bytes, offset, plain_bytes_));
  constexpr auto kSegment = static_cast<std::int64_t>(kSegmentBytes);
  const std::int64_t first = offset / kSegment, last = (offset + bytes - 1) / kSegment;
  const std::int64_t plain_end = std::min((last + 1) * kSegment, plain_bytes_);
  const std::int64_t count = last - first + 1;
  constexpr auto kTag = static_cast<std::int64_t>(kTagBytes);
  return Cover{static_cast<std::size_t>(first), static_cast<std::size_t>(count),
               static_cast<std::int64_t>(kChunkHeaderBytes) + first * (kSegment + kTag),
               plain_end - first * kSegment + count * kTag};
}

bool ChunkOpener::OpenSegment(std::size_t segment, ByteView sealed,
                              std::span<std::uint8_t> out) const {
  const auto length = static_cast<std::uint64_t>(plain_bytes_);
  return cipher_.Open(SegmentNonce(base_nonce_, segment),
                      Associated(context_, segment, SegmentCount(length), length), sealed, out);
}

Status ChunkOpener::OpenRange(std::int64_t offset, ByteView segments,
                              std::span<std::uint8_t> out) const {
  auto opened = OpenPieces(offset, segments, out);
  if (!opened) Cleanse(out);
  return opened;
}

Status ChunkOpener::OpenPieces(std::int64_t offset, ByteView segments,
                               std::span<std::uint8_t> out) const {
  SPW_ASSIGN(const Cover cover, CoverOf(offset, static_cast<std::int64_t>(out.size())));
  if (static_cast<std::int64_t>(segments.size()) != cover.sealed_bytes)
    return Corrupt(context_, fmt::format("{} bytes arrived for segments of {}", segments.size(),
                                         cover.sealed_bytes));
  const auto begin = static_cast<std::size_t>(offset), end = begin + out.size();
  ByteBuffer buffer;
  for (std::size_t segment = cover.first; segment < cover.first + cover.count; ++segment) {
    const std::size_t at = segment * kSegmentBytes;
    const std::size_t size = std::min(kSegmentBytes, static_cast<std::size_t>(plain_bytes_) - at);
    const std::size_t from = std::max(at, begin), to = std::min(at + size, end);
    const std::span<std::uint8_t> part = out.subspan(from - begin, to - from);
    const bool whole = part.size() == size;
    if (!whole) buffer.resize(size);
    const std::span<std::uint8_t> target = whole ? part : std::span(buffer);
    if (!OpenSegment(segment, segments.first(size + kTagBytes), target))
      return Corrupt(context_, fmt::format("segment {} of {} was changed", segment,
                                           SegmentCount(static_cast<std::uint64_t>(plain_bytes_))));
    if (!whole) {
      std::copy_n(buffer.begin() + static_cast<std::ptrdiff_t>(from - at), part.size(),
                  part.begin());
      Cleanse(buffer);
    }
    segments = segments.subspan(size + kTagBytes);
  }
  return Ok();
}

Status ChunkOpener::Open(ByteView sealed, std::span<std::uint8_t> out) const {
  SPW_CHECK(static_cast<std::int64_t>(out.size()) == plain_bytes_);
  if (static_cast<std::int64_t>(sealed.size()) != SealedSize(plain_bytes_))
    return Corrupt(context_, fmt::format("{} bytes arrived, {} belong to it", sealed.size(),
                                         SealedSize(plain_bytes_)));
  const ByteView segments = sealed.subspan(kChunkHeaderBytes);
  if (plain_bytes_ > 0) return OpenRange(0, segments, out);
  if (!OpenSegment(0, segments, {})) return Corrupt(context_, "segment 0 of 1 was changed");
  return Ok();
}

}  // namespace spillway::data
