#include <gtest/gtest.h>

#include "model/ledger.h"
#include "model/plan.h"
#include "model/snapshot.h"

namespace spillway {
namespace {

Time At(std::string_view text) {
  return *ParseTime(text);
}

TEST(Meter, ClockHourPaysBothHours) {
  BillingTerms terms{.step = 1h, .clock_aligned = true};
  const Metered m =
      Meter(terms, Money::Cents(280), At("2026-11-24T14:55:00Z"), At("2026-11-24T15:05:00Z"));
  EXPECT_EQ(m.paid, 2h);
  EXPECT_EQ(m.cost, Money::Cents(560));
}

TEST(Meter, StepsRoundUpAndTheMinimumHolds) {
  BillingTerms terms{.step = 1min};
  EXPECT_EQ(
      Meter(terms, Money::Euro(1), At("2026-11-24T00:00:00Z"), At("2026-11-24T00:00:01Z")).paid,
      1min);
  EXPECT_EQ(
      Meter(terms, Money::Euro(1), At("2026-11-24T00:00:00Z"), At("2026-11-24T00:01:01Z")).paid,
      2min);
  terms.minimum = 1h;
  EXPECT_EQ(
      Meter(terms, Money::Euro(1), At("2026-11-24T00:00:00Z"), At("2026-11-24T00:00:01Z")).paid,
      1h);
  // A clock that went back never makes a negative bill.
  EXPECT_EQ(
      Meter(terms, Money::Euro(1), At("2026-11-24T00:10:00Z"), At("2026-11-24T00:00:00Z")).paid,
      1h);
}

TEST(Selector, OperatorsBehaveAsInKubernetes) {
  const Labels labels = {{"gpu", "A100"}, {"mem", "81920"}};
  using enum SelectorOperator;
  EXPECT_TRUE(Matches(Requirement{"gpu", kIn, {"H100", "A100"}}, labels));
  EXPECT_FALSE(Matches(Requirement{"gpu", kNotIn, {"A100"}}, labels));
  EXPECT_TRUE(Matches(Requirement{"zone", kNotIn, {"x"}}, labels));
  EXPECT_TRUE(Matches(Requirement{"mem", kGt, {"40000"}}, labels));
  EXPECT_FALSE(Matches(Requirement{"mem", kLt, {"40000"}}, labels));
  EXPECT_FALSE(Matches(Requirement{"gpu", kGt, {"1"}}, labels));
  EXPECT_TRUE(Matches(Requirement{"zone", kDoesNotExist, {}}, labels));
  EXPECT_FALSE(Matches(SelectorTerm{}, labels, "n"));
  EXPECT_TRUE(Matches(SelectorTerm{{}, {{"metadata.name", kIn, {"n"}}}}, labels, "n"));
}

TEST(Toleration, EmptyKeyWithExistsToleratesEverything) {
  const Taint taint{"spillway.dev/burst", "bn-1", TaintEffect::kNoSchedule};
  EXPECT_TRUE(Tolerates({Toleration{.exists = true}}, taint));
  EXPECT_FALSE(Tolerates({Toleration{.key = "spillway.dev/burst", .value = "bn-2"}}, taint));
  EXPECT_TRUE(Tolerates({Toleration{.key = "spillway.dev/burst", .value = "bn-1"}}, taint));
  EXPECT_FALSE(Tolerates({Toleration{.key = "spillway.dev/burst",
                                     .exists = true,
                                     .any_effect = false,
                                     .effect = TaintEffect::kNoExecute}},
                         taint));
}

TEST(Resources, ZeroRequestFitsAnOvercommittedNode) {
  Resources have{.cpu_milli = -5, .gpus = 1};
  EXPECT_TRUE(have.Covers(Resources{.gpus = 1}));
  EXPECT_EQ(have.FirstShortage(Resources{.gpus = 2}), "nvidia.com/gpu");
  Resources fpga{.extended = {{"x.com/fpga", 2}}};
  Resources one{.extended = {{"x.com/fpga", 1}}};
  fpga -= one;
  EXPECT_TRUE(fpga.Covers(one));
  fpga -= one;
  EXPECT_FALSE(fpga.Covers(one));
}

TEST(Names, RoundTrip) {
  for (int i = 0; i <= static_cast<int>(Phase::kGone); ++i)
    EXPECT_EQ(PhaseFrom(Name(static_cast<Phase>(i))), static_cast<Phase>(i));
  for (int i = 0; i <= static_cast<int>(Failure::kGangFailed); ++i)
    EXPECT_EQ(FailureFrom(Name(static_cast<Failure>(i))), static_cast<Failure>(i));
}

}  // namespace
}  // namespace spillway
