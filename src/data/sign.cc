#include "data/sign.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

namespace spillway::data {
namespace {

struct FreeMdContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using MdContext = std::unique_ptr<EVP_MD_CTX, FreeMdContext>;

}  // namespace

void FreePkey::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

Result<VerifyKey> VerifyKey::Parse(std::string_view hex) {
  auto bytes = ParseHex(hex);
  VerifyKey key;
  if (!bytes || bytes->size() != key.bytes.size())
    return Fail(Code::kInvalid, "a public key is 64 hexadecimal digits");
  std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
  return key;
}

Result<SigningKey> SigningKey::Generate() {
  SPW_ASSIGN(const Secret seed, Secret::Generate());
  return FromSeed(seed);
}

SigningKey SigningKey::FromSeed(const Secret& seed) {
  SigningKey key;
  key.key_.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.bytes().data(),
                                              seed.bytes().size()));
  std::size_t size = key.public_key_.bytes.size();
  SPW_CHECK(key.key_ != nullptr &&
            EVP_PKEY_get_raw_public_key(key.key_.get(), key.public_key_.bytes.data(), &size) == 1);
  return key;
}

Signature SigningKey::Sign(ByteView message) const {
  SPW_CHECK(key_ != nullptr, "a signing key was used after a move");
  const MdContext context(EVP_MD_CTX_new());
  Signature signature;
  std::size_t size = signature.size();
  SPW_CHECK(
      context != nullptr &&
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) == 1 &&
      size == signature.size());
  return signature;
}

bool Verify(const VerifyKey& key, ByteView message, ByteView signature) {
  if (signature.size() != std::tuple_size_v<Signature>) return false;
  const Pkey pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.bytes.data(), key.bytes.size()));
  const MdContext context(EVP_MD_CTX_new());
  return pkey != nullptr && context != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

bool VerifyHex(std::string_view message, std::string_view signature, std::string_view key) {
  const auto parsed_key = VerifyKey::Parse(key);
  const auto parsed_signature = ParseHex(signature);
  return parsed_key && parsed_signature && Verify(*parsed_key, AsBytes(message), *parsed_signature);
}

}  // namespace spillway::data
