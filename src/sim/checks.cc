#include "sim/checks.h"

namespace spillway::sim {

std::string_view Name(Invariant invariant) {
  static constexpr std::array<std::string_view, kInvariants> kNames = {
      "leaks", "lostResults", "doubleSpend", "stuck", "plaintextLeft"};
  return kNames[static_cast<std::size_t>(invariant)];
}

}  // namespace spillway::sim
