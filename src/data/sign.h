// Ed25519 signatures (RFC 8032).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/encoding.h"
#include "base/result.h"
#include "data/secret.h"

struct evp_pkey_st;

namespace spillway::data {

struct FreePkey {
  void operator()(evp_pkey_st* key) const;
};
using Pkey = std::unique_ptr<evp_pkey_st, FreePkey>;

// Who signed. Public; compare it with one that is already trusted.
struct VerifyKey {
  std::array<std::uint8_t, 32> bytes{};

  static Result<VerifyKey> Parse(std::string_view hex);  // 64 digits
  std::string Hex() const { return spillway::Hex(bytes); }
  bool operator==(const VerifyKey&) const = default;
};

using Signature = std::array<std::uint8_t, 64>;

// A private signing key; move-only, wiped with the object. Signing from several threads is fine.
class SigningKey {
 public:
  static Result<SigningKey> Generate();
  // The RFC 8032 private key. To keep a signing key, keep its seed.
  static SigningKey FromSeed(const Secret& seed);

  const VerifyKey& public_key() const { return public_key_; }
  Signature Sign(ByteView message) const;

 private:
  SigningKey() = default;

  Pkey key_;
  VerifyKey public_key_;
};

// False for any signature, message or key that does not belong together, or has the wrong size.
bool Verify(const VerifyKey& key, ByteView message, ByteView signature);
// The same with key and signature in hex, as ledgers carry them; false for what is not hex.
bool VerifyHex(std::string_view message, std::string_view signature, std::string_view key);

}  // namespace spillway::data
