// WireGuard keys as wg(8) writes them: 32 bytes of Curve25519 in base64
// (https://www.wireguard.com/papers/wireguard.pdf, section 5).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway::tunnel {

struct KeyPair {
  std::string private_key, public_key;
};
KeyPair NewKeyPair();

// 44 characters of base64 that stand for 32 bytes which are not all zero.
bool IsKey(std::string_view text);

// kInvalid unless IsKey(private_key).
Result<std::string> PublicKeyOf(std::string_view private_key);

}  // namespace spillway::tunnel
