#include "plan/planner.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/snapshot_builder.h"

namespace spillway::plan {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

// A full site, one team that may rent, two providers.
class PlannerTest : public testing::Test {
 protected:
  PlannerTest() {
    builder_.SiteNode("site-1", 4);
    builder_.Runs("base", "load", "site-1", GpuShape(4));
    builder_.MayRent("rules", {"vision"});
    builder_.Provider("alpha");
    builder_.Provider("beta");
  }

  void MakeIt() {
    world_ = builder_.Build();
    plan_ = MakePlan(world_, options_);
  }

  const Decision& On(const std::string& workload) {
    for (const Decision& decision : plan_.decisions)
      if (world_.workloads[static_cast<std::size_t>(decision.workload)].key == workload)
        return decision;
    ADD_FAILURE() << "no decision on " << workload;
    static const Decision kNone;
    return kNone;
  }
  void Expect(const std::string& workload, Verdict verdict, Reason reason) {
    const Decision& decision = On(workload);
    EXPECT_EQ(Name(decision.verdict), Name(verdict)) << decision.sentence;
    EXPECT_EQ(Name(decision.reason), Name(reason)) << decision.sentence;
  }
  // "key x pods" of every rental.
  std::vector<std::string> Rentals() const {
    std::vector<std::string> list;
    for (const Rental& rental : plan_.rentals)
      list.push_back(world_.offers[static_cast<std::size_t>(rental.offer)].Key() + " x " +
                     std::to_string(rental.pods.size()));
    return list;
  }
  // Verdict on an offer by instance type in the explanation of a workload.
  OfferVerdict VerdictOn(const std::string& workload, const std::string& type) {
    const Decision& decision = On(workload);
    if (decision.explanation >= 0)
      for (const OfferVerdict& verdict :
           plan_.explanations[static_cast<std::size_t>(decision.explanation)].offers)
        if (world_.offers[static_cast<std::size_t>(verdict.offer)].instance_type == type)
          return verdict;
    ADD_FAILURE() << "no verdict on " << type;
    return {};
  }

