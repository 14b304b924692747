// One step of a strict UTF-8 decoder (RFC 3629: no overlong forms, no surrogates).
#pragma once

#include <cstdint>
#include <string_view>

namespace spillway::schema {

struct Utf8Char {
  std::uint32_t code = 0;
  std::size_t length = 1;  // bytes taken; 1 when not valid
  bool valid = false;
};

// Decodes the character that starts at text[i]; i < text.size().
inline Utf8Char DecodeUtf8(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const std::uint32_t first = byte(i);
  if (first < 0x80) return {first, 1, true};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() - i < length) return {};
  std::uint32_t code = first & (0xffu >> (length + 1));
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xc0u) != 0x80u) return {};
    code = (code << 6) | (byte(i + k) & 0x3fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, length, true};
}

}  // namespace spillway::schema
