#include "server/log_text.h"

#include "schema/utf8.h"

namespace spillway::server {
namespace {

// Bytes of the character that this byte may begin; 1 for one that stands alone or is wrong.
std::size_t LengthAt(unsigned char first) {
  if (first >= 0xC2 && first <= 0xDF) return 2;
  if (first >= 0xE0 && first <= 0xEF) return 3;
  if (first >= 0xF0 && first <= 0xF4) return 4;
  return 1;
}

bool OnlyContinues(std::string_view bytes) {
  for (const char c : bytes)
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) return false;
  return true;
}

}  // namespace

LogText ToLogText(std::string_view bytes, bool more_follows) {
  LogText out;
  out.text.reserve(bytes.size());
  std::size_t at = 0;
  while (at < bytes.size()) {
    const schema::Utf8Char c = schema::DecodeUtf8(bytes, at);
    const std::size_t left = bytes.size() - at;
    if (c.valid) {
      out.text.append(bytes, at, c.length);
    } else if (more_follows && LengthAt(static_cast<unsigned char>(bytes[at])) > left &&
               OnlyContinues(bytes.substr(at + 1))) {
      break;
    } else {
      out.text += "\xEF\xBF\xBD";
    }
    at += c.length;
  }
  out.taken_bytes = at;
  return out;
}

}  // namespace spillway::server