  SnapshotBuilder builder_;
  Options options_;
  Snapshot world_;
  Plan plan_;
};
using Keys = std::vector<std::string>;

TEST_F(PlannerTest, WhatFitsTheSiteIsNotRentedFor) {
  builder_.SiteNode("site-2", 4);
  builder_.Sells("alpha", "a1", 1, Money::Euro(1));
  builder_.Waits("vision", "job", 2, GpuShape(1));
  MakeIt();
  Expect("vision/Job/job", Verdict::kFitsSite, Reason::kNone);
  EXPECT_TRUE(plan_.rentals.empty());
  EXPECT_EQ(VerdictOn("vision/Job/job", "a1").reason, OfferReason::kNotRented);
}

TEST_F(PlannerTest, PriorityThenAgeThenKeyDecideWhoGetsTheSite) {
  builder_.SiteNode("site-2", 1);
  builder_.Waits("vision", "c-old", 1, GpuShape(1)).waiting_since = SnapshotBuilder::Noon() - 1h;
  builder_.Waits("vision", "b-young", 1, GpuShape(1));
  builder_.Waits("vision", "a-young", 1, GpuShape(1));
  builder_.Waits("vision", "z-first", 1, GpuShape(1)).priority = 5;
  MakeIt();
  Keys order;
  for (const Decision& decision : plan_.decisions)
    order.push_back(world_.workloads[static_cast<std::size_t>(decision.workload)].key);
  EXPECT_EQ(order, (Keys{"vision/Job/z-first", "vision/Job/c-old", "vision/Job/a-young",
                         "vision/Job/b-young"}));
  Expect("vision/Job/z-first", Verdict::kFitsSite, Reason::kNone);
}

TEST_F(PlannerTest, ASweepIsPackedOntoTheCheapestRental) {
  builder_.Sells("alpha", "one", 1, Money::Cents(300));
  builder_.Sells("alpha", "four", 4, Money::Cents(1100));
  builder_.Sells("beta", "eight", 8, Money::Cents(1500));
  builder_.Waits("vision", "sweep", 4, GpuShape(1));
  MakeIt();
  EXPECT_EQ(Rentals(), Keys{"alpha/alpha-1/four x 4"});
  const Decision& decision = On("vision/Job/sweep");
  EXPECT_EQ(decision.verdict, Verdict::kRent);
  EXPECT_THAT(decision.sentence, HasSubstr("rents alpha/alpha-1/four for about 2.38 € (4 pods, 2m "
                                           "boot, 10m run): cheapest of 3 allowed offers"));
  EXPECT_EQ(decision.estimate, plan_.rentals[0].forecast.total);
  EXPECT_EQ(plan_.rentals[0].workload, "vision/Job/sweep");
  const OfferVerdict singles = VerdictOn("vision/Job/sweep", "one");
  EXPECT_EQ(singles.reason, OfferReason::kCostsMore);
  EXPECT_EQ(singles.detail, "4 instances");
  EXPECT_GT(*singles.total, plan_.rentals[0].forecast.total);
  EXPECT_EQ(VerdictOn("vision/Job/sweep", "four").reason, OfferReason::kChosen);
}

TEST_F(PlannerTest, FourEqualJobsShareAnInstanceAndAnExplanation) {
  builder_.Sells("alpha", "four", 4, Money::Cents(1100));
  for (const char* name : {"j1", "j2", "j3", "j4"}) builder_.Waits("vision", name, 1, GpuShape(1));
  MakeIt();
  EXPECT_EQ(Rentals(), Keys{"alpha/alpha-1/four x 4"});
  Money sum;
  for (const Decision& decision : plan_.decisions) {
    EXPECT_EQ(decision.explanation, plan_.decisions[0].explanation);
    EXPECT_EQ(decision.rentals, std::vector<std::int32_t>{0});
    sum += *decision.estimate;
  }
  EXPECT_GE(sum, plan_.rentals[0].forecast.total);
  EXPECT_LE(sum, plan_.rentals[0].forecast.total + Money::Micro(4));
}

TEST_F(PlannerTest, OnlyOneTeamAndOneClassShareAnInstance) {
  builder_.MayRent("nlp-rules", {"nlp"});
  builder_.Sells("alpha", "four", 4, Money::Cents(1100));
  builder_.Waits("vision", "public", 1, GpuShape(1));
  builder_.Waits("vision", "internal", 1, GpuShape(1)).data_class = DataClass::kInternal;
  builder_.Waits("nlp", "public", 1, GpuShape(1));
  MakeIt();
  EXPECT_EQ(plan_.rentals.size(), 3u);
}

TEST_F(PlannerTest, LabelsKeepPodsApart) {
  builder_.Sells("alpha", "a", 4, Money::Euro(9)).labels = {{"gpu", "A"}};
  builder_.Sells("alpha", "b", 4, Money::Euro(9)).labels = {{"gpu", "B"}};
  for (const char* gpu : {"A", "B"}) {
    PodShape shape = GpuShape(1);
    shape.node_selector = {{"gpu", gpu}};
    builder_.Waits("vision", std::string("job-") + gpu, 1, shape);
  }
  MakeIt();
  EXPECT_EQ(Rentals(), (Keys{"alpha/alpha-1/a x 1", "alpha/alpha-1/b x 1"}));
  EXPECT_EQ(VerdictOn("vision/Job/job-A", "b").reason, OfferReason::kLabels);
}

TEST_F(PlannerTest, EqualPricesTakeTheFirstKey) {
  builder_.Sells("beta", "x", 1, Money::Euro(1));
  builder_.Sells("alpha", "y", 1, Money::Euro(1));
  builder_.Waits("vision", "job", 1, GpuShape(1));
  MakeIt();
  EXPECT_EQ(Rentals(), Keys{"alpha/alpha-1/y x 1"});
}

TEST_F(PlannerTest, NothingIsRentedBeforeTheSchedulersVerdict) {
  builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Waits("vision", "job", 2, GpuShape(1));
  builder_.PodNamed("vision/job-1001").unschedulable = false;
  MakeIt();
  Expect("vision/Job/job", Verdict::kWait, Reason::kNone);
  EXPECT_TRUE(plan_.rentals.empty());
}

TEST_F(PlannerTest, RestrictedDataWaitsForTheSiteAndEveryOfferSaysSo) {
  builder_.MayRent("medical-rules", {"medical"}).data_classes = {DataClass::kRestricted};
  builder_.Sells("alpha", "one", 1, Money::Euro(1));
  Workload& workload = builder_.Waits("medical", "scan", 1, GpuShape(1));
  workload.data_class = DataClass::kRestricted;
  workload.data_class_source = "Dataset medical/scans";
  MakeIt();
  Expect("medical/Job/scan", Verdict::kRefuse, Reason::kDataClass);
  EXPECT_EQ(On("medical/Job/scan").sentence,
            "waits for the site: Dataset medical/scans is \"restricted\" and never leaves it");
  EXPECT_EQ(VerdictOn("medical/Job/scan", "one").reason, OfferReason::kNotRented);
  EXPECT_EQ(VerdictOn("medical/Job/scan", "one").detail, "data-class");
}

TEST_F(PlannerTest, WithoutAPolicyNothingLeaves) {
  builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Waits("other", "job", 1, GpuShape(1));
  MakeIt();
  Expect("other/Job/job", Verdict::kRefuse, Reason::kNoPolicy);
}

TEST_F(PlannerTest, ACheaperOfferAgainstTheLawIsNotLookedAt) {
  builder_.Provider("us").us_nexus = UsNexus::kOwner;
  builder_.Sells("us", "cheap", 1, Money::Cents(1));
  builder_.Sells("alpha", "one", 1, Money::Euro(3));
  builder_.Waits("vision", "job", 1, GpuShape(1));
  MakeIt();
  EXPECT_EQ(Rentals(), Keys{"alpha/alpha-1/one x 1"});
  const OfferVerdict verdict = VerdictOn("vision/Job/job", "cheap");
  EXPECT_EQ(verdict.reason, OfferReason::kUsNexus);
  EXPECT_EQ(verdict.total, std::nullopt);
}

TEST_F(PlannerTest, AGangTakesOneInstanceOrSeveralOfOneRegion) {
  builder_.Sells("alpha", "four", 4, Money::Euro(10));
  builder_.Sells("beta", "eight", 8, Money::Euro(19));
  builder_.Gang("vision", "gang", 2, GpuShape(4));
  MakeIt();
  EXPECT_EQ(Rentals(), Keys{"beta/beta-1/eight x 2"});
  EXPECT_EQ(plan_.rentals[0].gang, "vision/Job/gang");
  EXPECT_EQ(plan_.rentals[0].gang_size, 1);
}

TEST_F(PlannerTest, AGangStaysInOneRegion) {
  builder_.Sells("alpha", "four", 4, Money::Euro(10)).region = "r1";
  builder_.Sells("beta", "four", 4, Money::Euro(12)).region = "r2";
  builder_.Account("alpha").max_nodes = 1;
  builder_.Gang("vision", "gang", 2, GpuShape(4));
  MakeIt();
  EXPECT_EQ(Rentals(), (Keys{"beta/r2/four x 1", "beta/r2/four x 1"}));
  for (const Rental& rental : plan_.rentals) {
    EXPECT_EQ(rental.gang, "vision/Job/gang");
    EXPECT_EQ(rental.gang_size, 2);
  }
}

TEST_F(PlannerTest, AMachineThatIsGoneHoldsNoPlaceWhileItsKeyIsOwed) {
  const Offer one = builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Account("alpha").max_nodes = 1;
  BurstNode& node = builder_.Rented("bn-1", "rules", one);
  node.phase = Phase::kDeleting;
  node.key_owed_since = node.phase_since;
  node.instance_may_exist = true;
  builder_.Waits("vision", "job", 1, GpuShape(1));
  MakeIt();
  Expect("vision/Job/job", Verdict::kWait, Reason::kNodeLimit);
  world_.burst_nodes[0].instance_may_exist = false;
  for (int most : {1, 0}) {
    world_.policies[0].max_nodes = most;
    plan_ = MakePlan(world_, options_);
    EXPECT_EQ(plan_.rentals.size(), static_cast<std::size_t>(most));
  }
}

TEST_F(PlannerTest, AGangIsRentedForAsAWholeOrNotAtAll) {
  builder_.Sells("alpha", "four", 4, Money::Euro(10));
  builder_.Account("alpha").max_nodes = 2;
  builder_.Gang("vision", "gang", 3, GpuShape(4));
  MakeIt();
  Expect("vision/Job/gang", Verdict::kRefuse, Reason::kNoOfferFits);
  EXPECT_TRUE(plan_.rentals.empty());
}

TEST_F(PlannerTest, AGangWaitsForLimitsThatMayPass) {
  const Offer four = builder_.Sells("alpha", "four", 4, Money::Euro(10));
  builder_.Account("alpha").max_nodes = 2;
  builder_.Rented("bn-1", "other", four);
  builder_.Gang("vision", "gang", 2, GpuShape(4));
  MakeIt();
  Expect("vision/Job/gang", Verdict::kWait, Reason::kNodeLimit);
}

TEST_F(PlannerTest, PodsOfALiveBurstNodeAreOnTheirWay) {
  const Offer offer = builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Waits("vision", "job", 1, GpuShape(1));
  BurstNode& node = builder_.Rented("bn-1", "rules", offer);
  node.pods = {{"vision/job-1000", "uid-vision/job-1000"}};
  node.workload = "vision/Job/job";
  MakeIt();
  Expect("vision/Job/job", Verdict::kOnItsWay, Reason::kNone);
  EXPECT_EQ(On("vision/Job/job").burst_node, "bn-1");
  EXPECT_EQ(VerdictOn("vision/Job/job", "one").reason, OfferReason::kChosen);
  EXPECT_TRUE(plan_.rentals.empty());
  EXPECT_TRUE(plan_.admissions.empty());
}

TEST_F(PlannerTest, AFailedOrReturningBurstNodeHoldsNothing) {
  for (const bool failed : {true, false}) {
    SnapshotBuilder saved = builder_;
    const Offer offer = builder_.Sells("alpha", "one", 1, Money::Euro(1));
    builder_.Waits("vision", "job", 1, GpuShape(1));
    BurstNode& node = builder_.Rented("bn-1", "rules", offer);
    node.pods = {{"vision/job-1000", "uid-vision/job-1000"}};
    node.failure = failed ? Failure::kNodeLost : Failure::kNone;
    node.phase = failed ? Phase::kRunning : Phase::kReturning;
    MakeIt();
    Expect("vision/Job/job", Verdict::kRent, Reason::kNone);
    builder_ = saved;
  }
}

TEST_F(PlannerTest, AnotherUidIsAnotherPodAndIsAdmittedWhereThereIsRoom) {
  const Offer offer = builder_.Sells("alpha", "two", 2, Money::Euro(1));
  builder_.Waits("vision", "job", 3, GpuShape(1));
  builder_.PodNamed("vision/job-1000").node = "bn-1";
  builder_.PodNamed("vision/job-1000").phase = PodPhase::kRunning;
  BurstNode& node = builder_.Rented("bn-1", "rules", offer);
  node.phase = Phase::kRunning;
  node.workload = "vision/Job/job";
  node.pods = {{"vision/job-1000", "uid-vision/job-1000"}, {"vision/job-1001", "an older one"}};
  MakeIt();
  ASSERT_EQ(plan_.admissions.size(), 1u);
  EXPECT_EQ(world_.pods[static_cast<std::size_t>(plan_.admissions[0].pod)].key, "vision/job-1001");
  EXPECT_EQ(plan_.admissions[0].burst_node, "bn-1");
  EXPECT_EQ(Rentals(), Keys{"alpha/alpha-1/two x 1"});  // for the third pod
}

TEST_F(PlannerTest, AReplacementGoesWhereItsShardIs) {
  const Offer offer = builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Waits("vision", "job", 2, GpuShape(1));
  builder_.PodNamed("vision/job-1000").shards = "in=1/3";
  builder_.PodNamed("vision/job-1001").shards = "in=2/3";
  for (const auto& [name, shard] : {std::pair("bn-1", "in=0/3"), std::pair("bn-2", "in=1/3")}) {
    BurstNode& node = builder_.Rented(name, "rules", offer);
    node.phase = Phase::kRunning;
    node.workload = "vision/Job/job";
    node.pods = {{fmt::format("vision/before-{}", name), "gone"}};
    node.shards = {shard};
  }
  MakeIt();
  ASSERT_EQ(plan_.admissions.size(), 1u);
  EXPECT_EQ(world_.pods[static_cast<std::size_t>(plan_.admissions[0].pod)].key, "vision/job-1000");
  EXPECT_EQ(plan_.admissions[0].burst_node, "bn-2");
  EXPECT_EQ(Rentals(), Keys{"alpha/alpha-1/one x 1"}) << "nobody has the other's shard";
}

TEST_F(PlannerTest, DataThatMayNotLeaveIsNotAdmittedToARunningBurstNode) {
  const Offer offer = builder_.Sells("alpha", "two", 2, Money::Euro(1));
  builder_.Waits("vision", "job", 1, GpuShape(1)).data_class = DataClass::kRestricted;
  BurstNode& node = builder_.Rented("bn-1", "rules", offer);
  node.phase = Phase::kRunning;
  node.workload = "vision/Job/job";
  MakeIt();
  EXPECT_TRUE(plan_.admissions.empty());
  Expect("vision/Job/job", Verdict::kRefuse, Reason::kDataClass);
}

TEST_F(PlannerTest, NoCapacityParksTheOfferAndTheNextIsTaken) {
  const Offer best = builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Sells("beta", "one-b", 1, Money::Euro(2));
  BurstNode& node = builder_.Rented("bn-1", "rules", best);
  node.failure = Failure::kCapacity;
  node.phase = Phase::kDeleting;
  builder_.Waits("vision", "job", 1, GpuShape(1));
  MakeIt();
  EXPECT_EQ(Rentals(), Keys{"beta/beta-1/one-b x 1"});
  EXPECT_EQ(VerdictOn("vision/Job/job", "one").reason, OfferReason::kParked);
  EXPECT_EQ(VerdictOn("vision/Job/job", "one").detail, "until 2026-11-24T12:10:00Z");
}

TEST_F(PlannerTest, AllParkedWaitsUntilTheFirstComesBack) {
  const Offer offer = builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Rented("bn-1", "rules", offer).failure = Failure::kQuota;
  builder_.Waits("vision", "job", 1, GpuShape(1));
  MakeIt();
  Expect("vision/Job/job", Verdict::kWait, Reason::kAllParked);
  EXPECT_EQ(On("vision/Job/job").until, SnapshotBuilder::Noon() + 10min);
}

TEST_F(PlannerTest, OffersThatAreTooSmallOrSoldOut) {
  builder_.Sells("alpha", "small", 1, Money::Euro(1));
  builder_.Waits("vision", "big", 1, GpuShape(8));
  builder_.Waits("vision", "small", 1, GpuShape(1));
  MakeIt();
  Expect("vision/Job/big", Verdict::kRefuse, Reason::kNoOfferFits);
  Expect("vision/Job/small", Verdict::kRent, Reason::kNone);
  EXPECT_EQ(VerdictOn("vision/Job/big", "small").detail, "nvidia.com/gpu");
  world_.offers[0].stock = Stock::kNone;
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/small", Verdict::kWait, Reason::kAllParked);
  EXPECT_EQ(VerdictOn("vision/Job/small", "small").reason, OfferReason::kNoStock);
  world_.offers[0].area = "US";
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/small", Verdict::kRefuse, Reason::kNoOfferAllowed);
}

TEST_F(PlannerTest, NodeLimitsOfPolicyAndProvider) {
  const Offer one = builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Sells("beta", "one-b", 1, Money::Euro(2));
  builder_.Account("alpha").max_nodes = 2;
  builder_.Rented("bn-1", "rules", one);
  builder_.Waits("vision", "job", 5, GpuShape(1));
  builder_.MayRent("rules-2", {"vision"}).priority = 1;
  MakeIt();
  EXPECT_THAT(Rentals(), UnorderedElementsAre("alpha/alpha-1/one x 1", "beta/beta-1/one-b x 1",
                                              "beta/beta-1/one-b x 1", "beta/beta-1/one-b x 1",
                                              "beta/beta-1/one-b x 1"));
  EXPECT_EQ(VerdictOn("vision/Job/job", "one").reason, OfferReason::kChosen);
  world_.policies[1].max_nodes = 2;
  plan_ = MakePlan(world_, options_);
  EXPECT_THAT(Rentals(), UnorderedElementsAre("alpha/alpha-1/one x 1", "beta/beta-1/one-b x 1"));
  EXPECT_THAT(On("vision/Job/job").sentence, HasSubstr("3 more pods wait"));
  world_.policies[1].max_nodes = 0;
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kWait, Reason::kNodeLimit);
  world_.policies[1].max_nodes = 8;
  world_.accounts[0].live_nodes = 2;
  world_.accounts[1].max_nodes = world_.accounts[1].live_nodes = 3;
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kWait, Reason::kNodeLimit);
  EXPECT_EQ(VerdictOn("vision/Job/job", "one").reason, OfferReason::kProviderFull);
}

