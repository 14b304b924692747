#include "data/compress.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/test_util.h"

namespace spillway::data {
namespace {

ByteBuffer Text(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i)
    text += fmt::format("{{\"sample\":{},\"label\":\"cat\"}}\n", i);
  text.resize(size);
  const ByteView bytes = AsBytes(text);
  return {bytes.begin(), bytes.end()};
}

TEST(Compress, GivesBackWhatItTook) {
  for (std::size_t size : {200u, 4'096u, 100'000u, 1'000'000u}) {
    const ByteBuffer plain = Text(size);
    const auto frame = CompressIfItPays(plain);
    ASSERT_TRUE(frame) << size;
    EXPECT_LT(frame->size(), size - size / 8);
    ByteBuffer out(size);
    ASSERT_TRUE(Decompress(*frame, out));
    EXPECT_EQ(out, plain);
  }
}

TEST(Compress, LeavesAloneWhatDoesNotShrink) {
  EXPECT_FALSE(CompressIfItPays({}));
  EXPECT_FALSE(CompressIfItPays(AsBytes("x")));
  for (std::size_t size : {1'000u, 100'000u, 1'000'000u})
    EXPECT_FALSE(CompressIfItPays(RandomBytes(size, size))) << size;
  // Samples that shrink do not decide alone.
  ByteBuffer mixed = RandomBytes(1'000'000, 5);
  std::fill_n(mixed.begin(), 20'000, 0);
  std::fill_n(mixed.begin() + 480'000, 40'000, 0);
  std::fill_n(mixed.end() - 20'000, 20'000, 0);
  EXPECT_FALSE(CompressIfItPays(mixed));
}

TEST(Compress, NeverGivesMoreOrLessThanWasSaid) {
  const ByteBuffer frame = *CompressIfItPays(Text(100'000));
  ByteBuffer less(99'999), more(100'001), exact(100'000);
  EXPECT_EQ(Decompress(frame, less).error().code, Code::kCorrupt);
  EXPECT_EQ(Decompress(frame, more).error().code, Code::kCorrupt);
  ByteBuffer two = frame;
  two.insert(two.end(), frame.begin(), frame.end());
  EXPECT_EQ(Decompress(two, exact).error().code, Code::kCorrupt);
  EXPECT_EQ(Decompress(ByteView(frame).first(frame.size() - 1), exact).error().code,
            Code::kCorrupt);
  EXPECT_EQ(Decompress({}, exact).error().code, Code::kCorrupt);
  for (std::size_t at = 0; at < frame.size(); at += 13) {
    ByteBuffer changed = frame;
    changed[at] ^= 0x40;
    ByteBuffer out(100'000);
    const auto opened = Decompress(changed, out);
    EXPECT_TRUE(opened || opened.error().code == Code::kCorrupt);
  }
}

}  // namespace
}  // namespace spillway::data
