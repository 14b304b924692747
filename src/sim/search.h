// Search: many seeds on several threads, and what came of them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "sim/simulation.h"

namespace spillway::sim {

struct BadSeed {
  std::uint64_t seed = 0;
  Invariant invariant = Invariant::kLeak;
  std::string sentence;
};

struct SearchResult {
  std::int64_t seeds = 0;
  std::array<std::int64_t, kInvariants> violated{};  // seeds in which each was
  std::vector<BadSeed> bad;                          // at most kMaxBad, by seed
  Tally tally;

  bool Ok() const;
};
inline constexpr std::size_t kMaxBad = 20;

// Runs seeds [first, first + count). The result does not depend on `threads`.
SearchResult SearchSeeds(std::uint64_t first, std::int64_t count, int threads,
                         Mutant mutant = Mutant::kNone);

// {"seeds":N,"leaks":0,...,"seconds":S,"seedsPerSecond":R}
json::object Summary(const SearchResult& result, std::int64_t milliseconds);
// How often each fault and each crash happened, as {"faults":{...},"crashPoints":{...},...}.
json::object Coverage(const Tally& tally);
// Names of faults, crash points, phases and failures that never happened.
std::vector<std::string> NeverHappened(const Tally& tally);

// The first seed of [first, first + limit) in which the mutant is caught.
struct Catch {
  Mutant mutant = Mutant::kNone;
  bool caught = false;
  std::vector<BadSeed> by;  // one for each invariant that caught it
  std::int64_t tried = 0;
};
Catch CatchMutant(Mutant mutant, std::uint64_t first, std::int64_t limit);

}  // namespace spillway::sim
