// Byte strings that are hashed, authenticated or derived from: integers big-endian, texts with
// their length in front, so that two different lists of fields never give the same bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/encoding.h"

namespace spillway::data {

template <typename Unsigned>
void AppendBigEndian(ByteBuffer& out, Unsigned value) {
  for (int shift = static_cast<int>(sizeof(Unsigned)) * 8 - 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

template <typename Unsigned>
Unsigned ReadBigEndian(ByteView bytes) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i)
    value = static_cast<Unsigned>(value << 8 | bytes[i]);
  return value;
}

inline void AppendBytes(ByteBuffer& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
inline void AppendRaw(ByteBuffer& out, std::string_view text) {
  AppendBytes(out, AsBytes(text));
}

// 32-bit length, then the bytes.
inline void AppendField(ByteBuffer& out, std::string_view text) {
  AppendBigEndian(out, static_cast<std::uint32_t>(text.size()));
  AppendRaw(out, text);
}

}  // namespace spillway::data
