// Shared by the tests of this folder: fixed keys and bytes.
#pragma once

#include <string_view>

#include "base/encoding.h"
#include "base/rng.h"
#include "data/secret.h"
#include "data/sign.h"

namespace spillway::data {

inline ByteBuffer FromHex(std::string_view hex) {
  return *ParseHex(hex);
}

// 32 bytes: first, first + 1, ...
inline Secret CountingSecret(std::uint8_t first) {
  ByteBuffer bytes;
  for (int i = 0; i < 32; ++i) bytes.push_back(static_cast<std::uint8_t>(first + i));
  return *Secret::FromBytes(bytes);
}

inline SigningKey TestSigner(std::uint8_t first = 1) {
  return SigningKey::FromSeed(CountingSecret(first));
}

inline ByteBuffer RandomBytes(std::size_t size, std::uint64_t seed) {
  Rng rng(seed);
  ByteBuffer bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(rng.Next() >> 32);
  return bytes;
}

}  // namespace spillway::data
