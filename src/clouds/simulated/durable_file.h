// Files that are there whole, or not at all, also after the power went.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway::simulated {

// Replaces `path` in one step (temporary file, fsync, rename, fsync of the directory), mode 0600.
// kInternal with the path; the old content then stays.
Status WriteDurably(const std::filesystem::path& path, std::string_view text);

// The whole file; kNotFound if there is none, kInternal if it cannot be read.
Result<std::string> ReadWhole(const std::filesystem::path& path);

}  // namespace spillway::simulated
