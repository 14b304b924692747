#include "plan/price.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "plan/items.h"
#include "plan/snapshot_builder.h"

namespace spillway::plan {
namespace {

class PriceTest : public testing::Test {
 protected:
  PriceTest() {
    SnapshotBuilder builder;
    ProviderFacts& facts = builder.Provider("p");
    facts.billing.meter_stops = BillingTerms::MeterStop::kDeleteAccepted;
    facts.times = {
        .boot_median = 4min, .boot_p90 = 6min, .delete_median = 1min, .delete_p90 = 2min};
    builder.Sells("p", "t", 1, Money::Euro(60));  // a euro a minute
    builder.MayRent("rules", {"a"});
    world_ = builder.Build();
    options_.wan_bytes_per_second = 100;
    options_.wipe_bytes_per_second = 1000;
  }
  Forecast Predict(const Load& load) const {
    const Index index(world_, options_);
    const Forecast forecast = MakeForecast(index, world_.policies[0], 0, load);
    EXPECT_EQ(ExpectedTotal(index, world_.policies[0], 0, load), forecast.WithTries());
    return forecast;
  }

  Deadlines Limits(const Load& load) const {
    const Index index(world_, options_);
    return MakeDeadlines(index, world_.policies[0], 0, load);
  }
  OfferTimes& Learned() { return world_.times[world_.offers[0].Key()]; }

