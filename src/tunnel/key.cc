#include "tunnel/key.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/encoding.h"

namespace spillway::tunnel {
namespace {

constexpr std::size_t kKeyBytes = 32, kKeyText = 44;

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

std::string PublicOf(ByteView scalar) {
  const std::unique_ptr<EVP_PKEY, FreeKey> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, scalar.data(), scalar.size()));
  std::array<std::uint8_t, kKeyBytes> point{};
  std::size_t size = point.size();
  SPW_CHECK(key != nullptr && EVP_PKEY_get_raw_public_key(key.get(), point.data(), &size) == 1,
            "X25519 is missing in OpenSSL");
  return Base64(point);
}

}  // namespace

KeyPair NewKeyPair() {
  std::array<std::uint8_t, kKeyBytes> scalar{};
  SPW_CHECK(RAND_bytes(scalar.data(), scalar.size()) == 1, "the system has no randomness");
  // As wg genkey clamps it, so that both tools show the same text for one key (RFC 7748, 5).
  scalar[0] &= 248;
  scalar[31] = static_cast<std::uint8_t>((scalar[31] & 127) | 64);
  return {Base64(scalar), PublicOf(scalar)};
}

bool IsKey(std::string_view text) {
  if (text.size() != kKeyText) return false;
  const auto bytes = ParseBase64(text);
  return bytes && bytes->size() == kKeyBytes && Base64(*bytes) == text &&
         std::ranges::any_of(*bytes, [](std::uint8_t b) { return b != 0; });
}

Result<std::string> PublicKeyOf(std::string_view private_key) {
  if (!IsKey(private_key)) return Fail(Code::kInvalid, "this is no private key of WireGuard");
  return PublicOf(*ParseBase64(private_key));
}

}  // namespace spillway::tunnel
