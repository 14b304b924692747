#include "data/compress.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

namespace spillway::data {
namespace {

// The fastest of zstd's regular levels: the next ones cost twice the time for some per cent.
constexpr int kLevel = 1;
constexpr std::size_t kSampleBytes = 16 * 1024;
constexpr std::size_t kSamples = 3;

constexpr std::size_t Worth(std::size_t plain_bytes) {
  return plain_bytes - plain_bytes / 8;
}

using Compressor = std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)>;

// Bytes of the frame, 0 when it does not fit into `out`.
std::size_t Compress(ZSTD_CCtx* context, ByteView in, std::span<std::uint8_t> out) {
  const std::size_t size =
      ZSTD_compressCCtx(context, out.data(), out.size(), in.data(), in.size(), kLevel);
  return ZSTD_isError(size) ? 0 : size;
}

// Of beginning, middle and end together.
bool SamplesShrink(ZSTD_CCtx* context, ByteView plaintext) {
  ByteBuffer scratch(ZSTD_compressBound(kSampleBytes));
  std::size_t compressed = 0;
  for (std::size_t i = 0; i < kSamples; ++i) {
    const std::size_t at = (plaintext.size() - kSampleBytes) / (kSamples - 1) * i;
    compressed += Compress(context, plaintext.subspan(at, kSampleBytes), scratch);
  }
  return compressed < Worth(kSamples * kSampleBytes);
}

}  // namespace

std::optional<ByteBuffer> CompressIfItPays(ByteView plaintext) {
  const Compressor context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  SPW_CHECK(context != nullptr, "out of memory for a compressor");
  if (plaintext.size() > 2 * kSamples * kSampleBytes && !SamplesShrink(context.get(), plaintext))
    return std::nullopt;
  ByteBuffer out(Worth(plaintext.size()));
  if (out.empty()) return std::nullopt;
  const std::size_t size = Compress(context.get(), plaintext, out);
  if (size == 0 || size >= out.size()) return std::nullopt;
  out.resize(size);
  return out;
}

Status Decompress(ByteView frame, std::span<std::uint8_t> out) {
  // Both look at the frame alone, before anything is written.
  const unsigned long long stated = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (stated != out.size())
    return Fail(Code::kCorrupt, fmt::format("it is no zstd frame of {} bytes", out.size()));
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size())
    return Fail(Code::kCorrupt, "something follows its zstd frame, or the frame is cut");
  const Decompressor context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  SPW_CHECK(context != nullptr, "out of memory for a decompressor");
  const std::size_t size =
      ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) || size != out.size())
    return Fail(Code::kCorrupt, "its zstd frame is damaged");
  return Ok();
}

}  // namespace spillway::data
