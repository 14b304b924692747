#include "data/sign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/record.h"
#include "data/test_util.h"
#include "data/wrap.h"

namespace spillway::data {
namespace {

using ::testing::HasSubstr;

// RFC 8032 section 7.1, tests 1 and 2.
TEST(Ed25519, MatchesRfc8032) {
  struct Vector {
    std::string_view seed, key, message, signature;
  };
  const Vector vectors[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
       "9"
       "b46bd25bf5f0595bbe24655141438e7a100b"},
      {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
       "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
       "1"
       "1d8c387b2eaeb4302aeeb00d291612bb0c00"}};
  for (const Vector& v : vectors) {
    const SigningKey key = SigningKey::FromSeed(*Secret::FromBytes(FromHex(v.seed)));
    EXPECT_EQ(key.public_key().Hex(), v.key);
    const Signature signature = key.Sign(FromHex(v.message));
    EXPECT_EQ(Hex(signature), v.signature);
    EXPECT_TRUE(Verify(*VerifyKey::Parse(v.key), FromHex(v.message), signature));
  }
}

TEST(Ed25519, RefusesAnotherMessageKeyOrSignature) {
  const SigningKey key = TestSigner(), other = *SigningKey::Generate();
  Signature signature = key.Sign(AsBytes("message"));
  EXPECT_TRUE(Verify(key.public_key(), AsBytes("message"), signature));
  EXPECT_FALSE(Verify(key.public_key(), AsBytes("massage"), signature));
  EXPECT_FALSE(Verify(other.public_key(), AsBytes("message"), signature));
  EXPECT_FALSE(Verify(key.public_key(), AsBytes("message"), ByteView(signature).first(63)));
  signature[40] ^= 1;
  EXPECT_FALSE(Verify(key.public_key(), AsBytes("message"), signature));
  EXPECT_FALSE(VerifyKey::Parse("abcd"));
  EXPECT_FALSE(VerifyKey::Parse(std::string(64, 'x')));
}

json::value Body() {
  return json::object{{"b", 1}, {"a", "text with \"quotes\" and ü"}};
}

TEST(Record, OpensWhatWasSignedWhateverItsWhiteSpace) {
  const SigningKey key = TestSigner();
  const std::string text = SignRecord("test 1", Body(), key);
  const std::string pretty = PrettyJson(*ParseJson(text));
  for (const std::string& form : {text, pretty}) {
    const auto record = OpenRecord("test 1", form, key.public_key(), 10'000);
    ASSERT_TRUE(record) << record.error().message;
    EXPECT_EQ(CanonicalJson(record->body), CanonicalJson(Body()));
    EXPECT_EQ(record->signer, key.public_key());
  }
  EXPECT_EQ(*RecordDigest(text, 10'000), *RecordDigest(pretty, 10'000));
}

TEST(Record, RefusesEveryChangedCharacter) {
  const SigningKey key = TestSigner();
  std::string text = SignRecord("test 1", Body(), key);
  for (char& c : text) {
    const char before = c;
    c = before == '1' ? '2' : '1';
    EXPECT_FALSE(OpenRecord("test 1", text, key.public_key(), 10'000)) << text;
    c = before;
  }
}

TEST(Record, NamesWhatIsWrong) {
  const SigningKey key = TestSigner();
  const std::string text = SignRecord("test 1", Body(), key);
  auto error = [&](std::string_view changed, std::string_view type = "test 1",
                   std::size_t limit = 10'000) {
    return OpenRecord(type, changed, key.public_key(), limit).error();
  };
  EXPECT_THAT(error(text, "test 2").message, HasSubstr("type is \"test 1\", not \"test 2\""));
  EXPECT_THAT(error(text, "test 1", 20).message, HasSubstr("limit 20"));
  EXPECT_THAT(error("{}").message, HasSubstr("type: is missing"));
  EXPECT_THAT(error("[1]").message, HasSubstr("must be an object"));
  EXPECT_EQ(error("{").code, Code::kInvalid);
  EXPECT_THAT(error("{\"type\":1.5}").message, HasSubstr("floating point"));
  // A member given twice would be read by people and programs in different ways.
  EXPECT_THAT(error("{\"type\":\"x\"," + text.substr(1)).message, HasSubstr("twice"));
  EXPECT_THAT(error("{\"extra\":1," + text.substr(1)).message,
              HasSubstr("extra: is not a known member"));
  const Error other = OpenRecord("test 1", text, TestSigner(9).public_key(), 10'000).error();
  EXPECT_EQ(other.code, Code::kDenied);
  EXPECT_THAT(other.message, HasSubstr(key.public_key().Hex()));
  std::string changed = text;
  changed.replace(changed.find("quotes"), 6, "Quotes");
  EXPECT_EQ(error(changed).code, Code::kCorrupt);
}

// RFC 7748 sections 5.2 and 6.1.
TEST(X25519, MatchesRfc7748) {
  const NodeKey alice = NodeKey::FromSecret(*Secret::FromBytes(
      FromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")));
  const NodeKey bob = NodeKey::FromSecret(*Secret::FromBytes(
      FromHex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")));
  EXPECT_EQ(alice.public_key().Hex(),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(bob.public_key().Hex(),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  for (const Secret& shared : {*alice.Agree(bob.public_key()), *bob.Agree(alice.public_key())})
    EXPECT_EQ(Hex(shared.bytes()),
              "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  const NodeKey scalar = NodeKey::FromSecret(*Secret::FromBytes(
      FromHex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")));
  const auto result = scalar.Agree(
      *NodePublicKey::Parse("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"));
  EXPECT_EQ(Hex(result->bytes()),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

TEST(X25519, RefusesAKeyOfSmallOrder) {
  const NodeKey key = *NodeKey::Generate();
  EXPECT_EQ(key.Agree(NodePublicKey{}).error().code, Code::kInvalid);
  EXPECT_EQ(WrapRunKey(CountingSecret(0), NodePublicKey{}, {"n", "r"}, key).error().code,
            Code::kInvalid);
}

// Sealed by another implementation of RFC 9180 (Python, cryptography 48).
TEST(Wrap, OpensAnotherImplementationsHpke) {
  const NodeKey node = NodeKey::FromSecret(CountingSecret(32));
  const auto key = UnwrapRunKey(
      node, {"burst-a1", "run-7"},
      FromHex(
          "3b93d31b01b1f0f6e259ecd8351831a497a29fc1e3220b39681d0266d05af2022b8535f4943ff7df7ae174"
          "92ec47e1dcd9d3cc0c40d58dcf5e25b258c2e0a979f66f0ac3cd131a12c69bcd63fb9edf9b"));
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_TRUE(key->EqualsConstantTime(CountingSecret(0)));
}

TEST(Wrap, OpensForItsNodeAndRunOnly) {
  const NodeKey node = *NodeKey::Generate(), stranger = *NodeKey::Generate();
  const WrapContext context{"burst-a1", "run-7"};
  const Secret run_key = *Secret::Generate();
  ByteBuffer wrapped = *WrapRunKey(run_key, node.public_key(), context, *NodeKey::Generate());
  ASSERT_EQ(wrapped.size(), kWrappedKeyBytes);
  EXPECT_TRUE(UnwrapRunKey(node, context, wrapped)->EqualsConstantTime(run_key));
  EXPECT_EQ(UnwrapRunKey(stranger, context, wrapped).error().code, Code::kCorrupt);
  EXPECT_EQ(UnwrapRunKey(node, {"burst-a2", "run-7"}, wrapped).error().code, Code::kCorrupt);
  EXPECT_EQ(UnwrapRunKey(node, {"burst-a1", "run-8"}, wrapped).error().code, Code::kCorrupt);
  for (std::size_t i = 0; i < wrapped.size(); ++i) {
    wrapped[i] ^= 1;
    EXPECT_EQ(UnwrapRunKey(node, context, wrapped).error().code, Code::kCorrupt) << i;
    wrapped[i] ^= 1;
  }
  EXPECT_EQ(UnwrapRunKey(node, context, ByteView(wrapped).first(79)).error().code, Code::kCorrupt);
  wrapped.push_back(0);
  EXPECT_EQ(UnwrapRunKey(node, context, wrapped).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace spillway::data
