#include "data/path.h"

#include <fmt/format.h>

#include <cstdint>

namespace spillway::data {
namespace {

// Length of the UTF-8 sequence at the front of `text`, 0 when there is none (RFC 3629: no overlong
// forms, no surrogates, nothing above U+10FFFF).
std::size_t SequenceLength(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const std::uint8_t second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  return length;
}

Status Bad(std::string_view path, std::string_view why) {
  return Fail(Code::kInvalid, fmt::format("path \"{}\": {}", path, why));
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t n = SequenceLength(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

Status CheckRelativePath(std::string_view path) {
  if (path.empty()) return Bad(path, "is empty");
  if (path.size() > kMaxPathBytes)
    return Bad(path.substr(0, 40), fmt::format("is longer than {} bytes", kMaxPathBytes));
  if (!IsUtf8(path)) return Fail(Code::kInvalid, "a path is not valid UTF-8; rename the file");
  for (char c : path)
    if (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7F)
      return Fail(Code::kInvalid, "a path holds a control character; rename the file");
  if (path.front() == '/') return Bad(path, "must be relative, without a leading '/'");
  for (std::size_t from = 0; from <= path.size();) {
    const std::size_t to = std::min(path.find('/', from), path.size());
    const std::string_view name = path.substr(from, to - from);
    if (name.empty()) return Bad(path, "has an empty name between or after '/'");
    if (name == "." || name == "..") return Bad(path, "must not contain '.' or '..' as a name");
    if (name.size() > 255) return Bad(path.substr(0, 40), "has a name longer than 255 bytes");
    from = to + 1;
  }
  return Ok();
}

}  // namespace spillway::data
