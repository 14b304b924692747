#include "data/node_certificate.h"

#include <gmock/gmock.h>

namespace spillway::data {
namespace {

using ::testing::HasSubstr;

const Time kNow = *ParseTime("2026-11-24T08:15:30.250Z");

TEST(NodeCertificate, SaysWhoAndForHowLong) {
  const auto door = *NodeAuthority::Make(*TlsKey::Generate());
  const TlsKey key = *TlsKey::Generate();
  const auto der = door.Issue("bn-00001", key.PublicKey(), kNow, kNow + 90s);
  ASSERT_TRUE(der) << der.error().message;
  const auto said = door.Read(*der);
  ASSERT_TRUE(said) << said.error().message;
  EXPECT_EQ(said->node, "bn-00001");
  EXPECT_EQ(said->key_sha256, Sha256(key.PublicKey()));
  EXPECT_EQ(said->from, kNow - 250ms);
  EXPECT_EQ(said->until, kNow + 90s + 750ms);
  EXPECT_NE(*door.Issue("bn-00001", key.PublicKey(), kNow, kNow + 90s), *der) << "a new number";
}

TEST(NodeCertificate, AnotherDoorsAndTheDoorsOwnAreNoNodes) {
  const auto door = *NodeAuthority::Make(*TlsKey::Generate());
  const auto other = *NodeAuthority::Make(*TlsKey::Generate());
  const TlsKey key = *TlsKey::Generate();
  EXPECT_EQ(door.Read(*other.Issue("bn-1", key.PublicKey(), kNow, kNow)).error().code,
            Code::kDenied);
  EXPECT_EQ(door.Read(door.certificate()).error().code, Code::kDenied);
  EXPECT_EQ(door.Read("").error().code, Code::kDenied);
  const std::string good = *door.Issue("bn-1", key.PublicKey(), kNow, kNow);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(door.Read(bad)) << "byte " << i;
  }
}

TEST(NodeCertificate, OnlyForAP256KeyAndAShortName) {
  const auto door = *NodeAuthority::Make(*TlsKey::Generate());
  const ByteBuffer key = TlsKey::Generate()->PublicKey();
  EXPECT_EQ(door.Issue("", key, kNow, kNow).error().code, Code::kInvalid);
  EXPECT_EQ(door.Issue(std::string(65, 'x'), key, kNow, kNow).error().code, Code::kInvalid);
  ByteBuffer longer = key;
  longer.push_back(0);
  EXPECT_THAT(door.Issue("bn-1", longer, kNow, kNow).error().message, HasSubstr("P-256"));
  EXPECT_FALSE(door.Issue("bn-1", {}, kNow, kNow));
  ByteBuffer off_curve = key;
  off_curve.back() ^= 1;
  EXPECT_FALSE(door.Issue("bn-1", off_curve, kNow, kNow));
}

TEST(TlsKey, ComesBackFromItsFile) {
  const TlsKey key = *TlsKey::Generate();
  const std::string pem = key.Pem();
  EXPECT_THAT(pem, HasSubstr("-----BEGIN PRIVATE KEY-----"));
  const auto again = TlsKey::FromPem(pem);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->PublicKey(), key.PublicKey());
  EXPECT_EQ(NodeAuthority::Make(*again)->Pin(), NodeAuthority::Make(key)->Pin());
  EXPECT_EQ(TlsKey::FromPem("x").error().code, Code::kCorrupt);
  EXPECT_EQ(TlsKey::FromPem(pem.substr(0, pem.size() / 2)).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace spillway::data
