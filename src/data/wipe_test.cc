#include "data/wipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/test_util.h"

namespace spillway::data {
namespace {

using ::testing::HasSubstr;

// A medium in memory with a page cache in front and the lies media tell.
class FakeMedium final : public BlockFile {
 public:
  explicit FakeMedium(std::size_t size) : medium(size, 0xAA), cache(medium) {}

  Result<std::int64_t> Size() override { return static_cast<std::int64_t>(cache.size()); }
  Status WriteAt(std::int64_t offset, ByteView bytes) override {
    if (fail_write_at.contains(offset)) return Fail(Code::kUnavailable, "I/O error");
    largest = std::max(largest, bytes.size());
    std::ranges::copy(bytes, cache.begin() + offset);
    return Ok();
  }
  Status ReadAt(std::int64_t offset, std::span<std::uint8_t> out) override {
    if (fail_read_at.contains(offset)) return Fail(Code::kUnavailable, "unreadable sector");
    if (reinterpret_cast<std::uintptr_t>(out.data()) % 4096 != 0)
      return Fail(Code::kInternal, "buffer is not aligned");
    std::copy_n(cache.begin() + offset, out.size(), out.begin());
    return Ok();
  }
  Status Flush() override {
    if (fail_flush) return Fail(Code::kUnavailable, "flush failed");
    if (!lose_writes) medium = cache;
    return Ok();
  }
  Status DropCache() override {
    cache = medium;
    if (zero_byte) cache[*zero_byte] ^= 0xFF;
    return Ok();
  }

  ByteBuffer medium, cache;
  std::set<std::int64_t> fail_write_at, fail_read_at;
  std::optional<std::size_t> zero_byte;
  bool lose_writes = false, fail_flush = false;
  std::size_t largest = 0;
};

constexpr std::int64_t kMiB = 1024 * 1024;

TEST(Wipe, OverwritesAndProvesTheWholeFile) {
  FakeMedium file(static_cast<std::size_t>(3 * kMiB + 12'345));
  std::vector<std::pair<WipePhase, std::int64_t>> steps;
  const auto report = WipeAndReadBack(file, {}, CountingSecret(64),
                                      [&](WipePhase phase, std::int64_t done, std::int64_t total) {
                                        EXPECT_EQ(total, 3 * kMiB + 12'345);
                                        steps.emplace_back(phase, done);
                                      });
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->Complete());
  EXPECT_EQ(report->bytes_requested, 3 * kMiB + 12'345);
  EXPECT_EQ(report->bytes_written, report->bytes_requested);
  EXPECT_EQ(report->bytes_read_back, report->bytes_requested);
  EXPECT_EQ(file.largest, static_cast<std::size_t>(kMiB)) << "memory stays bounded";
  ASSERT_EQ(steps.size(), 8u);
  EXPECT_EQ(steps[3], std::pair(WipePhase::kOverwrite, report->bytes_requested));
  EXPECT_EQ(steps[7], std::pair(WipePhase::kReadBack, report->bytes_requested));
  const auto left = std::ranges::count(file.medium, 0xAA);
  EXPECT_LT(left, std::ssize(file.medium) / 200) << "no more than chance leaves";
}

// Computed with another implementation (Python, cryptography 48): AES-256-CTR under
// HKDF-Expand(seed, "spillway wipe keystream 1"), counter = offset / 16.
TEST(Wipe, KeystreamIsTheStatedOneAtEveryOffset) {
  FakeMedium file(static_cast<std::size_t>(16 * kMiB + 16));
  const auto report = WipeAndReadBack(file, {{0, 5}, {5, 43}, {16 * kMiB, 16}}, CountingSecret(64));
  ASSERT_TRUE(report->Complete());
  EXPECT_EQ(Hex(ByteView(file.medium).first(48)),
            "d3b8211592ff86784722ab2258136244eebdbbd57e9da9b8a7230554ab9b555a"
            "6ab32f93dba4a9d470844e6603d832ad");
  EXPECT_EQ(Hex(ByteView(file.medium).last(16)), "37d0a2ce33527f27b671f7dda1988299");
  EXPECT_EQ(report->seed_commitment,
            "fdbfc31acd928373744cecc89f43d243b4a177009d412c26dc69d05867c9c2b9");
  EXPECT_NE(report->seed_commitment, SeedCommitment(CountingSecret(65)));
}

TEST(Wipe, TouchesOnlyTheRangesAsked) {
  FakeMedium file(10'000);
  const auto report = WipeAndReadBack(file, {{4096, 1000}, {0, 100}}, CountingSecret(1));
  ASSERT_TRUE(report->Complete());
  EXPECT_EQ(report->bytes_requested, 1100);
  const ByteBuffer before(10'000, 0xAA);
  EXPECT_TRUE(std::equal(file.medium.begin() + 100, file.medium.begin() + 4096, before.begin()));
  EXPECT_TRUE(std::equal(file.medium.begin() + 5096, file.medium.end(), before.begin()));
}

TEST(Wipe, RefusesRangesThatOverlapOrLeaveTheFile) {
  FakeMedium file(10'000);
  const std::vector<std::vector<ByteRange>> bad = {
      {{0, 100}, {99, 10}}, {{9'999, 2}}, {{-1, 5}}, {{5, 0}}, {{INT64_MAX, 1}}, {{1, INT64_MAX}}};
  for (const auto& ranges : bad) {
    const auto report = WipeAndReadBack(file, ranges, CountingSecret(1));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Code::kInvalid);
  }
  EXPECT_EQ(file.medium, ByteBuffer(10'000, 0xAA)) << "nothing was written";
}

TEST(Wipe, AMediumThatLosesWritesIsFoundOut) {
  FakeMedium file(100'000);
  file.lose_writes = true;
  const auto report = WipeAndReadBack(file, {}, CountingSecret(1));
  EXPECT_FALSE(report->Complete());
  EXPECT_FALSE(report->failure);
  EXPECT_EQ(report->bytes_written, 100'000);
  EXPECT_GT(report->mismatched_bytes, 99'000);
}

TEST(Wipe, OneWrongByteIsCountedAsOne) {
  FakeMedium file(static_cast<std::size_t>(2 * kMiB));
  file.zero_byte = 1'500'000;
  const auto report = WipeAndReadBack(file, {}, CountingSecret(1));
  EXPECT_EQ(report->mismatched_bytes, 1);
  EXPECT_FALSE(report->Complete());
}

TEST(Wipe, ABadBlockDoesNotShieldTheRest) {
  FakeMedium file(static_cast<std::size_t>(3 * kMiB));
  file.fail_write_at = {kMiB};
  file.fail_read_at = {0};
  const auto report = WipeAndReadBack(file, {}, CountingSecret(1));
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->Complete());
  EXPECT_EQ(report->bytes_written, 2 * kMiB);
  EXPECT_EQ(report->bytes_read_back, 2 * kMiB);
  EXPECT_GT(report->mismatched_bytes, kMiB / 2) << "what was not overwritten reads back as old";
  EXPECT_THAT(report->failure->message, HasSubstr("overwrite at 1048576"));
  EXPECT_NE(file.medium[static_cast<std::size_t>(2 * kMiB + 1)],
            file.medium[static_cast<std::size_t>(kMiB + 1)]);
}

TEST(Wipe, AFailedFlushIsNeverComplete) {
  FakeMedium file(4096);
  file.fail_flush = true;
  const auto report = WipeAndReadBack(file, {}, CountingSecret(1));
  EXPECT_FALSE(report->Complete());
  EXPECT_THAT(report->failure->message, HasSubstr("flush"));
}

}  // namespace
}  // namespace spillway::data
