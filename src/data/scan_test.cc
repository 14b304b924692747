#include "data/scan.h"

#include <gtest/gtest.h>

#include <set>

#include "data/test_util.h"

namespace spillway::data {
namespace {

ScanIndex IndexOf(const ByteBuffer& sample) {
  const ByteView views[] = {sample};
  return *ScanIndex::Build(views);
}

void FeedInPieces(Scanner& scanner, const ByteBuffer& stream, std::size_t piece) {
  for (std::size_t at = 0; at < stream.size(); at += piece)
    scanner.Feed(ByteView(stream).subspan(at, std::min(piece, stream.size() - at)));
}

TEST(Scan, FindsAPlantedWindowAtEveryOffsetAndCut) {
  const ByteBuffer sample = RandomBytes(5'000, 1);
  const ScanIndex index = IndexOf(sample);
  for (std::size_t offset = 0; offset <= 68; ++offset) {
    ByteBuffer stream = RandomBytes(100, 2);
    std::copy_n(sample.begin() + 777, kWindowBytes,
                stream.begin() + static_cast<std::ptrdiff_t>(offset));
    // The neighbours differ from the sample's, so that the match is exactly one window.
    if (offset > 0) stream[offset - 1] = static_cast<std::uint8_t>(sample[776] ^ 1);
    if (offset < 68) stream[offset + 32] = static_cast<std::uint8_t>(sample[809] ^ 1);
    for (std::size_t piece : {1u, 7u, 31u, 32u, 33u, 100u}) {
      Scanner scanner(index);
      FeedInPieces(scanner, stream, piece);
      ASSERT_EQ(scanner.hits().size(), 1u) << offset << " cut every " << piece;
      EXPECT_EQ(scanner.hits()[0].offset, static_cast<std::int64_t>(offset));
      EXPECT_EQ(scanner.hits()[0].length, 32);
      EXPECT_EQ(scanner.hits()[0].sample_offset, 777);
      EXPECT_EQ(scanner.hit_windows(), 1);
      EXPECT_EQ(scanner.scanned_bytes(), 100);
    }
  }
}

TEST(Scan, FindsAWindowAcrossTheInternalBuffer) {
  const ByteBuffer sample = RandomBytes(1'000, 1);
  const ScanIndex index = IndexOf(sample);
  ByteBuffer stream = RandomBytes(600'000, 2);
  for (std::ptrdiff_t at : {262'144 - 5, 524'288 - 31})
    std::copy_n(sample.begin(), kWindowBytes, stream.begin() + at);
  Scanner scanner(index);
  scanner.Feed(stream);
  ASSERT_EQ(scanner.hits().size(), 2u);
  EXPECT_EQ(scanner.hits()[0].sample_offset, 0);
  EXPECT_EQ(scanner.hits()[0].offset, 262'144 - 5);
  EXPECT_EQ(scanner.hits()[1].offset, 524'288 - 31);
}

TEST(Scan, ThirtyOneBytesAreNoHit) {
  const ByteBuffer sample = RandomBytes(1'000, 1);
  const ScanIndex index = IndexOf(sample);
  ByteBuffer stream = RandomBytes(1'000, 2);
  std::copy_n(sample.begin() + 100, kWindowBytes - 1, stream.begin() + 50);
  stream[49] = static_cast<std::uint8_t>(sample[99] ^ 1);
  stream[81] = static_cast<std::uint8_t>(sample[131] ^ 1);
  Scanner scanner(index);
  scanner.Feed(stream);
  EXPECT_EQ(scanner.hit_windows(), 0);
}

// Against the plain definition, on data with few different bytes so that windows repeat.
TEST(Scan, AgreesWithBruteForce) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    ByteBuffer sample = RandomBytes(300, seed), stream = RandomBytes(3'000, seed + 1'000);
    const std::uint8_t mask = seed % 2 == 0 ? 0x01 : 0x00;
    for (std::uint8_t& b : sample) b = b % 29 == 0 ? 1 : mask & b;
    for (std::uint8_t& b : stream) b = b % 29 == 0 ? 1 : mask & b;
    std::copy_n(sample.begin() + 13, 150, stream.begin() + 1'001);
    std::set<std::string> windows;
    for (std::size_t i = 0; i + kWindowBytes <= sample.size(); ++i) {
      const std::string window(AsText(ByteView(sample).subspan(i, kWindowBytes)));
      if (window != std::string(kWindowBytes, window[0])) windows.insert(window);
    }
    std::int64_t expected = 0;
    for (std::size_t i = 0; i + kWindowBytes <= stream.size(); ++i)
      expected +=
          windows.contains(std::string(AsText(ByteView(stream).subspan(i, kWindowBytes)))) ? 1 : 0;
    const ScanIndex index = IndexOf(sample);
    EXPECT_EQ(index.window_count(), windows.size());
    for (std::size_t piece : {13u, 3'000u}) {
      Scanner scanner(index);
      FeedInPieces(scanner, stream, piece);
      EXPECT_EQ(scanner.hit_windows(), expected) << "seed " << seed;
    }
    EXPECT_GE(expected, 119);
  }
}

TEST(Scan, JoinsAStretchAndNamesTheSample) {
  const ByteBuffer a = RandomBytes(200, 1), b = RandomBytes(400, 2);
  const ByteView views[] = {a, b};
  const ScanIndex index = *ScanIndex::Build(views);
  ByteBuffer stream(50, 0);
  stream.insert(stream.end(), b.begin() + 30, b.begin() + 330);
  Scanner scanner(index);
  scanner.Feed(stream);
  ASSERT_EQ(scanner.hits().size(), 1u);
  EXPECT_EQ(scanner.hits()[0].offset, 50);
  EXPECT_EQ(scanner.hits()[0].length, 300);
  EXPECT_EQ(scanner.hits()[0].sample, 1u);
  EXPECT_EQ(scanner.hits()[0].sample_offset, 30);
  EXPECT_EQ(scanner.hit_windows(), 269);
}

TEST(Scan, WindowsDoNotSpanTwoSamples) {
  const ByteBuffer a = RandomBytes(40, 1), b = RandomBytes(40, 2);
  const ByteView views[] = {a, b};
  const ScanIndex index = *ScanIndex::Build(views);
  EXPECT_EQ(index.window_count(), 18u);
  ByteBuffer stream(a.end() - 16, a.end());
  stream.insert(stream.end(), b.begin(), b.begin() + 16);
  Scanner scanner(index);
  scanner.Feed(stream);
  EXPECT_EQ(scanner.hit_windows(), 0);
}

TEST(Scan, ZerosSayNothing) {
  ByteBuffer sample(1'000, 0);
  sample[500] = 7;
  const ScanIndex index = IndexOf(sample);
  EXPECT_EQ(index.window_count(), 32u);
  Scanner scanner(index);
  scanner.Feed(ByteBuffer(100'000, 0));
  EXPECT_EQ(scanner.hit_windows(), 0);
  scanner.Feed(ByteBuffer{7});
  scanner.Feed(ByteBuffer(10, 0));
  EXPECT_EQ(scanner.hit_windows(), 11);
}

TEST(Scan, ASampleThatCannotBeFoundIsRefused) {
  const ByteBuffer zeros(1'000, 0), tiny = RandomBytes(31, 1);
  for (const ByteView& sample : {ByteView(zeros), ByteView(tiny), ByteView()}) {
    const ByteView views[] = {sample};
    EXPECT_EQ(ScanIndex::Build(views).error().code, Code::kInvalid);
  }
  const ByteBuffer part(ScanIndex::kMaxSampleBytes / 2 + 1);
  const ByteView large[] = {part, part};
  EXPECT_EQ(ScanIndex::Build(large).error().code, Code::kInvalid);
}

TEST(Scan, KeepsABoundedListAndCountsTheRest) {
  const ByteBuffer sample = RandomBytes(32, 1);
  const ScanIndex index = IndexOf(sample);
  Scanner scanner(index);
  for (int i = 0; i < 1'500; ++i) {
    scanner.Feed(sample);
    scanner.Feed(ByteBuffer{0});
  }
  EXPECT_EQ(scanner.hit_windows(), 1'500);
  EXPECT_EQ(scanner.hits().size(), Scanner::kMaxHits);
}

}  // namespace
}  // namespace spillway::data
