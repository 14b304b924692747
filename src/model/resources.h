// What a pod asks for and a node has.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace spillway {

// Amounts of each resource. CPU in thousandths of a core, memory and ephemeral storage in bytes,
// GPUs are `nvidia.com/gpu` (whole devices). Any other extended resource is in `extended`, sorted
// by name, without zero entries.
struct Resources {
  std::int64_t cpu_milli = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t ephemeral_bytes = 0;
  std::int64_t gpus = 0;
  std::vector<std::pair<std::string, std::int64_t>> extended;

  bool operator==(const Resources&) const = default;
  auto operator<=>(const Resources&) const = default;
  Resources& operator+=(const Resources& other);
  Resources& operator-=(const Resources& other);

  // True if `request` fits into this amount in every dimension.
  bool Covers(const Resources& request) const;
  // Name of the first dimension in which `request` does not fit ("nvidia.com/gpu", "cpu", ...), or
  // an empty string.
  std::string FirstShortage(const Resources& request) const;
};

inline constexpr std::string_view kGpuResource = "nvidia.com/gpu";

}  // namespace spillway
