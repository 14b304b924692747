#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/search.h"

namespace spillway::sim {
namespace {

using ::testing::IsEmpty;

std::string Told(const std::vector<BadSeed>& bad) {
  std::string text;
  for (const BadSeed& one : bad)
    text += std::to_string(one.seed) + " " + std::string(Name(one.invariant)) + ": " +
            one.sentence + "\n";
  return text;
}

TEST(Search, NoPromiseIsBrokenAndEveryTroubleHappened) {
  const SearchResult result = SearchSeeds(1, 2000, 2);
  EXPECT_EQ(result.seeds, 2000);
  EXPECT_TRUE(result.Ok()) << Told(result.bad);
  EXPECT_THAT(NeverHappened(result.tally), IsEmpty());
  EXPECT_GT(result.tally.failures[static_cast<std::size_t>(Failure::kNone)],
            result.tally.burst_nodes / 2)
      << "trouble must not be all there is";
}

TEST(Search, ASeedIsOneHistory) {
  for (std::uint64_t seed = 5000; seed < 5040; ++seed) {
    const RunResult once = RunScenario(DrawScenario(seed));
    const RunResult again = RunScenario(DrawScenario(seed));
    EXPECT_EQ(once.hash, again.hash) << seed;
    EXPECT_EQ(once.lasted, again.lasted) << seed;
    EXPECT_EQ(once.tally.rounds, again.tally.rounds) << seed;
  }
  EXPECT_NE(RunScenario(DrawScenario(1)).hash, RunScenario(DrawScenario(2)).hash);
}

TEST(Search, ThreadsDoNotChangeTheResult) {
  const SearchResult one = SearchSeeds(7000, 200, 1);
  const SearchResult four = SearchSeeds(7000, 200, 4);
  EXPECT_EQ(one.tally.faults, four.tally.faults);
  EXPECT_EQ(one.tally.burst_nodes, four.tally.burst_nodes);
  EXPECT_EQ(one.violated, four.violated);
}

class EveryMutant : public ::testing::TestWithParam<int> {};

TEST_P(EveryMutant, IsCaught) {
  const Catch result = CatchMutant(static_cast<Mutant>(GetParam()), 1, 500);
  EXPECT_TRUE(result.caught) << Name(result.mutant);
}

INSTANTIATE_TEST_SUITE_P(Mutants, EveryMutant,
                         ::testing::Range(1, static_cast<int>(Mutant::kCount)), [](const auto& p) {
                           std::string name(Name(static_cast<Mutant>(p.param)));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace spillway::sim
