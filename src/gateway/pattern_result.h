// For tests: a result of any size that is made up chunk by chunk, as the node of run bn-1 sends it
// home. Most of it is zeros, and each kNoiseEvery-th chunk is noise.
#pragma once

#include <string>

#include "base/rng.h"
#include "base/sha256_stream.h"
#include "gateway/sent_result.h"

namespace spillway::gateway {

class PatternResult {
 public:
  static constexpr std::int64_t kNoiseEvery = 64;

  PatternResult(std::string path, std::int64_t bytes) {
    about_ = DescribeResult(path, "", 0);
    about_.size_bytes = bytes;
    about_.chunks =
        std::max<std::int64_t>(1, (bytes + door::kResultChunkBytes - 1) / door::kResultChunkBytes);
    Sha256Stream hash;
    for (std::int64_t i = 0; i < about_.chunks; ++i) hash.Add(AsBytes(Plain(i)));
    about_.sha256 = hash.Finish();
  }

  const ResultChunk& about() const { return about_; }
  std::int64_t chunks() const { return about_.chunks; }
  static bool IsNoise(std::int64_t index) { return index % kNoiseEvery == 0; }
  std::string Plain(std::int64_t index) const {
    const std::int64_t rest = about_.size_bytes - index * door::kResultChunkBytes;
    std::string plain(static_cast<std::size_t>(std::min(door::kResultChunkBytes, rest)), '\0');
    if (!IsNoise(index)) return plain;
    Rng rng(static_cast<std::uint64_t>(index) + 1);
    for (std::size_t i = 0; i + 4 <= plain.size(); i += 4)
      for (std::uint64_t k = 0, bits = rng.Below(std::uint64_t{1} << 32); k < 4; ++k)
        plain[i + k] = static_cast<char>(bits >> (8 * k));
    return plain;
  }

  // Sends all of it, what fails for a while again; the receipt.
  Result<std::string> SendAll(KeyStore& keys, Runs& runs, Results& results, Time now) const {
    for (std::int64_t i = 0; i < about_.chunks;) {
      ResultChunk chunk = about_;
      chunk.chunk = i;
      SPW_ASSIGN(const ByteBuffer sealed, SealPlain(keys, runs, chunk, Plain(i)));
      const auto put = results.Put(chunk, sealed, now);
      if (put && *put) return **put;
      if (put) ++i;
      if (!put && put.error().code != Code::kUnavailable && put.error().code != Code::kThrottled)
        return Fail(put.error());
    }
    return Fail(Code::kInternal, "no receipt");
  }

 private:
  ResultChunk about_;
};

}  // namespace spillway::gateway
