#include "data/wipe.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>

namespace spillway::data {
namespace {

constexpr std::int64_t kBufferBytes = 1024 * 1024;
constexpr std::int64_t kCipherBlock = 16;

// AES-256-CTR with the block number as counter: what belongs at an offset depends on the seed and
// the offset alone.
class Keystream {
 public:
  explicit Keystream(const Secret& seed)
      : key_(HkdfExpandSecret(seed, AsBytes("spillway wipe keystream 1"))),
        context_(EVP_CIPHER_CTX_new()) {
    SPW_CHECK(context_ != nullptr, "out of memory for a cipher");
    SPW_CHECK(EVP_EncryptInit_ex(context_.get(), EVP_aes_256_ctr(), nullptr, key_.bytes().data(),
                                 nullptr) == 1);
  }

  void Fill(std::int64_t offset, std::span<std::uint8_t> out) {
    std::array<std::uint8_t, 16> counter{};
    auto block = static_cast<std::uint64_t>(offset / kCipherBlock);
    for (std::size_t i = 0; i < 8; ++i, block >>= 8)
      counter[15 - i] = static_cast<std::uint8_t>(block);
    SPW_CHECK(EVP_EncryptInit_ex(context_.get(), nullptr, nullptr, nullptr, counter.data()) == 1);
    std::array<std::uint8_t, 16> skipped{};
    int n = 0;
    SPW_CHECK(EVP_EncryptUpdate(context_.get(), skipped.data(), &n, skipped.data(),
                                static_cast<int>(offset % kCipherBlock)) == 1);
    std::memset(out.data(), 0, out.size());
    SPW_CHECK(EVP_EncryptUpdate(context_.get(), out.data(), &n, out.data(),
                                static_cast<int>(out.size())) == 1);
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  Secret key_;
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
};

// 1 MiB that starts at a multiple of 4096, as direct I/O wants it.
class AlignedBuffer {
 public:
  AlignedBuffer()
      : bytes_(static_cast<std::uint8_t*>(::operator new(kBufferBytes, std::align_val_t{kAlign}))) {
  }
  ~AlignedBuffer() { ::operator delete(bytes_, std::align_val_t{kAlign}); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  std::span<std::uint8_t> First(std::int64_t n) { return {bytes_, static_cast<std::size_t>(n)}; }

 private:
  static constexpr std::size_t kAlign = 4096;
  std::uint8_t* bytes_;
};

Result<std::vector<ByteRange>> CheckRanges(BlockFile& file, std::vector<ByteRange> ranges) {
  SPW_ASSIGN(const std::int64_t size, file.Size());
  if (ranges.empty() && size > 0) return std::vector<ByteRange>{{0, size}};
  std::sort(ranges.begin(), ranges.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.offset < b.offset; });
  std::int64_t end = 0;
  for (const ByteRange& range : ranges) {
    if (range.length <= 0 || range.offset < 0 || range.length > size ||
        range.offset > size - range.length)
      return Fail(Code::kInvalid,
                  fmt::format("wipe: range {}+{} is not inside the file of {} bytes", range.offset,
                              range.length, size));
    if (range.offset < end)
      return Fail(Code::kInvalid, fmt::format("wipe: range {}+{} overlaps the one before it",
                                              range.offset, range.length));
    end = range.offset + range.length;
  }
  return ranges;
}

void Note(WipeReport& report, const Status& status, std::string_view what) {
  if (!status && !report.failure) report.failure = status.error().In(what);
}

// Calls `step(offset, length)` for pieces of one buffer at most, in order.
template <typename Step>
void ForEachPiece(const std::vector<ByteRange>& ranges, const Step& step) {
  for (const ByteRange& range : ranges)
    for (std::int64_t done = 0; done < range.length; done += kBufferBytes)
      step(range.offset + done, std::min(kBufferBytes, range.length - done));
}

std::int64_t CountDifferent(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  if (std::memcmp(a.data(), b.data(), a.size()) == 0) return 0;
  std::int64_t different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different += a[i] != b[i] ? 1 : 0;
  return different;
}

}  // namespace

std::string SeedCommitment(const Secret& seed) {
  Digest commitment;
  HkdfExpand(seed, AsBytes("spillway wipe seed commitment 1"), commitment);
  return Hex(commitment);
}

Result<WipeReport> WipeAndReadBack(BlockFile& file, std::vector<ByteRange> ranges,
                                   const Secret& seed, const WipeProgress& progress) {
  SPW_ASSIGN(ranges, CheckRanges(file, std::move(ranges)));
  WipeReport report;
  for (const ByteRange& range : ranges) report.bytes_requested += range.length;
  report.seed_commitment = SeedCommitment(seed);
  Keystream keystream(seed);
  AlignedBuffer expected, found;

  std::int64_t passed = 0;
  ForEachPiece(ranges, [&](std::int64_t offset, std::int64_t length) {
    keystream.Fill(offset, expected.First(length));
    const Status written = file.WriteAt(offset, expected.First(length));
    Note(report, written, fmt::format("overwrite at {}", offset));
    if (written) report.bytes_written += length;
    passed += length;
    if (progress) progress(WipePhase::kOverwrite, passed, report.bytes_requested);
  });
  Note(report, file.Flush(), "flush");
  Note(report, file.DropCache(), "drop cache before reading back");

  passed = 0;
  ForEachPiece(ranges, [&](std::int64_t offset, std::int64_t length) {
    const Status read = file.ReadAt(offset, found.First(length));
    Note(report, read, fmt::format("read back at {}", offset));
    if (read) {
      keystream.Fill(offset, expected.First(length));
      report.bytes_read_back += length;
      report.mismatched_bytes += CountDifferent(found.First(length), expected.First(length));
    }
    passed += length;
    if (progress) progress(WipePhase::kReadBack, passed, report.bytes_requested);
  });
  return report;
}

}  // namespace spillway::data
