// spillway-sim: searches for histories in which the rules break what they promise.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <thread>

#include "sim/search.h"

namespace spillway::sim {
namespace {

struct Options {
  std::int64_t seeds = 10'000;
  std::uint64_t first_seed = 1;
  std::optional<std::uint64_t> seed;  // this one alone
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  bool trace = false, mutants = false, coverage = false;
  std::string mutant = "none";
  std::int64_t limit = 4000;  // seeds after which a mutant counts as missed
};

std::int64_t Milliseconds(std::chrono::steady_clock::time_point since) {
  return (std::chrono::steady_clock::now() - since) / std::chrono::milliseconds(1);
}

void PrintBad(const BadSeed& bad) {
  fmt::print("seed {}: {}: {}\n  replay: spillway-sim faults --seed {} --trace\n", bad.seed,
             Name(bad.invariant), bad.sentence, bad.seed);
}

int RunOne(const Options& options, Mutant mutant) {
  const RunResult run = RunScenario(DrawScenario(*options.seed), mutant, options.trace);
  for (std::size_t i = 0; i < kInvariants; ++i) {
    const auto invariant = static_cast<Invariant>(i);
    if (!run.checks.Ok(invariant))
      fmt::print("VIOLATED {}: {}\n", Name(invariant), run.checks.Sentence(invariant));
  }
  fmt::print("{}\n",
             json::serialize(json::object{{"seed", *options.seed},
                                          {"ok", run.checks.Ok()},
                                          {"virtualSeconds", run.lasted / 1s},
                                          {"burstNodes", run.tally.burst_nodes},
                                          {"rounds", run.tally.rounds},
                                          {"faultsInjected", run.tally.FaultsInjected()},
                                          {"traceHash", fmt::format("{:016x}", run.hash)}}));
  return run.checks.Ok() ? 0 : 1;
}

int RunMany(const Options& options, Mutant mutant) {
  const auto start = std::chrono::steady_clock::now();
  const SearchResult result =
      SearchSeeds(options.first_seed, options.seeds, options.threads, mutant);
  for (const BadSeed& bad : result.bad) PrintBad(bad);
  if (options.coverage) fmt::print("{}\n", json::serialize(Coverage(result.tally)));
  for (const std::string& never : NeverHappened(result.tally))
    fmt::print("never happened: {}\n", never);
  fmt::print("{}\n", json::serialize(Summary(result, Milliseconds(start))));
  return result.Ok() ? 0 : 1;
}

int RunMutants(const Options& options) {
  int missed = 0, mutants = 0;
  for (int i = 1; i < static_cast<int>(Mutant::kCount); ++i) {
    const Catch result = CatchMutant(static_cast<Mutant>(i), options.first_seed, options.limit);
    ++mutants;
    if (result.caught) {
      std::string names;
      for (const BadSeed& bad : result.by)
        names += (names.empty() ? "" : ",") + std::string(Name(bad.invariant));
      fmt::print("{:<27} caught by {:<13} in seed {}: {}\n", Name(result.mutant), names,
                 result.by.front().seed, result.by.front().sentence);
    } else {
      ++missed;
      fmt::print("{:<28} MISSED in {} seeds\n", Name(result.mutant), result.tried);
    }
  }
  fmt::print("{}\n", json::serialize(json::object{{"mutants", mutants}, {"missed", missed}}));
  return missed == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Runs the planning and control rules in virtual time against faults drawn from a seed");
  app.require_subcommand(1);
  CLI::App* faults = app.add_subcommand("faults", "Search for broken promises; exit 1 if any");
  faults->add_option("--seeds", options.seeds, "How many seeds")
      ->check(CLI::Range(1LL, 1'000'000'000LL));
  faults->add_option("--first-seed", options.first_seed, "The first of them");
  faults->add_option("--threads", options.threads, "Threads")->check(CLI::Range(1, 256));
  faults->add_option("--seed", options.seed, "Run this seed alone");
  faults->add_flag("--trace", options.trace, "Tell the story of the seed");
  faults->add_flag("--coverage", options.coverage, "Count each kind of fault and crash");
  faults->add_flag("--mutants", options.mutants, "Break rules on purpose; each must be caught");
  faults->add_option("--mutant", options.mutant, "Break this rule in a search or a replay");
  faults->add_option("--limit", options.limit, "Seeds after which a mutant counts as missed");
  CLI11_PARSE(app, argc, argv);
  const std::optional<Mutant> mutant = MutantFrom(options.mutant);
  if (!mutant) {
    fmt::print(stderr, "spillway-sim: --mutant: there is no mutant \"{}\"; --mutants lists them\n",
               options.mutant);
    return 2;
  }
  if (options.mutants) return RunMutants(options);
  return options.seed ? RunOne(options, *mutant) : RunMany(options, *mutant);
}

}  // namespace
}  // namespace spillway::sim

int main(int argc, char** argv) {
  return spillway::sim::Main(argc, argv);
}
