#include <gtest/gtest.h>

#include "model/decode.h"
#include "model/ledger.h"
#include "model/plan.h"
#include "model/shards.h"
#include "model/snapshot.h"
#include "model/text.h"

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

// "Ready=True 08:00:04" of one condition; empty if there is none.
std::string Condition(const BurstNode& node, std::string_view type) {
  const json::value object = EncodeBurstNode(node);
  for (const json::value& c : object.at("status").at("conditions").as_array())
    if (StringOr(c, "type", "") == type)
      return std::string(StringOr(c, "status", "")) + " " + std::string(StringOr(c, "reason", "")) +
             " " + std::string(StringOr(c, "lastTransitionTime", "").substr(11, 8));
  return {};
}

TEST(BurstNodeConditions, ChangeTheirTimeOnlyWithTheirStatus) {
  const Time start = *ParseTime("2026-11-24T08:00:00.500Z");
  BurstNode node;
  node.created_at = start;
  std::vector<std::string> ready, gone;
  for (int i = 0; i <= static_cast<int>(Phase::kGone); ++i) {
    node.phase = static_cast<Phase>(i);
    node.phase_since = start + std::chrono::seconds(i);
    node.history.emplace_back(node.phase, node.phase_since);
    ready.push_back(Condition(node, "Ready"));
    gone.push_back(Condition(node, "Gone"));
  }
  EXPECT_EQ(ready, (std::vector<std::string>{"False Planned 08:00:00", "False Requested 08:00:00",
                                             "False Provisioned 08:00:00", "True Joined 08:00:03",
                                             "True Staged 08:00:03", "True Running 08:00:03",
                                             "True Returning 08:00:03", "False Wiping 08:00:07",
                                             "False Deleting 08:00:07", "False Gone 08:00:07"}));
  EXPECT_EQ(gone.front(), "False MeterMayRun 08:00:00");
  EXPECT_EQ(gone[8], gone.front());
  EXPECT_EQ(gone.back(), "True NothingLeft 08:00:09");
  EXPECT_EQ(Condition(node, "Failed"), "");
}

TEST(BurstNodeConditions, AFailureSaysWhy) {
  BurstNode node;
  node.phase = Phase::kDeleting;
  node.failure = Failure::kBootTimeout;
  node.created_at = *ParseTime("2026-11-24T08:00:00Z");
  node.phase_since = node.created_at + 5s;
  node.history = {{Phase::kPlanned, node.created_at}, {Phase::kDeleting, node.phase_since}};
  EXPECT_EQ(Condition(node, "Failed"), "True BootTimeout 08:00:05");
  EXPECT_EQ(Condition(node, "Ready"), "False Deleting 08:00:05");
}

TEST(Text, MoneyIsRoundedToCents) {
  EXPECT_EQ(RoundedMoney(Money::Micro(6'151'156)), "6.15 EUR");
  EXPECT_EQ(RoundedMoney(Money::Micro(1'005'000)), "1.01 EUR");
  EXPECT_EQ(RoundedMoney(Money()), "0.00 EUR");
  EXPECT_EQ(RoundedMoney(Money::Micro(-1'005'000)), "-1.01 EUR");
}

TEST(Shards, AreReadAsTheyAreWritten) {
  using Claims = std::vector<ShardedClaim>;
  EXPECT_EQ(*ParseShards("digits=4"), (Claims{{"digits", 4}}));
  EXPECT_EQ(*ParseShards("digits=1; more=10000;"), (Claims{{"digits", 1}, {"more", 10'000}}));
  EXPECT_EQ(ParseShards("").error().message, "is empty");
  EXPECT_EQ(ParseShards("digits").error().message, "\"digits\" has no =");
  EXPECT_EQ(ParseShards("=4").error().message, "\"=4\" names no claim");
  EXPECT_EQ(ParseShards("a=2;a=3").error().message, "claim a is named twice");
  EXPECT_EQ(ParseShards("a=1;b=1;c=1;d=1;e=1").error().message, "names more than 4 claims");
  for (const char* number : {"", "0", "-1", "10001", "4x", "1/4", " 4", "99999999999999999999"})
    EXPECT_EQ(ParseShards("a=" + std::string(number)).error().message,
              "\"" + std::string(number) + "\" is no number of shards for claim a");
}

TEST(BurstNode, APodThatComesLaterReadsWhatIsThere) {
  BurstNode node;
  EXPECT_TRUE(node.HasShards(""));
  EXPECT_FALSE(node.HasShards("a=0/2")) << "all of the input is another selection";
  node.shards = {"a=0/2", "a=1/2"};
  EXPECT_TRUE(node.HasShards("a=1/2"));
  EXPECT_FALSE(node.HasShards("a=1/4"));
  EXPECT_FALSE(node.HasShards("")) << "it wants all";
}

}  // namespace
}  // namespace spillway