TEST_F(PlannerTest, TheSiteSoonHasRoom) {
  builder_.PodNamed("base/load").expected_end = SnapshotBuilder::Noon() + 8min;
  builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Waits("vision", "job", 1, GpuShape(1));
  builder_.MayRent("patient", {"vision"}).priority = 1;
  world_ = builder_.Build();
  world_.policies[0].wait_at_most = 10min;
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kWait, Reason::kSiteSoon);
  EXPECT_EQ(On("vision/Job/job").until, SnapshotBuilder::Noon() + 8min);
  EXPECT_EQ(VerdictOn("vision/Job/job", "one").reason, OfferReason::kNotRented);
  EXPECT_TRUE(VerdictOn("vision/Job/job", "one").total.has_value());
  world_.policies[0].wait_at_most = 7min;  // too late for it
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kRent, Reason::kNone);
  world_.policies[0].wait_at_most = 10min;  // has waited long enough
  world_.workloads[1].waiting_since = SnapshotBuilder::Noon() - 10min;
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kRent, Reason::kNone);
  world_.workloads[1].waiting_since = SnapshotBuilder::Noon();
  world_.pods[0].expected_end = std::nullopt;  // nobody knows when
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kRent, Reason::kNone);
}

TEST_F(PlannerTest, WhoIsRentedForTakesNoneOfTheRoomToCome) {
  builder_.SiteNode("site-2", 1);
  builder_.Runs("base", "other", "site-2", GpuShape(1)).expected_end =
      SnapshotBuilder::Noon() + 5min;
  builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.Waits("vision", "old", 1, GpuShape(1)).waiting_since = SnapshotBuilder::Noon() - 1h;
  builder_.Waits("vision", "young", 1, GpuShape(1));
  world_ = builder_.Build();
  world_.policies[0].wait_at_most = 10min;
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/old", Verdict::kRent, Reason::kNone);
  Expect("vision/Job/young", Verdict::kWait, Reason::kSiteSoon);
}

