#include "clouds/simulated/cloud_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace spillway::simulated {
namespace {

using ports::InstanceState;

const Time kStart{std::chrono::hours{24 * 365 * 50}};

CloudGoods Goods() {
  CloudGoods goods;
  goods.facts.id = goods.facts.name = "testcloud";
  goods.facts.billing.step = 1min;
  goods.facts.side_objects = {{"disk", Money::Cents(2), false}, {"port", Money::Cents(1), true}};
  goods.facts.times = {60s, 120s, 20s, 40s};
  Offer offer;
  offer.provider = "p";
  offer.region = "r1";
  offer.instance_type = "gpu-1";
  offer.stock = Stock::kAvailable;
  offer.price_per_hour = Money::Euro(3);
  goods.offers.push_back(offer);
  offer.instance_type = "gpu-2";
  offer.stock = Stock::kUnknown;
  goods.offers.push_back(offer);
  offer.instance_type = "gpu-scarce";
  offer.stock = Stock::kScarce;
  goods.offers.push_back(offer);
  return goods;
}

CloudOptions Options(CloudGoods goods, CloudFaults faults = {}) {
  CloudOptions options;
  options.goods = std::make_shared<const CloudGoods>(std::move(goods));
  options.faults = std::move(faults);
  return options;
}

ports::InstanceSpec Spec(std::string name, std::string type = "gpu-1") {
  ports::InstanceSpec spec;
  spec.name = std::move(name);
  spec.cluster_id = "c1";
  spec.region = "r1";
  spec.instance_type = std::move(type);
  return spec;
}

// Deletes until complete, a pass every 5 s; returns when it was, or kNever after `limit`.
Time DeleteAll(CloudModel& cloud, Time now, const std::string& id, const std::string& name,
               Duration limit = 2h) {
  for (Time t = now; t < now + limit; t += 5s) {
    const auto progress = cloud.Delete(t, id, name, "c1");
    if (progress && progress->Complete()) return t;
  }
  return kNever;
}

TEST(CloudModel, BootsRunsAndIsGoneWithEverything) {
  CloudModel cloud(Options(Goods()));
  const auto created = cloud.Create(kStart, Spec("bn-1"));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->state, InstanceState::kCreating);
  EXPECT_EQ(created->side_objects.size(), 2u);
  EXPECT_TRUE(created->side_objects[0].id.starts_with("bn-1/disk"));

  const Machine machine = cloud.machines()[0];
  EXPECT_FALSE(machine.PoweredAt(machine.running - 1ms));
  EXPECT_TRUE(machine.PoweredAt(machine.running));
  const auto list = cloud.List(machine.running, "c1");
  ASSERT_TRUE(list);
  ASSERT_EQ(list->instances.size(), 1u);
  EXPECT_EQ(list->instances[0].state, InstanceState::kRunning);
  EXPECT_TRUE(cloud.List(machine.running, "other")->instances.empty());

  const Time start = machine.running + 10min;
  const auto first = cloud.Delete(start, machine.id, "bn-1", "c1");
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->accepted);
  EXPECT_FALSE(first->instance_gone);
  const Time gone = cloud.machines()[0].gone;
  // The disk survives and shows up as a stray until a later pass.
  EXPECT_EQ(cloud.List(gone, "c1")->stray.size(), 1u);
  EXPECT_NE(DeleteAll(cloud, gone, machine.id, "bn-1"), kNever);
  EXPECT_TRUE(cloud.Left(gone).None());
}

TEST(CloudModel, MeterFollowsTermsAndCountsStrays) {
  CloudGoods goods = Goods();
  goods.facts.billing.step = 1h;
  goods.facts.billing.clock_aligned = true;
  goods.facts.billing.meter_starts = BillingTerms::MeterStart::kRunning;
  goods.facts.billing.meter_stops = BillingTerms::MeterStop::kDeleteAccepted;
  CloudModel cloud(Options(std::move(goods)));
  ASSERT_TRUE(cloud.Create(kStart + 50min, Spec("bn-1")));
  const Machine machine = cloud.machines()[0];
  EXPECT_EQ(cloud.Invoice(machine.running - 1ms).size(), 2u);  // disk and port only

  const Time accepted = kStart + 65min;
  ASSERT_TRUE(cloud.Delete(accepted, machine.id, "bn-1", "c1"));
  const Time later = kStart + 5h;
  const auto lines = cloud.Invoice(later);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].stop, accepted);
  EXPECT_EQ(lines[0].paid, 2h);
  EXPECT_EQ(lines[0].cost, Money::Euro(6));
  const auto disk = std::find_if(lines.begin(), lines.end(),
                                 [](const InvoiceLine& line) { return line.kind == "disk"; });
  ASSERT_NE(disk, lines.end());
  EXPECT_TRUE(disk->open);
  EXPECT_EQ(disk->paid, 5h);
  Money sum;
  for (const InvoiceLine& line : lines) sum += line.cost;
  EXPECT_EQ(sum, cloud.InvoiceTotal(later));
}

