#include "tunnel/key.h"

#include <gtest/gtest.h>

namespace spillway::tunnel {
namespace {

TEST(Key, APairBelongsTogetherAndIsNew) {
  const KeyPair one = NewKeyPair(), two = NewKeyPair();
  EXPECT_TRUE(IsKey(one.private_key));
  EXPECT_TRUE(IsKey(one.public_key));
  EXPECT_NE(one.private_key, two.private_key);
  const auto derived = PublicKeyOf(one.private_key);
  ASSERT_TRUE(derived.has_value());
  EXPECT_EQ(*derived, one.public_key);
}

// RFC 7748, 6.1: Alice's keys.
TEST(Key, DerivesThePublicKeyOfTheStandard) {
  const auto derived = PublicKeyOf("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=");
  ASSERT_TRUE(derived.has_value());
  EXPECT_EQ(*derived, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
}

TEST(Key, RefusesWhatIsNone) {
  for (const char* text :
       {"", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCp=",  // bits beyond the 32 bytes
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC==",
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n"})
    EXPECT_FALSE(IsKey(text)) << text;
  EXPECT_FALSE(PublicKeyOf("x").has_value());
}

}  // namespace
}  // namespace spillway::tunnel
