#include "model/burst_node.h"

#include <array>

namespace spillway {
namespace {

constexpr std::array<std::string_view, 10> kPhases = {
    "Planned", "Requested", "Provisioned", "Joined",   "Staged",
    "Running", "Returning", "Wiping",      "Deleting", "Gone"};
constexpr std::array<std::string_view, 14> kFailures = {
    "None",        "Capacity",      "Quota",        "Refused",      "CreateLost",
    "BootTimeout", "WrongHardware", "StageTimeout", "StartTimeout", "DataFailed",
    "NodeLost",    "Lifetime",      "Cancelled",    "GangFailed"};

}  // namespace

std::string_view Name(Phase phase) {
  return kPhases[static_cast<std::size_t>(phase)];
}

std::optional<Phase> PhaseFrom(std::string_view name) {
  for (std::size_t i = 0; i < kPhases.size(); ++i)
    if (kPhases[i] == name) return static_cast<Phase>(i);
  return std::nullopt;
}

std::string_view Name(Failure failure) {
  return kFailures[static_cast<std::size_t>(failure)];
}

std::optional<Failure> FailureFrom(std::string_view name) {
  for (std::size_t i = 0; i < kFailures.size(); ++i)
    if (kFailures[i] == name) return static_cast<Failure>(i);
  return std::nullopt;
}

std::string_view Name(WipeClass wipe_class) {
  switch (wipe_class) {
    case WipeClass::kNone:
      return "none";
    case WipeClass::kFull:
      return "full";
    case WipeClass::kCryptoEraseOnly:
      return "crypto-erase only";
  }
  return "none";
}

}  // namespace spillway