TEST_F(PlannerTest, WaitingIsComparedWithRentingWhenAnHourHasAPrice) {
  builder_.PodNamed("base/load").expected_end = SnapshotBuilder::Noon() + 30min;
  builder_.Sells("alpha", "one", 1, Money::Euro(10));  // 13 minutes: 2.17 €
  builder_.Waits("vision", "job", 1, GpuShape(1));
  world_ = builder_.Build();
  world_.policies[0].wait_at_most = 20min;
  world_.policies[0].hour_is_worth = Money::Euro(4);
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kWait, Reason::kCheaperToWait);
  EXPECT_EQ(On("vision/Job/job").until, SnapshotBuilder::Noon() + 20min);
  // A rented machine boots for two minutes.
  EXPECT_THAT(On("vision/Job/job").sentence,
              HasSubstr("start it at 2026-11-24T12:02:00Z; the wait between costs 1.87 €, renting "
                        "2.17 €"));
  world_.policies[0].hour_is_worth = Money::Euro(5);
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kRent, Reason::kNone);
}

TEST_F(PlannerTest, AnOfferThatOftenFailsIsDearerAndSlower) {
  builder_.PodNamed("base/load").expected_end = SnapshotBuilder::Noon() + 30min;
  builder_.Sells("alpha", "flaky", 1, Money::Euro(10));
  builder_.Sells("alpha", "sound", 1, Money::Euro(11));
  builder_.Waits("vision", "job", 1, GpuShape(1));
  world_ = builder_.Build();
  plan_ = MakePlan(world_, options_);
  ASSERT_EQ(plan_.rentals.size(), 1u);
  EXPECT_EQ(world_.offers[std::size_t(plan_.rentals[0].offer)].instance_type, "flaky");
  world_.times["alpha/alpha-1/flaky"].tries = {10, 20, 20min, 5min};
  plan_ = MakePlan(world_, options_);
  ASSERT_EQ(plan_.rentals.size(), 1u);
  EXPECT_EQ(world_.offers[std::size_t(plan_.rentals[0].offer)].instance_type, "sound");
  // On its own it would start at 12:22.
  std::erase_if(world_.offers, [](const Offer& offer) { return offer.instance_type == "sound"; });
  world_.policies[0].wait_at_most = 20min;
  world_.policies[0].hour_is_worth = Money::Euro(10);
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kWait, Reason::kCheaperToWait);
  world_.times.clear();
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kRent, Reason::kNone);
}

