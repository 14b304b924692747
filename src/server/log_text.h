// Bytes of a log as text for JSON.
#pragma once

#include <string>
#include <string_view>

namespace spillway::server {

struct LogText {
  std::string text;  // UTF-8; every wrong byte has become U+FFFD
  std::size_t taken_bytes =
      0;  // of the input; less than all of it if a character is cut at its end
};

// With `more_follows`, the bytes of a character that is cut at the end are left for the next piece.
LogText ToLogText(std::string_view bytes, bool more_follows);

}  // namespace spillway::server
