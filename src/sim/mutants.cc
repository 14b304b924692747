#include "sim/mutants.h"

#include <array>

namespace spillway::sim {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Mutant::kCount)> kNames = {
    "none",
    "record-after-call",
    "trust-accepted",
    "no-sweep",
    "lease-ignored",
    "node-ignores-lease",
    "receipt-not-awaited",
    "reservation-kept",
    "key-kept",
    "key-debt-forgotten",
    "second-create",
    "side-objects-forgotten",
    "capacity-not-parked",
    "gang-in-parts",
    "one-listing",
    "ledger-twice",
    "budget-ignored",
    "wipe-not-awaited",
    "delete-once",
    "cancelled-create-forgotten",
    "wall-clock"};

}  // namespace

std::string_view Name(Mutant mutant) {
  return kNames[static_cast<std::size_t>(mutant)];
}

std::optional<Mutant> MutantFrom(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Mutant>(i);
  return std::nullopt;
}

}  // namespace spillway::sim
