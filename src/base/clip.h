// Texts for people that must not become too long.
#pragma once

#include <string_view>

namespace spillway {

// At most `limit` bytes of a UTF-8 text, never half a character. Points into `text`.
inline std::string_view Clipped(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  return text.substr(0, limit);
}

}  // namespace spillway