TEST(CloudModel, TwoPhaseCreateNeedsResume) {
  CloudGoods goods = Goods();
  goods.facts.create_phases = 2;
  CloudModel cloud(Options(std::move(goods)));
  const auto created = cloud.Create(kStart, Spec("bn-1"));
  ASSERT_TRUE(created);
  EXPECT_EQ(cloud.Resume(kStart, created->id).error().code, Code::kUnavailable);
  const Time stopped = cloud.machines()[0].stopped;
  EXPECT_EQ(cloud.List(stopped, "c1")->instances[0].state, InstanceState::kStopped);
  EXPECT_EQ(cloud.List(stopped + 24h, "c1")->instances[0].state, InstanceState::kStopped);
  ASSERT_TRUE(cloud.Resume(stopped + 24h, created->id));
  ASSERT_TRUE(cloud.Resume(stopped + 24h, created->id));
  const Time running = cloud.machines()[0].running;
  EXPECT_GT(running, stopped + 24h);
  EXPECT_EQ(cloud.List(running, "c1")->instances[0].state, InstanceState::kRunning);
  EXPECT_EQ(cloud.Resume(running, "i-000099").error().code, Code::kNotFound);
}

TEST(CloudModel, TwoPhaseDeleteStopsFirst) {
  CloudGoods goods = Goods();
  goods.facts.delete_phases = 2;
  CloudModel cloud(Options(std::move(goods)));
  ASSERT_TRUE(cloud.Create(kStart, Spec("bn-1")));
  const Time running = cloud.machines()[0].running;
  const auto first = cloud.Delete(running, "i-000001", "bn-1", "c1");
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->accepted);  // only stopping
  EXPECT_FALSE(cloud.machines()[0].PoweredAt(running + 1ms));
  EXPECT_EQ(cloud.List(running + 1ms, "c1")->instances[0].state, InstanceState::kDeleting);
  EXPECT_EQ(cloud.List(running + 24h, "c1")->instances.size(), 1u);  // never goes by itself
  EXPECT_NE(DeleteAll(cloud, running + 24h, "i-000001", "bn-1"), kNever);
  EXPECT_TRUE(cloud.Left(running + 26h).None());
}

