#include "sim/search.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

namespace spillway::sim {
namespace {

constexpr std::int64_t kLot = 64;  // seeds that a thread takes at once

void Take(SearchResult& into, std::uint64_t seed, const RunResult& run) {
  ++into.seeds;
  into.tally += run.tally;
  for (std::size_t i = 0; i < kInvariants; ++i) {
    const auto invariant = static_cast<Invariant>(i);
    if (run.checks.Ok(invariant)) continue;
    ++into.violated[i];
    into.bad.push_back({seed, invariant, run.checks.Sentence(invariant)});
  }
}

void Trim(std::vector<BadSeed>& bad) {
  std::sort(bad.begin(), bad.end(), [](const BadSeed& a, const BadSeed& b) {
    return std::pair(a.seed, a.invariant) < std::pair(b.seed, b.invariant);
  });
  if (bad.size() > kMaxBad) bad.resize(kMaxBad);
}

}  // namespace

bool SearchResult::Ok() const {
  return std::all_of(violated.begin(), violated.end(), [](std::int64_t n) { return n == 0; });
}

SearchResult SearchSeeds(std::uint64_t first, std::int64_t count, int threads, Mutant mutant) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  SearchResult total;
  const auto work = [&] {
    SearchResult own;
    for (;;) {
      const std::int64_t from = next.fetch_add(kLot);
      if (from >= count) break;
      for (std::int64_t i = from; i < std::min(from + kLot, count); ++i) {
        const std::uint64_t seed = first + static_cast<std::uint64_t>(i);
        Take(own, seed, RunScenario(DrawScenario(seed), mutant));
      }
      Trim(own.bad);
    }
    const std::scoped_lock lock(mutex);
    total.seeds += own.seeds;
    total.tally += own.tally;
    for (std::size_t i = 0; i < kInvariants; ++i) total.violated[i] += own.violated[i];
    total.bad.insert(total.bad.end(), own.bad.begin(), own.bad.end());
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
  Trim(total.bad);
  return total;
}

json::object Summary(const SearchResult& result, std::int64_t milliseconds) {
  json::object out;
  out["seeds"] = result.seeds;
  for (std::size_t i = 0; i < kInvariants; ++i)
    out[Name(static_cast<Invariant>(i))] = result.violated[i];
  out["faultsInjected"] = result.tally.FaultsInjected();
  out["crashes"] = result.tally.crashes;
  out["burstNodes"] = result.tally.burst_nodes;
  out["rounds"] = result.tally.rounds;
  out["seconds"] = static_cast<double>(milliseconds) / 1000;
  out["seedsPerSecond"] = result.seeds * 1000 / std::max<std::int64_t>(milliseconds, 1);
  return out;
}

json::object Coverage(const Tally& tally) {
  json::object faults, points, phases, failures;
  for (std::size_t i = 0; i < kFaults; ++i) faults[Name(static_cast<Fault>(i))] = tally.faults[i];
  for (std::size_t i = 0; i < kCrashPoints; ++i)
    points[Name(static_cast<CrashPoint>(i))] = tally.crash_points[i];
  for (std::size_t i = 0; i < kLivePhases; ++i)
    phases[Name(static_cast<Phase>(i))] = tally.crash_phases[i];
  for (std::size_t i = 0; i < kFailures; ++i)
    failures[Name(static_cast<Failure>(i))] = tally.failures[i];
  return {{"faults", std::move(faults)},
          {"crashPoints", std::move(points)},
          {"crashesInPhase", std::move(phases)},
          {"failures", std::move(failures)},
          {"cryptoEraseOnly", tally.crypto_erase_only},
          {"keysOwed", tally.keys_owed},
          {"resultsGivenUp", tally.results_given_up}};
}

std::vector<std::string> NeverHappened(const Tally& tally) {
  std::vector<std::string> never;
  for (std::size_t i = 0; i < kFaults; ++i)
    if (tally.faults[i] == 0) never.emplace_back(Name(static_cast<Fault>(i)));
  for (std::size_t i = 0; i < kCrashPoints; ++i)
    if (tally.crash_points[i] == 0) never.emplace_back(Name(static_cast<CrashPoint>(i)));
  for (std::size_t i = 0; i < kLivePhases; ++i)
    if (tally.crash_phases[i] == 0) never.emplace_back(Name(static_cast<Phase>(i)));
  for (std::size_t i = 0; i < kFailures; ++i)
    if (tally.failures[i] == 0) never.emplace_back(Name(static_cast<Failure>(i)));
  if (tally.crypto_erase_only == 0) never.emplace_back("cryptoEraseOnly");
  if (tally.keys_owed == 0) never.emplace_back("keysOwed");
  if (tally.results_given_up == 0) never.emplace_back("resultsGivenUp");
  return never;
}

Catch CatchMutant(Mutant mutant, std::uint64_t first, std::int64_t limit) {
  Catch result;
  result.mutant = mutant;
  for (std::int64_t i = 0; i < limit; ++i) {
    const std::uint64_t seed = first + static_cast<std::uint64_t>(i);
    ++result.tried;
    const RunResult run = RunScenario(DrawScenario(seed), mutant);
    // What goes wrong without the mutant as well proves nothing.
    if (run.checks.Ok() || !RunScenario(DrawScenario(seed)).checks.Ok()) continue;
    result.caught = true;
    SearchResult one;
    Take(one, seed, run);
    result.by = std::move(one.bad);
    return result;
  }
  return result;
}

}  // namespace spillway::sim
