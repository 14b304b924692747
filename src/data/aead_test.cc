#include "data/aead.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "data/seal.h"
#include "data/test_util.h"

namespace spillway::data {
namespace {

using ::testing::HasSubstr;

struct Vector {
  std::string name;
  bool valid = false;
  ByteBuffer key, associated, plain, sealed;
  Nonce nonce{};
};

ByteBuffer Field(std::istream& in) {
  std::string text;
  in >> text;
  return text == "-" ? ByteBuffer{} : FromHex(text);
}

std::vector<Vector> PublishedVectors() {
  std::ifstream file(SPILLWAY_SOURCE_DIR "/src/data/testdata/aes256gcm.txt");
  std::vector<Vector> vectors;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream in(line);
    Vector v;
    std::string number, result;
    in >> v.name >> number >> result;
    v.name += " " + number;
    v.valid = result == "valid";
    v.key = Field(in);
    std::ranges::copy(Field(in), v.nonce.begin());
    v.associated = Field(in);
    v.plain = Field(in);
    v.sealed = Field(in);
    for (std::uint8_t byte : Field(in)) v.sealed.push_back(byte);
    EXPECT_FALSE(in.fail()) << line;
    vectors.push_back(std::move(v));
  }
  return vectors;
}

// Everything here is tried with every library that this processor can use.
class EachBackend : public ::testing::TestWithParam<AeadBackend> {
 protected:
  void SetUp() override {
    if (!AeadBackendAvailable(GetParam())) GTEST_SKIP() << "needs VAES and AVX-512";
  }
};

INSTANTIATE_TEST_SUITE_P(Aead, EachBackend,
                         ::testing::Values(AeadBackend::kOpenSsl, AeadBackend::kIpsecMb),
                         [](const auto& suite) {
                           return suite.param == AeadBackend::kOpenSsl ? "OpenSsl" : "IpsecMb";
                         });

TEST_P(EachBackend, AgreesWithNistAndWycheproof) {
  const std::vector<Vector> vectors = PublishedVectors();
  ASSERT_EQ(std::ranges::count_if(vectors,
                                  [](const Vector& v) { return v.name.starts_with("wycheproof"); }),
            66);
  ASSERT_EQ(
      std::ranges::count_if(vectors, [](const Vector& v) { return v.name.starts_with("nist"); }),
      150);
  ASSERT_GE(std::ranges::count_if(vectors, [](const Vector& v) { return !v.valid; }), 70);
  for (const Vector& v : vectors) {
    const Aes256Gcm aead(v.key, GetParam());
    ByteBuffer opened(v.sealed.size() - kTagBytes, 0xee);
    ASSERT_EQ(aead.Open(v.nonce, v.associated, v.sealed, opened), v.valid) << v.name;
    if (!v.valid) {
      EXPECT_EQ(opened, ByteBuffer(opened.size())) << v.name << ": something is left behind";
      continue;
    }
    EXPECT_EQ(opened, v.plain) << v.name;
    ByteBuffer sealed(v.plain.size() + kTagBytes);
    aead.Seal(v.nonce, v.associated, v.plain, sealed);
    EXPECT_EQ(Hex(sealed), Hex(v.sealed)) << v.name;
  }
}

TEST_P(EachBackend, RefusesWhatIsShorterThanATag) {
  const Aes256Gcm aead(ByteBuffer(32, 7), GetParam());
  EXPECT_FALSE(aead.Open({}, {}, ByteBuffer(15), {}));
  EXPECT_FALSE(aead.Open({}, {}, ByteBuffer(16), {}));
}

TEST_P(EachBackend, OneKeyServesSeveralThreads) {
  const Aes256Gcm aead(RandomBytes(32, 1), GetParam());
  constexpr int kThreads = 4;
  std::array<int, kThreads> good{};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const Nonce nonce{static_cast<std::uint8_t>(t), static_cast<std::uint8_t>(i)};
        const ByteBuffer plain = RandomBytes(3000, static_cast<std::uint64_t>(t * 1000 + i));
        ByteBuffer sealed(plain.size() + kTagBytes), opened(plain.size());
        aead.Seal(nonce, AsBytes("threads"), plain, sealed);
        if (aead.Open(nonce, AsBytes("threads"), sealed, opened) && opened == plain) ++good[t];
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (int count : good) EXPECT_EQ(count, 200);
}

// Every length up to a few blocks of both libraries' widest loops, then around the sizes in use.
TEST(Aead, BothLibrariesGiveTheSameBytes) {
  if (!AeadBackendAvailable(AeadBackend::kIpsecMb)) GTEST_SKIP() << "needs VAES and AVX-512";
  std::vector<std::size_t> lengths;
  for (std::size_t n = 0; n <= 1100; ++n) lengths.push_back(n);
  for (std::size_t around : {4096u, 65'536u, 1'048'576u})
    for (std::size_t n = around - 17; n <= around + 17; n += n < around - 1 || n > around ? 16 : 1)
      lengths.push_back(n);
  std::uint64_t seed = 0;
  for (std::size_t length : lengths) {
    const ByteBuffer key = RandomBytes(32, ++seed), plain = RandomBytes(length, seed + 1'000'000);
    const ByteBuffer associated = RandomBytes(seed % 130, seed + 2'000'000);
    Nonce nonce;
    std::ranges::copy(RandomBytes(kNonceBytes, seed + 3'000'000), nonce.begin());
    const Aes256Gcm one(key, AeadBackend::kOpenSsl), other(key, AeadBackend::kIpsecMb);
    ByteBuffer a(length + kTagBytes), b(length + kTagBytes, 0xee), opened(length);
    one.Seal(nonce, associated, plain, a);
    other.Seal(nonce, associated, plain, b);
    ASSERT_EQ(a, b) << length << " bytes";
    ASSERT_TRUE(one.Open(nonce, associated, b, opened) && opened == plain) << length;
    ASSERT_TRUE(other.Open(nonce, associated, a, opened) && opened == plain) << length;
    a[seed % a.size()] ^= static_cast<std::uint8_t>(1 << (seed % 8));
    ASSERT_FALSE(one.Open(nonce, associated, a, opened)) << length;
    ASSERT_FALSE(other.Open(nonce, associated, a, opened)) << length;
    ASSERT_EQ(opened, ByteBuffer(length)) << length;
  }
}

TEST(Aead, IsChosenByName) {
  const AeadBackend before = DefaultAeadBackend();
  ASSERT_TRUE(UseAeadBackend("openssl"));
  EXPECT_EQ(DefaultAeadBackend(), AeadBackend::kOpenSsl);
  ASSERT_TRUE(UseAeadBackend("auto"));
  EXPECT_EQ(DefaultAeadBackend(), AeadBackendAvailable(AeadBackend::kIpsecMb)
                                      ? AeadBackend::kIpsecMb
                                      : AeadBackend::kOpenSsl);
  const Status ipsec_mb = UseAeadBackend("ipsec-mb");
  EXPECT_EQ(ipsec_mb.has_value(), AeadBackendAvailable(AeadBackend::kIpsecMb));
  const Status unknown = UseAeadBackend("rot13");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kInvalid);
  EXPECT_THAT(unknown.error().message, HasSubstr("\"rot13\""));
  ASSERT_TRUE(UseAeadBackend(AeadBackendName(before)));
}

}  // namespace
}  // namespace spillway::data
