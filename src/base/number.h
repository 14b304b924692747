// Whole numbers in protocols.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace spillway {

// Decimal digits and nothing else, from 0 up to what fits; otherwise nothing.
inline std::optional<std::int64_t> ParseCount(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0)
    return std::nullopt;
  return value;
}

}  // namespace spillway