TEST_F(PlannerTest, ABudgetThatIsUsedUpNamesWhatIsMissing) {
  builder_.Sells("alpha", "one", 1, Money::Euro(60));
  BudgetState& budget = builder_.HasBudget("vision-month", {"vision"}, Money::Euro(500));
  budget.spent = Money::Euro(480);
  builder_.Waits("vision", "job", 1, GpuShape(1));
  MakeIt();
  Expect("vision/Job/job", Verdict::kWait, Reason::kBudget);
  // 10m slow boot + 30m run + 2m delete = 42 euro at the worst
  EXPECT_EQ(On("vision/Job/job").missing, Money::Euro(22));
  EXPECT_THAT(On("vision/Job/job").sentence,
              HasSubstr("Budget vision-month has 20.00 € left of 500.00 €; the rental may cost up "
                        "to 42.00 €: 22.00 € missing"));
  EXPECT_EQ(On("vision/Job/job").until, world_.budgets[0].period_ends);
  world_.budgets[0].on_exhausted = OnExhausted::kRefuse;
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kRefuse, Reason::kBudget);
  world_.budgets[0].spent = Money::Euro(458);
  plan_ = MakePlan(world_, options_);
  Expect("vision/Job/job", Verdict::kRent, Reason::kNone);
  EXPECT_EQ(plan_.rentals[0].budget, 0);
}

