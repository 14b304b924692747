#include "sim/faults.h"

#include <numeric>

namespace spillway::sim {
namespace {

constexpr std::array<std::string_view, kFaults> kFaultNames = {
    "commandLost",   "commandDuplicated",   "answerLost",      "answerDuplicated", "listingLate",
    "heartbeatLost", "heartbeatUnanswered", "heartbeatStale",  "receiptLost",      "podsUnseen",
    "runUnseen",     "observeFailed",       "prepareFailed",   "wrongHardware",    "podFailed",
    "stagingStuck",  "returnStuck",         "wipeStuck",       "imageStuck",       "partition",
    "diskFull",      "keyServiceDown",      "clockForward",    "clockBack",        "createUnknown",
    "createLate",    "createDoubled",       "capacityRefused", "capacityLate",     "quotaRefused",
    "apiRefused",    "deleteUnknown",       "deleteIgnored",   "deleteRefused",    "sideObjectLeft",
    "listingStale",  "bootFailed",          "nodeDied",        "instanceVanished"};

constexpr std::array<std::string_view, kCrashPoints> kPointNames = {
    "beforeCommit", "afterCommit", "betweenSends", "beforeExecute", "afterExecute", "idle"};

template <typename Array>
void Add(Array& into, const Array& other) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] += other[i];
}

}  // namespace

std::string_view Name(Fault fault) {
  return kFaultNames[static_cast<std::size_t>(fault)];
}

std::string_view Name(CrashPoint point) {
  return kPointNames[static_cast<std::size_t>(point)];
}

std::int64_t Tally::FaultsInjected() const {
  return std::accumulate(faults.begin(), faults.end(), crashes);
}

Tally& Tally::operator+=(const Tally& other) {
  Add(faults, other.faults);
  Add(crash_points, other.crash_points);
  Add(crash_phases, other.crash_phases);
  Add(failures, other.failures);
  crypto_erase_only += other.crypto_erase_only;
  keys_owed += other.keys_owed;
  results_given_up += other.results_given_up;
  crashes += other.crashes;
  burst_nodes += other.burst_nodes;
  rounds += other.rounds;
  return *this;
}

}  // namespace spillway::sim
