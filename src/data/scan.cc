#include "data/scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace spillway::data {
namespace {

constexpr std::size_t kBlockBytes = 16;
constexpr std::size_t kFeedBytes = 256 * 1024;

std::uint64_t Load(const std::uint8_t* bytes) {
  std::uint64_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// Murmur3's finaliser over a running value: spreads every input bit over the result.
std::uint64_t Mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
  hash ^= hash >> 32;
  hash *= 0xD6E8FEB86659FD93u;
  return hash ^ hash >> 29;
}

std::uint64_t HashBlock(const std::uint8_t* block) {
  return Mix(Mix(0x53, Load(block)), Load(block + 8));
}

std::uint64_t HashWindow(const std::uint8_t* window) {
  return Mix(Mix(HashBlock(window), Load(window + 16)), Load(window + 24));
}

bool OneByteOnly(const std::uint8_t* window) {
  return std::memcmp(window, window + 1, kWindowBytes - 1) == 0;
}

// The two filter bits of a block inside its word; the word is chosen by other bits of the hash.
std::uint64_t FilterBits(std::uint64_t hash) {
  return std::uint64_t{1} << (hash & 63) | std::uint64_t{1} << (hash >> 6 & 63);
}

std::size_t FilterWord(std::uint64_t hash, std::size_t words) {
  return static_cast<std::size_t>(hash >> 12) & (words - 1);
}

}  // namespace

Result<ScanIndex> ScanIndex::Build(std::span<const ByteView> samples) {
  std::size_t total = 0;
  for (ByteView sample : samples) total += sample.size();
  if (total > kMaxSampleBytes)
    return Fail(Code::kInvalid, fmt::format("scan: a sample of {} bytes exceeds the limit of {}",
                                            total, kMaxSampleBytes));
  ScanIndex index;
  index.joined_.reserve(total);
  for (ByteView sample : samples) {
    index.starts_.push_back(index.joined_.size());
    index.joined_.insert(index.joined_.end(), sample.begin(), sample.end());
  }
  // At most two thirds full, and 16 filter bits or more per block.
  index.table_.assign(std::bit_ceil(std::max<std::size_t>(64, total + total / 2)), 0);
  index.filter_.assign(std::bit_ceil(std::max<std::size_t>(64, total / 4)), 0);
  for (std::size_t s = 0; s < samples.size(); ++s) {
    for (std::size_t i = 0; i + kWindowBytes <= samples[s].size(); ++i) {
      const std::size_t at = index.starts_[s] + i;
      if (!OneByteOnly(index.joined_.data() + at)) index.AddWindow(at);
    }
  }
  if (index.windows_ == 0)
    return Fail(Code::kInvalid,
                "scan: the sample holds no window of 32 bytes that says anything; take larger or "
                "other files");
  return index;
}

void ScanIndex::AddWindow(std::size_t offset) {
  const std::uint8_t* window = joined_.data() + offset;
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = HashWindow(window) & mask;
  for (; table_[slot] != 0; slot = (slot + 1) & mask)
    if (std::memcmp(joined_.data() + table_[slot] - 1, window, kWindowBytes) == 0) return;
  table_[slot] = static_cast<std::uint32_t>(offset + 1);
  ++windows_;
  // Neighbouring windows share all blocks but one.
  const std::size_t last_block = offset + kWindowBytes - kBlockBytes;
  for (std::size_t at = std::max(offset, blocks_added_); at <= last_block; ++at)
    AddBlock(joined_.data() + at);
  blocks_added_ = last_block + 1;
}

void ScanIndex::AddBlock(const std::uint8_t* block) {
  const std::uint64_t hash = HashBlock(block);
  filter_[FilterWord(hash, filter_.size())] |= FilterBits(hash);
}

bool ScanIndex::MayHoldBlock(const std::uint8_t* block) const {
  const std::uint64_t hash = HashBlock(block);
  const std::uint64_t bits = FilterBits(hash);
  return (filter_[FilterWord(hash, filter_.size())] & bits) == bits;
}

std::int64_t ScanIndex::FindWindow(const std::uint8_t* window) const {
  if (OneByteOnly(window)) return -1;
  const std::size_t mask = table_.size() - 1;
  for (std::size_t slot = HashWindow(window) & mask; table_[slot] != 0; slot = (slot + 1) & mask)
    if (std::memcmp(joined_.data() + table_[slot] - 1, window, kWindowBytes) == 0)
      return static_cast<std::int64_t>(table_[slot]) - 1;
  return -1;
}

ScanIndex::Origin ScanIndex::OriginOf(std::int64_t joined_offset) const {
  const auto after =
      std::upper_bound(starts_.begin(), starts_.end(), static_cast<std::size_t>(joined_offset));
  const auto sample = static_cast<std::size_t>(after - starts_.begin()) - 1;
  return {sample, joined_offset - static_cast<std::int64_t>(starts_[sample])};
}

void Scanner::Feed(ByteView bytes) {
  while (!bytes.empty()) {
    const std::size_t n = std::min(bytes.size(), kFeedBytes);
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    bytes = bytes.subspan(n);
    fed_ += static_cast<std::int64_t>(n);
    Search();
    // What remains is shorter than a window.
    buffer_.erase(buffer_.begin(), buffer_.begin() + (next_ - buffer_at_));
    buffer_at_ = next_;
  }
}

void Scanner::Search() {
  constexpr auto kWindow = static_cast<std::int64_t>(kWindowBytes);
  constexpr auto kBlock = static_cast<std::int64_t>(kBlockBytes);
  while (next_ + kWindow <= fed_) {
    // The windows that start in (block - 16, block] all contain the block.
    const std::int64_t block = (next_ + kBlock - 1) / kBlock * kBlock;
    const std::int64_t last = std::min(block, fed_ - kWindow);
    if (index_->MayHoldBlock(buffer_.data() + (block - buffer_at_))) {
      for (std::int64_t start = next_; start <= last; ++start) {
        const std::int64_t found = index_->FindWindow(buffer_.data() + (start - buffer_at_));
        if (found >= 0) Record(start, found);
      }
    }
    next_ = last + 1;
  }
}

void Scanner::Record(std::int64_t offset, std::int64_t joined_offset) {
  ++hit_windows_;
  const bool continues = last_hit_ == offset - 1;
  last_hit_ = offset;
  if (continues) {
    // A run that started after the list was full has no entry to grow.
    if (!hits_.empty() && hits_.back().offset + hits_.back().length ==
                              offset - 1 + static_cast<std::int64_t>(kWindowBytes))
      ++hits_.back().length;
    return;
  }
  if (hits_.size() == kMaxHits) return;
  const ScanIndex::Origin origin = index_->OriginOf(joined_offset);
  hits_.push_back({offset, static_cast<std::int64_t>(kWindowBytes), origin.sample, origin.offset});
}

}  // namespace spillway::data
