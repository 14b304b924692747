#include "data/seal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "data/bytes.h"
#include "data/compress.h"

namespace spillway::data {
namespace {

constexpr std::string_view kMagic = "SPWC";
constexpr std::uint8_t kFormatVersion = 1;
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

std::size_t SegmentCount(std::uint64_t stored_bytes) {
  return stored_bytes == 0 ? 1 : (stored_bytes + kSegmentBytes - 1) / kSegmentBytes;
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
                      std::uint64_t plain_bytes, Codec codec) {
  ByteBuffer out;
  AppendField(out, context.run_id);
  AppendField(out, context.chunk_id);
  AppendBigEndian(out, context.index);
  AppendBigEndian(out, static_cast<std::uint32_t>(segment));
  AppendBigEndian(out, static_cast<std::uint32_t>(count));
  AppendBigEndian(out, plain_bytes);
  AppendBigEndian(out, static_cast<std::uint8_t>(codec));
  return out;
}

std::string Name(const ChunkContext& context) {
  return fmt::format("chunk {}/{} of {} ({}) in run {}", context.chunk_id, context.index,
                     context.dataset, DirectionName(context.direction), context.run_id);
}

tl::unexpected<Error> Corrupt(const ChunkContext& context, std::string_view what) {
  return Fail(Code::kCorrupt, fmt::format("{}: {}", Name(context), what));
}

struct Header {
  Codec codec = Codec::kNone;
  std::int64_t plain_bytes = 0;
  std::int64_t stored_bytes = 0;
};

// What the segments of a sealed chunk of this size hold; negative where no chunk has this size.
std::int64_t StoredBytes(std::int64_t sealed_bytes) {
  constexpr auto kTag = static_cast<std::int64_t>(kTagBytes);
  constexpr std::int64_t kWhole = static_cast<std::int64_t>(kSegmentBytes) + kTag;
  const std::int64_t segments = sealed_bytes - static_cast<std::int64_t>(kChunkHeaderBytes);
  if (segments == kTag) return 0;
  const std::int64_t whole = segments / kWhole, rest = segments % kWhole;
  if (segments <= kTag || (rest > 0 && rest <= kTag)) return -1;
  return segments - (whole + (rest > 0 ? 1 : 0)) * kTag;
}

// Checks everything that needs no key.
Result<Header> CheckHeader(const ChunkContext& context, ByteView sealed,
                           std::int64_t sealed_bytes) {
  if (sealed.size() < kChunkHeaderBytes)
    return Corrupt(context, fmt::format("{} bytes are too few for a chunk", sealed.size()));
  if (AsText(sealed.first(kMagic.size())) != kMagic) return Corrupt(context, "not a sealed chunk");
  if (sealed[4] != kFormatVersion)
    return Corrupt(context, fmt::format("format version {} is not known", sealed[4]));
  if (sealed[5] > static_cast<std::uint8_t>(Codec::kZstd))
    return Corrupt(context, fmt::format("codec {} is not known", sealed[5]));
  if (sealed[6] != kSegmentLog2 || sealed[7] != 0)
    return Corrupt(context, "segment size or reserved byte is wrong");
  const auto index = ReadBigEndian<std::uint32_t>(sealed.subspan(kIndexAt, 4));
  if (index != context.index)
    return Corrupt(context, fmt::format("it says it is number {}", index));
  const auto length = ReadBigEndian<std::uint64_t>(sealed.subspan(kLengthAt, 8));
  if (length > static_cast<std::uint64_t>(kMaxChunkBytes))
    return Corrupt(context, fmt::format("plaintext length {} is above the limit", length));
  const Header header{static_cast<Codec>(sealed[5]), static_cast<std::int64_t>(length),
                      StoredBytes(sealed_bytes)};
  const std::int64_t whole = SealedSize(header.plain_bytes);
  if (header.codec == Codec::kNone && sealed_bytes != whole)
    return Corrupt(context, fmt::format("{} bytes arrived, {} belong to it", sealed_bytes, whole));
  if (header.codec == Codec::kZstd &&
      (header.stored_bytes <= 0 || header.stored_bytes >= header.plain_bytes))
    return Corrupt(context, fmt::format("{} bytes arrived, too few or too many for compressed ones",
                                        sealed_bytes));
  return header;
}

}  // namespace

std::string_view DirectionName(Direction direction) {
  return direction == Direction::kDown ? "down" : "up";
}

std::int64_t SealedSize(std::int64_t stored_bytes) {
  SPW_CHECK(stored_bytes >= 0);
  const auto tags = SegmentCount(static_cast<std::uint64_t>(stored_bytes)) * kTagBytes;
  return static_cast<std::int64_t>(kChunkHeaderBytes + tags) + stored_bytes;
}

Result<ByteBuffer> SealChunk(const Secret& run_key, const ChunkContext& context, ByteView plaintext,
                             ByteView salt, Compression compression) {
  ByteBuffer out;
  SPW_TRY(SealChunk(run_key, context, plaintext, salt, compression, out));
  return out;
}

Status SealChunk(const Secret& run_key, const ChunkContext& context, ByteView plaintext,
                 ByteView salt, Compression compression, ByteBuffer& out) {
  out.clear();
  if (salt.size() != kSaltBytes)
    return Fail(Code::kInvalid, fmt::format("{}: a salt has {} bytes, not {}", Name(context),
                                            kSaltBytes, salt.size()));
  if (static_cast<std::int64_t>(plaintext.size()) > kMaxChunkBytes)
    return Fail(Code::kInvalid, fmt::format("{}: {} bytes exceed the {} of one chunk",
                                            Name(context), plaintext.size(), kMaxChunkBytes));
  std::optional<ByteBuffer> frame;
  if (compression == Compression::kWherePays) frame = CompressIfItPays(plaintext);
  const CleanseGuard guard(frame ? std::span(*frame) : std::span<std::uint8_t>());
  const Codec codec = frame ? Codec::kZstd : Codec::kNone;
  const ByteView stored = frame ? ByteView(*frame) : plaintext;

  ChunkKeys keys;
  DeriveKeys(run_key, context, salt, keys);
  out.reserve(static_cast<std::size_t>(SealedSize(static_cast<std::int64_t>(stored.size()))));
  AppendRaw(out, kMagic);
  for (std::uint8_t byte :
       {kFormatVersion, static_cast<std::uint8_t>(codec), kSegmentLog2, std::uint8_t{0}})
    out.push_back(byte);
  AppendBigEndian(out, context.index);
  AppendBigEndian(out, static_cast<std::uint64_t>(plaintext.size()));
  AppendBytes(out, salt);
  AppendBytes(out, keys.commitment());

  const Aes256Gcm cipher(keys.key());
  const std::size_t count = SegmentCount(stored.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i * kSegmentBytes;
    const ByteView part = stored.subspan(from, std::min(kSegmentBytes, stored.size() - from));
    const std::size_t at = out.size();
    out.resize(at + part.size() + kTagBytes);
    cipher.Seal(SegmentNonce(keys.base_nonce(), i),
                Associated(context, i, count, plaintext.size(), codec), part,
                std::span(out).subspan(at));
  }
  return Ok();
}

Result<Digest> SealDigest(ByteView sealed) {
  const std::int64_t stored = StoredBytes(static_cast<std::int64_t>(sealed.size()));
  if (stored < 0)
    return Fail(Code::kCorrupt, fmt::format("no sealed chunk has {} bytes", sealed.size()));
  ByteBuffer named;
  named.reserve(kChunkHeaderBytes + SegmentCount(static_cast<std::uint64_t>(stored)) * kTagBytes);
  AppendBytes(named, sealed.first(kChunkHeaderBytes));
  for (std::size_t at = kChunkHeaderBytes; at < sealed.size();) {
    at += std::min(kSegmentBytes + kTagBytes, sealed.size() - at);
    AppendBytes(named, sealed.subspan(at - kTagBytes, kTagBytes));
  }
  return Sha256(named);
}

Result<ByteBuffer> OpenChunk(const Secret& run_key, const ChunkContext& context, ByteView sealed) {
  SPW_ASSIGN(const ChunkOpener opener,
             ChunkOpener::Make(run_key, context, sealed, static_cast<std::int64_t>(sealed.size())));
  return opener.Open(sealed);
}

ChunkOpener::ChunkOpener(ChunkContext context, Codec codec, std::int64_t plain_bytes,
                         std::int64_t stored_bytes, ByteView key, ByteView base_nonce)
    : context_(std::move(context)),
      codec_(codec),
      plain_bytes_(plain_bytes),
      stored_bytes_(stored_bytes),
      cipher_(key) {
  std::copy(base_nonce.begin(), base_nonce.end(), base_nonce_.begin());
}

Result<ChunkOpener> ChunkOpener::Make(const Secret& run_key, ChunkContext context, ByteView header,
                                      std::int64_t sealed_bytes) {
  SPW_ASSIGN(const Header found, CheckHeader(context, header, sealed_bytes));
  ChunkKeys keys;
  DeriveKeys(run_key, context, header.subspan(kSaltAt, kSaltBytes), keys);
  if (!EqualConstantTime(keys.commitment(), header.subspan(kCommitmentAt, 32)))
    return Corrupt(context, "it was not sealed with this key for this place");
  return ChunkOpener(std::move(context), found.codec, found.plain_bytes, found.stored_bytes,
                     keys.key(), keys.base_nonce());
}

Result<ChunkOpener::Cover> ChunkOpener::CoverOf(std::int64_t offset, std::int64_t bytes) const {
  if (codec_ != Codec::kNone)
    return Fail(Code::kInvalid, Name(context_) + ": is compressed, and opens only as a whole");
  if (offset < 0 || bytes <= 0 || bytes > plain_bytes_ || offset > plain_bytes_ - bytes)
    return Fail(Code::kInvalid, fmt::format("{}: there are no {} bytes from {} on in its {}",
                                            Name(context_), bytes, offset, plain_bytes_));
  return StoredCoverOf(offset, bytes);
}

ChunkOpener::Cover ChunkOpener::StoredCoverOf(std::int64_t offset, std::int64_t bytes) const {
  constexpr auto kSegment = static_cast<std::int64_t>(kSegmentBytes);
  constexpr auto kTag = static_cast<std::int64_t>(kTagBytes);
  const std::int64_t first = offset / kSegment;
  const std::int64_t last = bytes == 0 ? first : (offset + bytes - 1) / kSegment;
  const std::int64_t end = std::min((last + 1) * kSegment, stored_bytes_);
  const std::int64_t count = last - first + 1;
  return {static_cast<std::size_t>(first), static_cast<std::size_t>(count),
          static_cast<std::int64_t>(kChunkHeaderBytes) + first * (kSegment + kTag),
          end - first * kSegment + count * kTag};
}

Status ChunkOpener::OpenRange(std::int64_t offset, ByteView segments,
                              std::span<std::uint8_t> out) const {
  if (auto there = CoverOf(offset, static_cast<std::int64_t>(out.size())); !there) {
    Cleanse(out);
    return Fail(std::move(there).error());
  }
  return OpenStored(offset, segments, out);
}

Result<ByteBuffer> ChunkOpener::Open(ByteView sealed) const {
  SPW_TRY(CheckSize(sealed));
  SPW_ASSIGN(ByteBuffer stored, OpenAllStored(sealed));
  if (codec_ == Codec::kNone) return stored;
  const CleanseGuard guard(stored);
  ByteBuffer out(static_cast<std::size_t>(plain_bytes_));
  if (auto good = Decompress(stored, out); !good) {
    Cleanse(out);
    return Corrupt(context_, good.error().message);
  }
  return out;
}

Status ChunkOpener::Open(ByteView sealed, std::span<std::uint8_t> out) const {
  SPW_CHECK(static_cast<std::int64_t>(out.size()) == plain_bytes_);
  Status opened = CheckSize(sealed);
  if (opened && codec_ == Codec::kNone) {
    opened = OpenStored(0, sealed.subspan(kChunkHeaderBytes), out);
  } else if (opened) {
    opened = OpenCompressed(sealed, out);
  }
  if (!opened) Cleanse(out);
  return opened;
}

Status ChunkOpener::Verify(ByteView sealed) const {
  SPW_TRY(CheckSize(sealed));
  ByteBuffer plain(std::min(kSegmentBytes, static_cast<std::size_t>(stored_bytes_)));
  const CleanseGuard guard(plain);
  ByteView rest = sealed.subspan(kChunkHeaderBytes);
  for (std::size_t segment = 0; !rest.empty(); ++segment) {
    const std::size_t size = std::min(kSegmentBytes + kTagBytes, rest.size());
    if (!OpenSegment(segment, rest.first(size), std::span(plain).first(size - kTagBytes)))
      return Changed(segment);
    rest = rest.subspan(size);
  }
  return Ok();
}

Status ChunkOpener::OpenCompressed(ByteView sealed, std::span<std::uint8_t> out) const {
  SPW_ASSIGN(ByteBuffer stored, OpenAllStored(sealed));
  const CleanseGuard guard(stored);
  if (auto good = Decompress(stored, out); !good) return Corrupt(context_, good.error().message);
  return Ok();
}

Status ChunkOpener::CheckSize(ByteView sealed) const {
  const std::int64_t expected = SealedSize(stored_bytes_);
  if (static_cast<std::int64_t>(sealed.size()) == expected) return Ok();
  return Corrupt(context_,
                 fmt::format("{} bytes arrived, {} belong to it", sealed.size(), expected));
}

Result<ByteBuffer> ChunkOpener::OpenAllStored(ByteView sealed) const {
  ByteBuffer stored(static_cast<std::size_t>(stored_bytes_));
  SPW_TRY(OpenStored(0, sealed.subspan(kChunkHeaderBytes), stored));
  return stored;
}

// `offset` and `out` are of what the segments hold.
Status ChunkOpener::OpenStored(std::int64_t offset, ByteView segments,
                               std::span<std::uint8_t> out) const {
  auto opened = OpenPieces(offset, segments, out);
  if (!opened) Cleanse(out);
  return opened;
}

Status ChunkOpener::OpenPieces(std::int64_t offset, ByteView segments,
                               std::span<std::uint8_t> out) const {
  const Cover cover = StoredCoverOf(offset, static_cast<std::int64_t>(out.size()));
  if (static_cast<std::int64_t>(segments.size()) != cover.sealed_bytes)
    return Corrupt(context_, fmt::format("{} bytes arrived for segments of {}", segments.size(),
                                         cover.sealed_bytes));
  const auto begin = static_cast<std::size_t>(offset), end = begin + out.size();
  const auto stored_bytes = static_cast<std::size_t>(stored_bytes_);
  ByteBuffer buffer;
  for (std::size_t segment = cover.first; segment < cover.first + cover.count; ++segment) {
    const std::size_t at = segment * kSegmentBytes;
    const std::size_t size = std::min(kSegmentBytes, stored_bytes - at);
    const std::size_t from = std::max(at, begin), to = std::min(at + size, end);
    const std::span<std::uint8_t> part = out.subspan(from - begin, to - from);
    const bool whole = part.size() == size;
    if (!whole) buffer.resize(size);
    const std::span<std::uint8_t> target = whole ? part : std::span(buffer);
    if (!OpenSegment(segment, segments.first(size + kTagBytes), target)) return Changed(segment);
    if (!whole) {
      std::copy_n(buffer.begin() + static_cast<std::ptrdiff_t>(from - at), part.size(),
                  part.begin());
      Cleanse(buffer);
    }
    segments = segments.subspan(size + kTagBytes);
  }
  return Ok();
}

Status ChunkOpener::Changed(std::size_t segment) const {
  return Corrupt(context_, fmt::format("segment {} of {} was changed", segment,
                                       SegmentCount(static_cast<std::uint64_t>(stored_bytes_))));
}

bool ChunkOpener::OpenSegment(std::size_t segment, ByteView sealed,
                              std::span<std::uint8_t> out) const {
  const std::size_t count = SegmentCount(static_cast<std::uint64_t>(stored_bytes_));
  return cipher_.Open(
      SegmentNonce(base_nonce_, segment),
      Associated(context_, segment, count, static_cast<std::uint64_t>(plain_bytes_), codec_),
      sealed, out);
}

}  // namespace spillway::data
