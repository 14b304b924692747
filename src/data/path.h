// Names of files inside a dataset or a results place.
#pragma once

#include <string_view>

#include "base/result.h"

namespace spillway::data {

inline constexpr std::size_t kMaxPathBytes = 1024;

bool IsUtf8(std::string_view text);

// Ok for a relative path with '/' between non-empty names, at most 1024 bytes of UTF-8 without
// control characters, no name "." or ".." or longer than 255 bytes. kInvalid says what is wrong.
Status CheckRelativePath(std::string_view path);

}  // namespace spillway::data
