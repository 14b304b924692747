// Faults: what can go wrong, how often it does in one run, and how often it did in all of them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/rng.h"
#include "model/burst_node.h"

namespace spillway::sim {

enum class Fault : std::uint8_t {
  // Drawn by the dice at each occasion.
  kCommandLost,        // a local command is dropped without a word
  kCommandDuplicated,  // carried out again some time later
  kAnswerLost,
  kAnswerDuplicated,  // seen again by a later round
  kListingLate,
  kHeartbeatLost,
  kHeartbeatUnanswered,  // the site heard it, the node does not know
  kHeartbeatStale,       // an old report arrives after a new one
  kReceiptLost,
  kPodsUnseen,  // a round without the cluster
  kRunUnseen,   // a round without the gateway
  kObserveFailed,
  kPrepareFailed,
  kWrongHardware,
  kPodFailed,
  kStagingStuck,  // the data does not arrive
  kReturnStuck,   // the results do not leave
  kWipeStuck,     // the disk does not take the overwriting
  kImageStuck,    // the machine takes pods and never gets their images
  // Scheduled.
  kPartition,
  kDiskFull,
  kKeyServiceDown,
  kClockForward,
  kClockBack,
  // Drawn by the simulated clouds, counted where they show.
  kCreateUnknown,
  kCreateLate,
  kCreateDoubled,
  kCapacityRefused,
  kCapacityLate,
  kQuotaRefused,
  kApiRefused,  // unavailable, throttled, denied
  kDeleteUnknown,
  kDeleteIgnored,
  kDeleteRefused,
  kSideObjectLeft,
  kListingStale,
  kBootFailed,
  kNodeDied,
  kInstanceVanished,
  kCount,
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::kCount);
std::string_view Name(Fault fault);

// Between which two steps the daemon dies.
enum class CrashPoint : std::uint8_t {
  kBeforeCommit,
  kAfterCommit,
  kBetweenSends,
  kBeforeExecute,
  kAfterExecute,
  kIdle,
  kCount,
};
inline constexpr std::size_t kCrashPoints = static_cast<std::size_t>(CrashPoint::kCount);
std::string_view Name(CrashPoint point);

inline constexpr std::size_t kFailures = static_cast<std::size_t>(Failure::kGangFailed) + 1;
inline constexpr std::size_t kLivePhases = static_cast<std::size_t>(Phase::kGone);

// Counts of one run, or the sum over runs.
struct Tally {
  std::array<std::int64_t, kFaults> faults{};
  std::array<std::int64_t, kCrashPoints> crash_points{};
  std::array<std::int64_t, kLivePhases> crash_phases{};  // a BurstNode was in it when it happened
  std::array<std::int64_t, kFailures> failures{};        // BurstNodes by failure; kNone: went well
  std::int64_t crypto_erase_only = 0;                    // BurstNodes with the lesser wipe
  std::int64_t keys_owed = 0;         // BurstNodes that were deleted before their key
  std::int64_t results_given_up = 0;  // BurstNodes whose results did not all come home
  std::int64_t crashes = 0;
  std::int64_t burst_nodes = 0;
  std::int64_t rounds = 0;

  std::int64_t FaultsInjected() const;
  Tally& operator+=(const Tally& other);
};

// How likely each fault is in one run, per thousand occasions.
struct FaultRates {
  std::array<std::uint16_t, kFaults> per_thousand{};
  std::array<std::uint16_t, kCrashPoints> crash_per_thousand{};
  int max_crashes = 0;
};

// Throws the dice of one run. After Calm() nothing goes wrong any more.
class FaultDice {
 public:
  FaultDice(const FaultRates& rates, std::uint64_t seed, Tally& tally)
      : rates_(rates), rng_(seed), tally_(tally) {}

  bool Hit(Fault fault) {
    const std::uint16_t rate = rates_.per_thousand[static_cast<std::size_t>(fault)];
    if (calm_ || rate == 0 || rng_.Below(1000) >= rate) return false;
    Count(fault);
    return true;
  }
  bool Crash(CrashPoint point) {
    const std::uint16_t rate = rates_.crash_per_thousand[static_cast<std::size_t>(point)];
    if (calm_ || rate == 0 || tally_.crashes >= rates_.max_crashes || rng_.Below(1000) >= rate)
      return false;
    CountCrash(point);
    return true;
  }
  void Count(Fault fault) { ++tally_.faults[static_cast<std::size_t>(fault)]; }
  void CountCrash(CrashPoint point) {
    ++tally_.crashes;
    ++tally_.crash_points[static_cast<std::size_t>(point)];
  }
  void Calm() { calm_ = true; }
  bool calm() const { return calm_; }
  Rng& rng() { return rng_; }

 private:
  const FaultRates& rates_;
  Rng rng_;
  Tally& tally_;
  bool calm_ = false;
};

}  // namespace spillway::sim