TEST(CloudModel, DeleteRefusedWhileProvisioning) {
  CloudGoods goods = Goods();
  goods.facts.delete_refused_while_creating = true;
  CloudModel cloud(Options(std::move(goods)));
  ASSERT_TRUE(cloud.Create(kStart, Spec("bn-1")));
  const auto refused = cloud.Delete(kStart, "i-000001", "bn-1", "c1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_GE(DeleteAll(cloud, kStart, "i-000001", "bn-1"), cloud.machines()[0].running);
}

TEST(CloudModel, CapacityFailsAtOnceOrAfterAccepting) {
  CloudFaults faults;
  faults.no_capacity = {"r1/gpu-1"};
  CloudModel cloud(Options(Goods(), faults));
  ASSERT_TRUE(cloud.Create(kStart, Spec("bn-1")));
  const auto list = cloud.List(kStart + 10s, "c1");
  ASSERT_EQ(list->instances[0].state, InstanceState::kError);
  EXPECT_EQ(list->instances[0].fault->code, Code::kCapacity);

  // Stock that is announced runs out at once; stock that is not, after accepting.
  int accepted = 0;
  std::optional<Error> error;
  for (int i = 0; i < 4 && !error; ++i) {
    const auto made = cloud.Create(kStart, Spec("s-" + std::to_string(i), "gpu-scarce"));
    if (made) ++accepted;
    if (!made) error = made.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, Code::kCapacity);
  EXPECT_LE(accepted, 2);
  EXPECT_EQ(cloud.StockOf(2, kStart), Stock::kNone);
  for (int i = 0; i < 13; ++i) {
    ASSERT_TRUE(cloud.Create(kStart, Spec("u-" + std::to_string(i), "gpu-2")));
  }
  EXPECT_EQ(cloud.machines().back().fault, Code::kCapacity);
  EXPECT_NE(cloud.machines().back().failed, kNever);
}

TEST(CloudModel, LostRepliesHaveTheirEffect) {
  CloudFaults faults;
  faults.lose_replies = 1;
  CloudModel cloud(Options(Goods(), faults));
  EXPECT_EQ(cloud.Create(kStart, Spec("bn-1")).error().code, Code::kMaybeApplied);
  EXPECT_EQ(cloud.List(kStart, "c1")->instances.size(), 1u);
  // Names are not unique here: asking again is the mistake that doubles.
  EXPECT_TRUE(cloud.Create(kStart, Spec("bn-1")));
  EXPECT_EQ(cloud.List(kStart, "c1")->instances.size(), 2u);

  faults = {};
  faults.create_late = 1000;
  faults.list_stale = 1000;
  faults.list_lag = 30s;
  CloudModel late(Options(Goods(), faults));
  EXPECT_EQ(late.Create(kStart, Spec("bn-1")).error().code, Code::kMaybeApplied);
  EXPECT_TRUE(late.List(kStart, "c1")->instances.empty());
  EXPECT_EQ(late.Left(kStart).machines, 1);
  EXPECT_EQ(late.List(kStart + 20s + 60s, "c1")->instances.size(), 1u);
}

TEST(CloudModel, IgnoredDeletesMustBeAskedAgain) {
  CloudFaults faults;
  faults.delete_ignored = 600;
  faults.side_refused = 500;
  faults.side_survives = 500;
  faults.delete_lost_after = 200;
  faults.delete_lost_before = 200;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CloudOptions options = Options(Goods(), faults);
    options.seed = seed;
    CloudModel cloud(std::move(options));
    ASSERT_TRUE(cloud.Create(kStart, Spec("bn-1")));
    const Time done = DeleteAll(cloud, kStart + 10min, "i-000001", "bn-1");
    ASSERT_NE(done, kNever) << "seed " << seed;
    EXPECT_TRUE(cloud.Left(done).None()) << "seed " << seed;
  }
}

TEST(CloudModel, DeleteNeverTouchesAnotherName) {
  CloudModel cloud(Options(Goods()));
  ASSERT_TRUE(cloud.Create(kStart, Spec("bn-1")));
  EXPECT_EQ(cloud.Delete(kStart, "i-000001", "bn-2", "c1").error().code, Code::kInvalid);
  EXPECT_EQ(cloud.Delete(kStart, "i-000001", "bn-1", "c2").error().code, Code::kInvalid);
  const auto absent = cloud.Delete(kStart, "i-000777", "bn-1", "c1");
  ASSERT_TRUE(absent);
  EXPECT_TRUE(absent->Complete());  // and the disk of the living machine was not taken
  EXPECT_EQ(cloud.Left(kStart).side_objects, 2);
}

TEST(CloudModel, ScriptedDeathAndPowerOff) {
  CloudFaults faults;
  faults.die_after = 90s;
  CloudModel cloud(Options(Goods(), faults));
  ASSERT_TRUE(cloud.Create(kStart, Spec("bn-1")));
  ASSERT_TRUE(cloud.Create(kStart, Spec("bn-2")));
  const Machine& first = cloud.machines()[0];
  EXPECT_TRUE(first.PoweredAt(first.running + 89s));
  EXPECT_FALSE(first.PoweredAt(first.running + 90s));
  EXPECT_TRUE(first.Exists(first.running + 24h));  // and goes on costing
  const Machine& second = cloud.machines()[1];
  EXPECT_TRUE(second.PoweredAt(second.running + 24h));
  cloud.PowerOff(second.running + 1h, second.id);
  EXPECT_FALSE(second.PoweredAt(second.running + 1h));
  EXPECT_EQ(second.StateAt(second.running + 1h), InstanceState::kOff);
  EXPECT_EQ(first.StateAt(first.running + 90s), InstanceState::kRunning) << "it died unseen";
}