TEST_F(PlannerTest, OnePlanNeverReservesABudgetTwice) {
  builder_.Sells("alpha", "one", 1, Money::Euro(60));
  builder_.HasBudget("month", {"vision"}, Money::Euro(100));
  builder_.HasBudget("year", {"vision"}, Money::Euro(90));
  for (const char* name : {"j1", "j2", "j3"}) builder_.Waits("vision", name, 1, GpuShape(1));
  MakeIt();
  EXPECT_EQ(plan_.rentals.size(), 2u);
  EXPECT_EQ(plan_.rentals[0].budget, 1);
  Expect("vision/Job/j3", Verdict::kWait, Reason::kBudget);
  EXPECT_EQ(On("vision/Job/j3").missing, Money::Euro(36));
}

TEST_F(PlannerTest, AJobThatTheBudgetCannotPayDoesNotHoldUpACheaperOne) {
  builder_.Sells("alpha", "one", 1, Money::Euro(60));
  builder_.HasBudget("month", {"vision"}, Money::Euro(50));
  builder_.Waits("vision", "long", 1, GpuShape(1)).expected_duration = 60min;
  builder_.Waits("vision", "short", 1, GpuShape(1));
  MakeIt();
  Expect("vision/Job/long", Verdict::kWait, Reason::kBudget);
  Expect("vision/Job/short", Verdict::kRent, Reason::kNone);
}