  Snapshot world_;
  Options options_;
};

TEST_F(PriceTest, TheWholeRentalIsPaidInSteps) {
  const Forecast forecast =
      Predict({.run = 10min, .worst_run = 30min, .stage_bytes = 6000, .result_bytes = 3000});
  EXPECT_EQ(forecast.boot, 4min);
  EXPECT_EQ(forecast.stage, 60s);
  EXPECT_EQ(forecast.run, 10min);
  EXPECT_EQ(forecast.give_back, 30s);
  EXPECT_EQ(forecast.wipe, 18s);  // written once, read once
  EXPECT_EQ(forecast.paid, 16min);
  EXPECT_EQ(forecast.compute, Money::Euro(16));
  EXPECT_EQ(forecast.total, Money::Euro(16));
  // 12m slow boot + 3m + 30m + 1m30s + 54s = 47m24s
  EXPECT_EQ(forecast.worst_case, Money::Euro(48));
}

TEST_F(PriceTest, ABootIsAsLongAsItWasLearnedForItsOffer) {
  const Load load{.run = 10min, .worst_run = 10min};
  const Money before = Predict(load).worst_case;
  world_.times["somebody/else"].boot = {20min, 30min, 9};
  EXPECT_EQ(Predict(load).boot, 4min);
  EXPECT_EQ(Limits(load).boot, 18min);
  Learned().boot = {5min, 10min, 9};
  EXPECT_EQ(Predict(load).boot, 5min);
  EXPECT_EQ(Predict(load).worst_case, before + Money::Euro(8));  // 20 minutes, not 12
  EXPECT_EQ(Limits(load).boot, 30min);
  Learned().boot = {30s, 1min, 9};
  EXPECT_EQ(Limits(load).boot, 5min) << "no haste";
}

TEST_F(PriceTest, JoiningAndStartingArePaidBeforeItComputes) {
  const Load load{.run = 10min, .worst_run = 10min};
  const Money before = Predict(load).total, worst = Predict(load).worst_case;
  EXPECT_EQ(Limits(load).join, 0s);
  EXPECT_EQ(Limits(load).start, 0s);
  Learned().join = {1min, 3min, 9};
  Learned().start = {2min, 20min, 9};
  EXPECT_EQ(Predict(load).boot, 5min);
  EXPECT_EQ(Predict(load).start, 2min);
  EXPECT_EQ(Predict(load).total, before + Money::Euro(3));
  EXPECT_EQ(Predict(load).worst_case, worst + Money::Euro(6 + 40));
  EXPECT_EQ(Limits(load).boot, 27min);
  EXPECT_EQ(Limits(load).join, 9min);
  EXPECT_EQ(Limits(load).start, 60min);
  Learned().start = {1s, 2s, 9};
  EXPECT_EQ(Limits(load).start, 30min) << "the next image may be larger";
}

TEST_F(PriceTest, DataComesAsFastAsItCameBefore) {
  const Load load{.run = 10min, .worst_run = 10min, .stage_bytes = 60'000};
  EXPECT_EQ(Predict(load).stage, 10min);
  Learned().stage = {30s, 1min, 9};
  EXPECT_EQ(Predict(load).stage, 10min + 30s);
  EXPECT_EQ(Limits(load).stage, 33min);
  Learned().stage_rate = {1000, 50, 9};
  EXPECT_EQ(Predict(load).stage, 90s);
  EXPECT_EQ(Predict(load).give_back, 0s);
  EXPECT_EQ(Limits(load).stage, 63min);  // 21 minutes on a slow one
}

TEST_F(PriceTest, WhatFailsFirstIsExpectedToBePaid) {
  const Load load{.run = 10min, .worst_run = 10min};
  const Forecast before = Predict(load);
  Learned().tries = {3, 15, 4min, 2min};
  const Forecast after = Predict(load);
  EXPECT_EQ(after.total, before.total) << "each failed one is booked by itself";
  EXPECT_EQ(after.worst_case, before.worst_case);
  EXPECT_EQ(after.failed_tries, Money::Euro(2));
  const Index index(world_, options_);
  EXPECT_EQ(StartsIn(after, index.offers[0]), 8min);
  EXPECT_EQ(StartsIn(before, index.offers[0]), StartsIn(after, index.offers[0]));
}

TEST_F(PriceTest, AMeterThatRunsUntilGonePaysForTheDelete) {
  world_.facts[0].billing.meter_stops = BillingTerms::MeterStop::kGone;
  EXPECT_EQ(Predict({.run = 10min, .worst_run = 10min}).paid, 15min);
}

TEST_F(PriceTest, AClockHourThatIsTouchedIsPaid) {
  world_.facts[0].billing.step = 1h;
  world_.facts[0].billing.clock_aligned = true;
  world_.now = *ParseTime("2026-11-24T14:55:00Z");
  EXPECT_EQ(Predict({.run = 5min, .worst_run = 5min}).paid, 2h);
  world_.now = *ParseTime("2026-11-24T14:00:00Z");
  EXPECT_EQ(Predict({.run = 5min, .worst_run = 5min}).paid, 1h);
  // The worst case reckons with a start that touches one hour more.
  EXPECT_EQ(Predict({.run = 5min, .worst_run = 5min}).worst_case, Money::Euro(120));
}

TEST_F(PriceTest, SideObjectsAndEgress) {
  world_.facts[0].side_objects = {{"disk", Money::Euro(1), false},
                                  {"address", Money::Euro(2), false}};
  world_.facts[0].egress_per_gib = Money::Euro(1);
  options_.wan_bytes_per_second = std::int64_t{1} << 40;
  options_.wipe_bytes_per_second = std::int64_t{1} << 40;
  const Forecast forecast =
      Predict({.run = 16min, .worst_run = 16min, .result_bytes = std::int64_t{3} << 29});
  EXPECT_EQ(forecast.egress, Money::Micro(1'500'000));
  EXPECT_GE(forecast.side_objects, Money::Euro(1));  // 3 euro an hour for 20 minutes
  EXPECT_LT(forecast.side_objects, Money::Micro(1'001'000));
  EXPECT_EQ(forecast.total, forecast.compute + forecast.side_objects + forecast.egress);
}

TEST_F(PriceTest, WhatThePolicyWipesIsPaidFor) {
  world_.offers[0].allocatable.ephemeral_bytes = 100'000;
  const Load load{.run = 1min, .worst_run = 1min, .stage_bytes = 1000, .result_bytes = 1000};
  EXPECT_EQ(Predict(load).wipe, 4s);
  world_.policies[0].verify = WipeCheck::kSample;
  EXPECT_EQ(Predict(load).wipe, 2s);
  world_.policies[0].overwrite = Overwrite::kWhole;
  EXPECT_EQ(Predict(load).wipe, 100s);
}

TEST_F(PriceTest, TheWorstCaseIsBoundByLimitThenExpectationThenLifetime) {
  Workload workload;
  const Policy policy{.lifetime = 5h};
  EXPECT_EQ(WorstRun(workload, policy), 5h);
  EXPECT_EQ(ExpectedRun(workload, options_), options_.unknown_run);
  workload.expected_duration = 1h;
  EXPECT_EQ(WorstRun(workload, policy), 3h);
  EXPECT_EQ(ExpectedRun(workload, options_), 1h);
  workload.hard_limit = 90min;
  EXPECT_EQ(WorstRun(workload, policy), 90min);
  workload.hard_limit = 30min;
  EXPECT_EQ(ExpectedRun(workload, options_), 30min);
  workload.hard_limit = 9h;
  EXPECT_EQ(WorstRun(workload, policy), 5h);
}

TEST_F(PriceTest, DeadlinesHaveFloorsAndScale) {
  const Index index(world_, options_);
  const Deadlines few = MakeDeadlines(index, world_.policies[0], 0, {});
  EXPECT_EQ(few.boot, 18min);
  EXPECT_EQ(few.stage, 10min);
  EXPECT_EQ(few.give_back, 10min);
  EXPECT_EQ(few.lifetime, world_.policies[0].lifetime);
  const Deadlines many =
      MakeDeadlines(index, world_.policies[0], 0, {.stage_bytes = 60'000, .result_bytes = 120'000});
  EXPECT_EQ(many.stage, 30min);
  EXPECT_EQ(many.give_back, 60min);
}

TEST(Bundle, LongestRunEveryInputOnceAllResults) {
  SnapshotBuilder builder;
  builder.MayRent("rules", {"a"});
  for (const auto& [name, minutes, source] :
       {std::tuple("j1", 5, "x"), std::tuple("j2", 9, "x"), std::tuple("j3", 7, "y")}) {
    Workload& workload = builder.Waits("a", name, 1, GpuShape(1));
    workload.expected_duration = std::chrono::minutes(minutes);
    workload.data_class_source = source;
    workload.input_bytes = 100;
    workload.output_bytes_guess = 10;
  }
  const Snapshot world = builder.Build();
  const Options options;
  const Index index(world, options);
  ItemMaker maker(index);
  std::vector<Item> items;
  for (int pod = 0; pod < 3; ++pod) items.push_back(maker.Make(pod, 0));
  SortForPacking(index, items);
  EXPECT_EQ(items[0].run, 9min);
  EXPECT_EQ(items[2].run, 5min);
  const Bundle bundle = BundleOf(index, items, 0, 3);
  EXPECT_EQ(bundle.load.run, 9min);
  EXPECT_EQ(bundle.load.worst_run, 27min);
  EXPECT_EQ(bundle.load.stage_bytes, 200);
  EXPECT_EQ(bundle.load.result_bytes, 30);
  EXPECT_EQ(bundle.requests.gpus, 3);
}

TEST(Bundle, ShardsAddUpToWhatTheyWereCutFrom) {
  SnapshotBuilder builder;
  builder.MayRent("rules", {"a"});
  Workload& workload = builder.Waits("a", "gang", 4, GpuShape(1));
  workload.data_class_source = "x";
  workload.input_bytes = 100;
  workload.shard_bytes = 1000;
  Snapshot world = builder.Build();
  for (std::size_t pod = 0; pod < 3; ++pod) world.pods[pod].shards = fmt::format("in={}/3", pod);
  const Options options;
  const Index index(world, options);
  ItemMaker maker(index);
  std::vector<Item> items;
  for (int pod = 0; pod < 4; ++pod) items.push_back(maker.Make(pod, 0));
  EXPECT_EQ(items[0].kind, items[1].kind) << "they cost the same";
  EXPECT_EQ(BundleOf(index, items, 0, 1).load.stage_bytes, 1100);
  EXPECT_EQ(BundleOf(index, items, 1, 2).load.stage_bytes, 2100);
  EXPECT_EQ(BundleOf(index, items, 0, 4).load.stage_bytes, 3100) << "the last one reads no shard";
}

}  // namespace
}  // namespace spillway::plan
