#include "data/seal.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <type_traits>

#include "base/json.h"
#include "base/log.h"
#include "data/aead.h"
#include "data/secret.h"
#include "data/test_util.h"

namespace spillway::data {
namespace {

using ::testing::HasSubstr;

static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_constructible_v<log::Field, std::string_view, Secret>);
static_assert(!std::is_constructible_v<json::value, Secret>);

TEST(Secret, MovesAndIsEmptyAfterwards) {
  Secret a = CountingSecret(5);
  Secret b = std::move(a);
  EXPECT_FALSE(a.has_value());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_TRUE(b.EqualsConstantTime(CountingSecret(5)));
  EXPECT_FALSE(b.EqualsConstantTime(CountingSecret(6)));
  Secret copy = b.Clone();
  b.Destroy();
  EXPECT_FALSE(b.has_value());
  EXPECT_TRUE(copy.EqualsConstantTime(CountingSecret(5)));
  EXPECT_DEATH(b.bytes(), "after it was destroyed");
}

TEST(Secret, GeneratesDifferentKeysAndTakesOnly32Bytes) {
  EXPECT_FALSE(Secret::Generate()->EqualsConstantTime(*Secret::Generate()));
  EXPECT_EQ(Secret::FromBytes(ByteBuffer(31)).error().code, Code::kInvalid);
  EXPECT_EQ(Secret::FromBytes(ByteBuffer(33)).error().code, Code::kInvalid);
}

TEST(Secret, ManyAtOnceOutliveTheSecureHeap) {
  std::vector<Secret> secrets;
  for (int i = 0; i < 5000; ++i) secrets.push_back(CountingSecret(static_cast<std::uint8_t>(i)));
  EXPECT_TRUE(secrets[4999].EqualsConstantTime(CountingSecret(4999 % 256)));
}

ByteBuffer Counting(int first, int last) {
  ByteBuffer bytes;
  for (int i = first; i <= last; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  return bytes;
}

// RFC 5869 appendix A.1 to A.3.
TEST(Hkdf, MatchesRfc5869) {
  struct Vector {
    ByteBuffer input, salt, info;
    std::string_view prk, okm;
  };
  const Vector vectors[] = {
      {ByteBuffer(22, 0x0b), Counting(0, 0x0c), Counting(0xf0, 0xf9),
       "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
       "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
      {Counting(0, 0x4f), Counting(0x60, 0xaf), Counting(0xb0, 0xff),
       "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
       "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e"
       "590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
      {ByteBuffer(22, 0x0b),
       {},
       {},
       "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
       "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"}};
  for (const Vector& v : vectors) {
    const Secret prk = HkdfExtract(v.salt, v.input);
    EXPECT_EQ(Hex(prk.bytes()), v.prk);
    ByteBuffer okm(v.okm.size() / 2);
    HkdfExpand(prk, v.info, okm);
    EXPECT_EQ(Hex(okm), v.okm);
  }
}

// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, cases 13 to 16.
TEST(Aes256Gcm, MatchesPublishedVectors) {
  const std::string_view long_key =
      "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
  const std::string plain =
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
  const std::string cipher =
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
  struct Vector {
    std::string key, nonce, associated, plain, sealed;
  };
  const Vector vectors[] = {
      {std::string(64, '0'), std::string(24, '0'), "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
      {std::string(64, '0'), std::string(24, '0'), "", std::string(32, '0'),
       "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
      {std::string(long_key), "cafebabefacedbaddecaf888", "", plain,
       cipher + "b094dac5d93471bdec1a502270e3cc6c"},
      {std::string(long_key), "cafebabefacedbaddecaf888",
       "feedfacedeadbeeffeedfacedeadbeefabaddad2", plain.substr(0, 120),
       cipher.substr(0, 120) + "76fc6ece0f4e1768cddf8853bb2d551b"}};
  for (const Vector& v : vectors) {
    Aes256Gcm aead(FromHex(v.key));
    Nonce nonce;
    std::ranges::copy(FromHex(v.nonce), nonce.begin());
    ByteBuffer sealed(v.sealed.size() / 2), opened(v.plain.size() / 2);
    aead.Seal(nonce, FromHex(v.associated), FromHex(v.plain), sealed);
    EXPECT_EQ(Hex(sealed), v.sealed);
    ASSERT_TRUE(aead.Open(nonce, FromHex(v.associated), sealed, opened));
    EXPECT_EQ(Hex(opened), v.plain);
    sealed[sealed.size() - 1] ^= 1;
    EXPECT_FALSE(aead.Open(nonce, FromHex(v.associated), sealed, opened));
    EXPECT_EQ(opened, ByteBuffer(opened.size())) << "nothing unauthenticated is left behind";
  }
}

ByteBuffer Salt() {
  return Counting(100, 123);
}

ChunkContext Context() {
  return {"run-7", "vision/digits", "v3", Direction::kDown, "data", 2};
}

ByteBuffer Pattern(std::size_t size) {
  ByteBuffer bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

// Computed from the format's description with another implementation (Python, cryptography 48).
TEST(Seal, MatchesKnownAnswers) {
  const Secret key = CountingSecret(0);
  EXPECT_EQ(
      Hex(*SealChunk(key, Context(), AsBytes("hello, rented disk"), Salt())),
      "53505743010010000000000200000000000000126465666768696a6b6c6d6e6f707172737475767778797a7b7d"
      "2db4b368901c997959abff024f6226ea51d84e9b77f18e887bdc0500cd621e44e3f8986e9efcef7ca1b3aa5c6a"
      "d25aaff96c2ed9ef24752d9bf5bafd88002a3dbd");
  EXPECT_EQ(Hex(Sha256(*SealChunk(key, Context(), Pattern(150'000), Salt()))),
            "7c36cb54443293f7e31cc6099a25d98318d24e9e2593b811a7ec824ca512f07a");
  EXPECT_EQ(Hex(Sha256(*SealChunk(key, Context(), {}, Salt()))),
            "942be420defc097f457ba74bb9f8b993572b6768b08892bd8bd9162c0a7afe73");
}

TEST(Seal, OpensWhatItSealedAtEverySegmentBoundary) {
  const Secret key = CountingSecret(0);
  for (std::size_t size : {0u, 1u, 65'535u, 65'536u, 65'537u, 131'072u, 200'000u}) {
    const ByteBuffer plain = Pattern(size);
    const ByteBuffer sealed = *SealChunk(key, Context(), plain, Salt());
    EXPECT_EQ(static_cast<std::int64_t>(sealed.size()),
              SealedSize(static_cast<std::int64_t>(size)));
    const auto opened = OpenChunk(key, Context(), sealed);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(*opened, plain);
  }
}

void ExpectEveryFlippedBitRefused(const Secret& key, ByteBuffer sealed) {
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    sealed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    const auto opened = OpenChunk(key, Context(), sealed);
    ASSERT_FALSE(opened) << "bit " << bit;
    ASSERT_EQ(opened.error().code, Code::kCorrupt) << "bit " << bit;
    sealed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
  }
}

TEST(Seal, RefusesEveryFlippedBit) {
  const Secret key = CountingSecret(0);
  const ByteBuffer sealed = *SealChunk(key, Context(), AsBytes("sixteen training images"), Salt());
  ExpectEveryFlippedBitRefused(key, sealed);
  if (::testing::Test::HasFatalFailure()) return;
  EXPECT_TRUE(OpenChunk(key, Context(), sealed));
}

TEST(Seal, RefusesFlippedBytesInEverySegmentOfALargeChunk) {
  const Secret key = CountingSecret(0);
  ByteBuffer sealed = *SealChunk(key, Context(), Pattern(200'000), Salt());
  for (std::size_t at = 0; at < sealed.size(); at += 9'973) {
    sealed[at] ^= 0x80;
    EXPECT_EQ(OpenChunk(key, Context(), sealed).error().code, Code::kCorrupt) << at;
    sealed[at] ^= 0x80;
  }
}

TEST(Seal, RefusesTruncatedExtendedAndReorderedChunks) {
  const Secret key = CountingSecret(0);
  const ByteBuffer sealed = *SealChunk(key, Context(), Pattern(200'000), Salt());
  for (std::size_t size : {std::size_t{0}, std::size_t{10}, kChunkHeaderBytes,
                           kChunkHeaderBytes + kSegmentBytes + kTagBytes, sealed.size() - 1}) {
    const ByteBuffer cut(sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(OpenChunk(key, Context(), cut).error().code, Code::kCorrupt) << size;
  }
  ByteBuffer longer = sealed;
  longer.push_back(0);
  EXPECT_EQ(OpenChunk(key, Context(), longer).error().code, Code::kCorrupt);
  // Two whole segments change places.
  ByteBuffer swapped = sealed;
  const auto first = swapped.begin() + kChunkHeaderBytes;
  std::swap_ranges(first, first + kSegmentBytes + kTagBytes, first + kSegmentBytes + kTagBytes);
  EXPECT_THAT(OpenChunk(key, Context(), swapped).error().message, HasSubstr("segment 0 of 4"));
}

TEST(Seal, OpensOnlyInItsOwnPlace) {
  const Secret key = CountingSecret(0);
  const ByteBuffer sealed = *SealChunk(key, Context(), AsBytes("secret"), Salt());
  EXPECT_EQ(OpenChunk(CountingSecret(1), Context(), sealed).error().code, Code::kCorrupt);
  std::vector<ChunkContext> others(6, Context());
  others[0].run_id = "run-8";
  others[1].dataset = "vision/letters";
  others[2].dataset_version = "v2";
  others[3].direction = Direction::kUp;
  others[4].chunk_id = "manifest";
  others[5].index = 3;
  for (const ChunkContext& other : others) {
    const auto opened = OpenChunk(key, other, sealed);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::kCorrupt);
    EXPECT_THAT(opened.error().message, HasSubstr(other.run_id));
  }
  // Fields are kept apart: moving a character between two neighbours is another place.
  ChunkContext shifted = Context();
  shifted.run_id = "run-7v";
  shifted.dataset = "ision/digits";
  EXPECT_FALSE(OpenChunk(key, shifted, sealed));
}

TEST(Seal, SaltChangesEverythingAndMustHave24Bytes) {
  const Secret key = CountingSecret(0);
  const ByteBuffer a = *SealChunk(key, Context(), Pattern(100), Salt());
  const ByteBuffer b = *SealChunk(key, Context(), Pattern(100), Counting(101, 124));
  EXPECT_NE(ByteView(a).subspan(kChunkHeaderBytes, 16)[0], 0u);
  EXPECT_FALSE(std::equal(a.begin() + kChunkHeaderBytes, a.begin() + kChunkHeaderBytes + 16,
                          b.begin() + kChunkHeaderBytes));
  EXPECT_EQ(SealChunk(key, Context(), {}, ByteBuffer(23)).error().code, Code::kInvalid);
  EXPECT_EQ(SealChunk(key, Context(), {}, ByteBuffer(25)).error().code, Code::kInvalid);
}

Result<ChunkOpener> Opener(const Secret& key, ByteView sealed) {
  return ChunkOpener::Make(key, Context(), sealed.first(kChunkHeaderBytes),
                           static_cast<std::int64_t>(sealed.size()));
}

// Reads as a file system would: only the segments of the cover are handed over.
Status ReadRange(const ChunkOpener& opener, ByteView sealed, std::size_t offset,
                 std::span<std::uint8_t> out) {
  SPW_ASSIGN(const ChunkOpener::Cover cover, opener.CoverOf(static_cast<std::int64_t>(offset),
                                                            static_cast<std::int64_t>(out.size())));
  return opener.OpenRange(static_cast<std::int64_t>(offset),
                          sealed.subspan(static_cast<std::size_t>(cover.sealed_offset),
                                         static_cast<std::size_t>(cover.sealed_bytes)),
                          out);
}

TEST(ChunkOpener, ReadsAnyRangeFromTheSegmentsAroundIt) {
  const Secret key = CountingSecret(0);
  const ByteBuffer plain = Pattern(200'000);
  const ByteBuffer sealed = *SealChunk(key, Context(), plain, Salt());
  const auto opener = Opener(key, sealed);
  ASSERT_TRUE(opener) << opener.error().message;
  EXPECT_EQ(opener->plain_bytes(), 200'000);
  Rng rng(7);
  std::vector<std::pair<std::size_t, std::size_t>> ranges = {
      {0, 1},       {0, 200'000}, {65'535, 2},       {65'536, 65'536},
      {199'999, 1}, {1, 199'998}, {65'536, 134'464}, {196'608, 3'392}};
  for (int i = 0; i < 100; ++i) {
    const std::size_t offset = rng.Next() % 200'000;
    ranges.emplace_back(offset, 1 + rng.Next() % (200'000 - offset));
  }
  for (const auto& [offset, length] : ranges) {
    ByteBuffer out(length, 0xee);
    const auto read = ReadRange(*opener, sealed, offset, out);
    ASSERT_TRUE(read) << offset << "+" << length << ": " << read.error().message;
    EXPECT_TRUE(
        std::equal(out.begin(), out.end(), plain.begin() + static_cast<std::ptrdiff_t>(offset)))
        << offset << "+" << length;
  }
  const auto cover = opener->CoverOf(65'535, 2);
  EXPECT_EQ(cover->first, 0u);
  EXPECT_EQ(cover->count, 2u);
  EXPECT_EQ(cover->sealed_offset, 76);
  EXPECT_EQ(cover->sealed_bytes, 2 * (65'536 + 16));
  EXPECT_EQ(opener->CoverOf(196'608, 1)->sealed_bytes, 3'392 + 16);
  EXPECT_EQ(opener->CoverOf(196'608, 1)->sealed_offset, 76 + 3 * (65'536 + 16));
}

TEST(ChunkOpener, LeavesNothingOfAChangedSegment) {
  const Secret key = CountingSecret(0);
  ByteBuffer sealed = *SealChunk(key, Context(), Pattern(200'000), Salt());
  const auto opener = Opener(key, sealed);
  ASSERT_TRUE(opener);
  sealed[kChunkHeaderBytes + kSegmentBytes + kTagBytes + 5] ^= 1;  // in segment 1
  ByteBuffer out(150'000, 0xee);
  const auto read = ReadRange(*opener, sealed, 100, out);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kCorrupt);
  EXPECT_THAT(read.error().message, HasSubstr("segment 1 of 4 was changed"));
  EXPECT_EQ(out, ByteBuffer(150'000)) << "segment 0 was good, and is not given out either";
  ByteBuffer rest(1000);
  EXPECT_TRUE(ReadRange(*opener, sealed, 0, rest));
  EXPECT_TRUE(ReadRange(*opener, sealed, 131'072, rest));
}

TEST(ChunkOpener, VerifiesWhatItWouldOpen) {
  const Secret key = CountingSecret(0);
  for (std::size_t size : {0u, 1u, 65'535u, 65'536u, 65'537u, 131'072u, 200'000u})
    for (const Compression compression : {Compression::kNever, Compression::kWherePays}) {
      ByteBuffer sealed = *SealChunk(key, Context(), Pattern(size), Salt(), compression);
      const auto opener = Opener(key, sealed);
      ASSERT_TRUE(opener);
      EXPECT_TRUE(opener->Verify(sealed)) << size;
      for (std::size_t at = kChunkHeaderBytes; at < sealed.size(); at += 7'919) {
        sealed[at] ^= 4;
        EXPECT_EQ(opener->Verify(sealed).error().code, Code::kCorrupt) << size << " at " << at;
        sealed[at] ^= 4;
      }
      sealed.push_back(0);
      EXPECT_EQ(opener->Verify(sealed).error().code, Code::kCorrupt);
    }
}

// From the format's description: header, then the last 16 bytes of every 65,552 and of the rest.
TEST(SealDigest, IsOfHeaderAndTags) {
  const Secret key = CountingSecret(0);
  const ByteBuffer sealed = *SealChunk(key, Context(), Pattern(131'073), Salt());
  ByteBuffer named(sealed.begin(), sealed.begin() + 76);
  for (const std::size_t end : {76u + 65'552, 76u + 2 * 65'552, 76u + 2 * 65'552 + 17})
    for (std::size_t i = end - 16; i < end; ++i) named.push_back(sealed[i]);
  ASSERT_EQ(sealed.size(), 76u + 2 * 65'552 + 17);
  EXPECT_EQ(*SealDigest(sealed), Sha256(named));
  for (std::size_t size : {0u, 75u, 76u, 91u, 76u + 65'552 + 16})
    EXPECT_EQ(SealDigest(ByteView(sealed).first(size)).error().code, Code::kCorrupt) << size;
  EXPECT_TRUE(SealDigest(ByteView(sealed).first(92)));
}

TEST(ChunkOpener, TakesNoSegmentForAnother) {
  const Secret key = CountingSecret(0);
  const ByteBuffer sealed = *SealChunk(key, Context(), Pattern(200'000), Salt());
  const auto opener = Opener(key, sealed);
  ByteBuffer out(65'536);
  const ByteView first = ByteView(sealed).subspan(76, 65'552);
  EXPECT_TRUE(opener->OpenRange(0, first, out));
  EXPECT_EQ(opener->OpenRange(65'536, first, out).error().code, Code::kCorrupt);
  EXPECT_EQ(opener->OpenRange(0, first.first(65'551), out).error().code, Code::kCorrupt);
}

TEST(ChunkOpener, RefusesWhatWasNotSealedForItsPlaceAndRangesThatAreNotThere) {
  const Secret key = CountingSecret(0);
  const ByteBuffer sealed = *SealChunk(key, Context(), Pattern(100), Salt());
  ChunkContext other = Context();
  other.index = 1;
  EXPECT_EQ(ChunkOpener::Make(key, other, sealed, std::ssize(sealed)).error().code, Code::kCorrupt);
  EXPECT_EQ(Opener(CountingSecret(9), sealed).error().code, Code::kCorrupt);
  EXPECT_EQ(ChunkOpener::Make(key, Context(), sealed, std::ssize(sealed) - 1).error().code,
            Code::kCorrupt);
  EXPECT_EQ(ChunkOpener::Make(key, Context(), ByteView(sealed).first(75), std::ssize(sealed))
                .error()
                .code,
            Code::kCorrupt);
  const auto opener = Opener(key, sealed);
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const std::pair<std::int64_t, std::int64_t> ranges[] = {{-1, 5},  {0, 0},    {0, 101}, {100, 1},
                                                          {50, 51}, {kMax, 1}, {1, kMax}};
  for (const auto& [offset, bytes] : ranges)
    EXPECT_EQ(opener->CoverOf(offset, bytes).error().code, Code::kInvalid) << offset;
}

ByteBuffer Compressible(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += fmt::format("sample {} of class cat\n", i);
  text.resize(size);
  return {text.begin(), text.end()};
}

TEST(Compressed, OpensAsAWholeAndIsShorter) {
  const Secret key = CountingSecret(0);
  for (std::size_t size : {1'000u, 65'536u, 200'000u, 4'194'304u}) {
    const ByteBuffer plain = Compressible(size);
    const ByteBuffer sealed = *SealChunk(key, Context(), plain, Salt(), Compression::kWherePays);
    EXPECT_LT(std::ssize(sealed), SealedSize(static_cast<std::int64_t>(size)));
    const auto opened = OpenChunk(key, Context(), sealed);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(*opened, plain);
    const auto opener = Opener(key, sealed);
    ASSERT_TRUE(opener);
    EXPECT_EQ(opener->codec(), Codec::kZstd);
    EXPECT_EQ(opener->plain_bytes(), static_cast<std::int64_t>(size));
    ByteBuffer out(size);
    ASSERT_TRUE(opener->Open(sealed, out));
    EXPECT_EQ(out, plain);
    EXPECT_EQ(opener->CoverOf(0, 1).error().code, Code::kInvalid);
  }
}

TEST(Compressed, OnlyWhereItPays) {
  const Secret key = CountingSecret(0);
  const ByteBuffer noise = RandomBytes(300'000, 3);
  for (const ByteBuffer& plain : {noise, ByteBuffer{}, ByteBuffer(1, 'x')})
    EXPECT_EQ(*SealChunk(key, Context(), plain, Salt(), Compression::kWherePays),
              *SealChunk(key, Context(), plain, Salt()));
}

TEST(Compressed, RefusesEveryChange) {
  const Secret key = CountingSecret(0);
  ByteBuffer sealed =
      *SealChunk(key, Context(), Compressible(2'000), Salt(), Compression::kWherePays);
  ASSERT_EQ(sealed[5], 1);
  ExpectEveryFlippedBitRefused(key, sealed);
  if (::testing::Test::HasFatalFailure()) return;
  // A plaintext length that would be a bomb is authenticated before memory is taken for it.
  sealed[16] = 0x0f;
  EXPECT_THAT(OpenChunk(key, Context(), sealed).error().message, HasSubstr("segment 0"));
  sealed[15] = 1;
  EXPECT_THAT(OpenChunk(key, Context(), sealed).error().message, HasSubstr("above the limit"));
}

// Whatever the size of a chunk, only one number of stored bytes gives it.
TEST(Seal, NoChunkHasASizeBetweenTwoSegments) {
  const Secret key = CountingSecret(0);
  ByteBuffer plain(400'000);
  std::ranges::copy(RandomBytes(200'000, 4), plain.begin());
  ByteBuffer sealed = *SealChunk(key, Context(), plain, Salt(), Compression::kWherePays);
  ASSERT_EQ(sealed[5], 1);
  ASSERT_GT(sealed.size(), 2 * (kSegmentBytes + kTagBytes));
  for (std::size_t rest = 0; rest <= kTagBytes; ++rest) {
    ByteBuffer cut = sealed;
    cut.resize(kChunkHeaderBytes + kSegmentBytes + kTagBytes + rest);
    EXPECT_EQ(OpenChunk(key, Context(), cut).error().code, Code::kCorrupt) << rest;
  }
}

}  // namespace
}  // namespace spillway::data