TEST_F(PlannerTest, AGangNeedsTheBudgetForAllOfIt) {
  builder_.Sells("alpha", "four", 4, Money::Euro(60));
  builder_.HasBudget("month", {"vision"}, Money::Euro(60));
  builder_.Gang("vision", "gang", 2, GpuShape(4));
  MakeIt();
  Expect("vision/Job/gang", Verdict::kWait, Reason::kBudget);
  EXPECT_EQ(On("vision/Job/gang").missing, Money::Euro(24));
  EXPECT_TRUE(plan_.rentals.empty());
}

TEST_F(PlannerTest, AQuotaHoldsForSiteAndRentals) {
  builder_.Sells("alpha", "one", 1, Money::Euro(1));
  builder_.HasQuota("vision").gpus_hard = 1;
  builder_.Waits("vision", "job-a", 1, GpuShape(1));
  builder_.Waits("vision", "job-b", 1, GpuShape(1));
  builder_.Gang("vision", "job-c", 2, GpuShape(1));
  MakeIt();
  Expect("vision/Job/job-a", Verdict::kRent, Reason::kNone);
  Expect("vision/Job/job-b", Verdict::kWait, Reason::kQuota);
  Expect("vision/Job/job-c", Verdict::kWait, Reason::kQuota);
}

TEST_F(PlannerTest, AnExplanationIsOrderedChosenCheapestThenByRule) {
  builder_.Sells("alpha", "best", 1, Money::Euro(1));
  builder_.Sells("alpha", "third", 1, Money::Euro(3));
  builder_.Sells("alpha", "second", 1, Money::Euro(2));
  builder_.Sells("beta", "abroad", 1, Money::Euro(1)).area = "UK";
  builder_.Sells("beta", "gone", 1, Money::Euro(1)).stock = Stock::kNone;
  builder_.Sells("beta", "spot", 1, Money::Euro(1)).capacity = CapacityType::kSpot;
  builder_.Waits("vision", "job", 1, GpuShape(1));
  MakeIt();
  Keys types;
  const auto explanation = static_cast<std::size_t>(On("vision/Job/job").explanation);
  for (const OfferVerdict& verdict : plan_.explanations[explanation].offers)
    types.push_back(world_.offers[static_cast<std::size_t>(verdict.offer)].instance_type);
  EXPECT_EQ(types, (Keys{"best", "second", "third", "abroad", "spot", "gone"}));
}

