// Hex, base64, SHA-256 and comparison in constant time.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace spillway {

using ByteView = std::span<const std::uint8_t>;
using ByteBuffer = std::vector<std::uint8_t>;
using Digest = std::array<std::uint8_t, 32>;

inline ByteView AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view AsText(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Hex(ByteView bytes);
Result<ByteBuffer> ParseHex(std::string_view text);
std::string Base64(ByteView bytes);  // standard alphabet, padded
Result<ByteBuffer> ParseBase64(std::string_view text);

Digest Sha256(ByteView bytes);
std::string Sha256Hex(std::string_view text);

bool EqualConstantTime(ByteView a, ByteView b);

}  // namespace spillway
