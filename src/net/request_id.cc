#include "net/request_id.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <random>

#include "base/encoding.h"

namespace spillway::net {

std::string RequestId(std::string_view given) {
  constexpr std::size_t kMost = 64;
  const bool plain = std::ranges::all_of(
      given, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.'; });
  if (!given.empty() && given.size() <= kMost && plain) return std::string(given);
  // Told apart by chance between processes, by number within one.
  static const std::string process = [] {
    std::random_device device;
    const std::array<std::uint8_t, 4> bytes{
        static_cast<std::uint8_t>(device()), static_cast<std::uint8_t>(device()),
        static_cast<std::uint8_t>(device()), static_cast<std::uint8_t>(device())};
    return Hex(bytes);
  }();
  static std::atomic<std::uint64_t> next = 0;
  return process + "-" + std::to_string(++next);
}

}  // namespace spillway::net