TEST(CloudModel, QuotaOutageThrottling) {
  CloudFaults faults;
  faults.outages = {{kStart + 1h, kStart + 2h}};
  CloudOptions options = Options(Goods(), faults);
  options.quota = 1;
  options.unique_names = true;
  CloudModel cloud(options);
  ASSERT_TRUE(cloud.Preflight(kStart));
  ASSERT_TRUE(cloud.Create(kStart, Spec("bn-1")));
  EXPECT_EQ(cloud.Create(kStart, Spec("bn-1")).error().code, Code::kConflict);
  EXPECT_EQ(cloud.Create(kStart, Spec("bn-2")).error().code, Code::kQuota);
  EXPECT_EQ(cloud.Preflight(kStart).error().code, Code::kQuota);
  EXPECT_EQ(cloud.List(kStart + 1h, "c1").error().code, Code::kUnavailable);
  EXPECT_TRUE(cloud.List(kStart + 2h, "c1"));
  EXPECT_EQ(cloud.Create(kStart, Spec("bn-3", "none")).error().code, Code::kInvalid);
  EXPECT_EQ(cloud.Create(kStart, Spec("Bad_Name")).error().code, Code::kInvalid);
  options.faults.throttled = 1000;
  CloudModel busy(options);
  EXPECT_TRUE(busy.List(kStart, "c1").error().retry_after.has_value());
}

TEST(CloudModel, StateSurvivesEncodeAndContinuesEqually) {
  CloudFaults faults;
  faults.dies = 300;
  faults.create_lost_after = 300;
  faults.delete_ignored = 300;
  faults.list_stale = 300;
  faults.list_lag = 20s;
  const CloudOptions options = Options(Goods(), faults);
  CloudModel whole(options);
  CloudModel restarted(options);
  for (int i = 0; i < 30; ++i) {
    const Time now = kStart + std::chrono::seconds(i * 20);
    auto again = CloudModel::Decode(options, ParseJson(CanonicalJson(restarted.Encode())).value());
    ASSERT_TRUE(again) << again.error().message;
    restarted = std::move(*again);
    for (CloudModel* cloud : {&whole, &restarted}) {
      if (i % 3 == 0) (void)cloud->Create(now, Spec("bn-" + std::to_string(i)));
      if (i % 5 == 4) (void)cloud->Delete(now, "i-000001", "bn-0", "c1");
      (void)cloud->List(now, "c1");
    }
    ASSERT_EQ(CanonicalJson(whole.Encode()), CanonicalJson(restarted.Encode())) << "step " << i;
  }
  EXPECT_GT(whole.machines().size(), 3u);
  json::value broken = whole.Encode();
  broken.as_object()["nextNumber"] = 1;
  EXPECT_EQ(CloudModel::Decode(options, broken).error().code, Code::kCorrupt);
}

TEST(CloudModel, ForgetKeepsWhatStillCosts) {
  CloudModel cloud(Options(Goods()));
  for (int i = 0; i < 4; ++i) {
    const std::string name = "bn-" + std::to_string(i);
    const auto made = cloud.Create(kStart, Spec(name));
    ASSERT_TRUE(made);
    if (i == 2) continue;
    ASSERT_NE(DeleteAll(cloud, kStart + 10min, made->id, name), kNever);
  }
  cloud.Forget(kStart + 1h, 1);
  ASSERT_EQ(cloud.machines().size(), 1u);
  EXPECT_EQ(cloud.machines()[0].name, "bn-2");
  EXPECT_NE(DeleteAll(cloud, kStart + 1h, "i-000003", "bn-2"), kNever);
  EXPECT_EQ(cloud.Create(kStart + 2h, Spec("bn-9"))->id, "i-000005");
}

TEST(CloudModel, DrawnDurationsHaveTheirQuantiles) {
  Rng rng(7);
  std::vector<Duration> drawn;
  for (int i = 0; i < 10000; ++i) drawn.push_back(DrawDuration(60s, 180s, rng));
  std::sort(drawn.begin(), drawn.end());
  EXPECT_NEAR(static_cast<double>(drawn[5000].count()), 60'000.0, 3000.0);
  EXPECT_NEAR(static_cast<double>(drawn[9000].count()), 180'000.0, 9000.0);
  EXPECT_GT(drawn.front(), 5s);
  EXPECT_GT(drawn.back(), 300s);
}

}  // namespace
}  // namespace spillway::simulated