TEST_F(PlannerTest, PodsThatDifferInCpuStillShareAnInstance) {
  builder_.Sells("alpha", "four", 4, Money::Euro(10));
  PodShape more = GpuShape(1);
  more.requests.cpu_milli += 1000;
  builder_.Waits("vision", "a", 2, GpuShape(1));
  builder_.Waits("vision", "b", 2, more);
  MakeIt();
  EXPECT_EQ(Rentals(), Keys{"alpha/alpha-1/four x 4"});
}

TEST_F(PlannerTest, APodThatFitsNowhereDoesNotHoldUpThoseLikeIt) {
  builder_.Sells("alpha", "four", 4, Money::Euro(10));
  PodShape huge = GpuShape(1);
  huge.requests.memory_bytes = std::int64_t{1} << 50;
  builder_.Waits("vision", "huge", 1, huge).waiting_since = SnapshotBuilder::Noon() - 1h;
  builder_.Waits("vision", "normal", 2, GpuShape(1));
  MakeIt();
  Expect("vision/Job/huge", Verdict::kRefuse, Reason::kNoOfferFits);
  EXPECT_EQ(VerdictOn("vision/Job/huge", "four").detail, "memory");
  EXPECT_EQ(Rentals(), Keys{"alpha/alpha-1/four x 2"});
}

TEST_F(PlannerTest, ThousandsOfPodsAreRentedForInLots) {
  builder_.Sells("alpha", "two", 2, Money::Euro(1));
  builder_.Waits("vision", "sweep", 700, GpuShape(1));
  world_ = builder_.Build();
  world_.policies[0].max_nodes = 320;
  plan_ = MakePlan(world_, options_);
  EXPECT_EQ(plan_.rentals.size(), 320u);
  EXPECT_THAT(On("vision/Job/sweep").sentence, HasSubstr("rents 320 x alpha/alpha-1/two"));
  EXPECT_THAT(On("vision/Job/sweep").sentence, HasSubstr("60 more pods wait"));
}

TEST_F(PlannerTest, AnEmptySnapshotGivesAnEmptyPlan) {
  EXPECT_TRUE(MakePlan(Snapshot{}).decisions.empty());
}

}  // namespace
}  // namespace spillway::plan
