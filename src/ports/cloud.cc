#include "ports/cloud.h"

#include <fmt/format.h>

#include <algorithm>

namespace spillway::ports {
namespace {

constexpr std::size_t kMaxNameLength = 40;
constexpr std::size_t kMaxUserData = 16u << 10;

bool IsLabel(std::string_view name) {
  if (name.empty() || name.front() == '-' || name.back() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace

Status CheckSpec(const InstanceSpec& spec) {
  if (spec.name.size() > kMaxNameLength || !IsLabel(spec.name))
    return Fail(Code::kInvalid,
                fmt::format("instance name \"{}\" must be a DNS label of at most {} characters",
                            spec.name, kMaxNameLength));
  if (spec.user_data.size() > kMaxUserData)
    return Fail(Code::kInvalid, fmt::format("user data of {} has {} bytes; at most {} are allowed",
                                            spec.name, spec.user_data.size(), kMaxUserData));
  return Ok();
}

}  // namespace spillway::ports
