#include "plan/law.h"

#include <gtest/gtest.h>

#include "plan/parking.h"
#include "plan/snapshot_builder.h"

namespace spillway::plan {
namespace {

// One offer that a policy admits; each test breaks one rule.
class LawTest : public testing::Test {
 protected:
  LawTest() {
    builder_.Provider("p");
    builder_.Sells("p", "h100x2", 2, Money::Euro(6));
    builder_.MayRent("rules", {"vision"});
    builder_.Waits("vision", "job", 1, GpuShape(1)).data_class_source = "Dataset vision/x";
    world_ = builder_.Build();
  }
  Policy& Rules() { return world_.policies[0]; }
  Offer& TheOffer() { return world_.offers[0]; }
  Objection Law() const {
    const Options options;
    return ByLaw(Index(world_, options), world_.policies[0], 0);
  }
  Refusal Leaves() const {
    const Options options;
    const Index index(world_, options);
    return MayLeave(index, world_.workloads[0], index.PolicyFor(world_.workloads[0].ns));
  }
  void ExpectRefused(OfferReason reason, std::string_view detail) const {
    const Objection objection = Law();
    EXPECT_EQ(Name(objection.reason), Name(reason));
    EXPECT_EQ(objection.detail, detail);
  }

  SnapshotBuilder builder_;
  Snapshot world_;
};

TEST_F(LawTest, AnAdmittedOfferMeetsNoObjection) {
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
}

TEST_F(LawTest, Providers) {
  Rules().providers = {"q"};
  ExpectRefused(OfferReason::kProviderNotAllowed, "p");
  Rules().providers = {"q", "p"};
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
  world_.accounts[0].regions = {"p-2"};
  ExpectRefused(OfferReason::kProviderNotAllowed, "p-1 is not opened");
}

TEST_F(LawTest, AreasAndCountries) {
  TheOffer().country = "GB";
  TheOffer().area = "UK";
  ExpectRefused(OfferReason::kArea, "GB (UK)");
  Rules().areas = {"UK"};
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
  Rules().countries = {"DE"};
  ExpectRefused(OfferReason::kArea, "GB (UK)");
}

TEST_F(LawTest, APolicyForTheEeaAdmitsTheEu) {
  Rules().areas = {"EEA"};
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
  TheOffer().area = "CH";
  EXPECT_EQ(Law().reason, OfferReason::kArea);
}

TEST_F(LawTest, UsNexusIsGraded) {
  world_.facts[0].us_nexus = UsNexus::kListing;
  world_.facts[0].us_nexus_evidence = "listed, 2026-01-01";
  ExpectRefused(OfferReason::kUsNexus, "listing: listed, 2026-01-01");
  Rules().max_us_nexus = UsNexus::kSubsidiary;
  EXPECT_EQ(Law().reason, OfferReason::kUsNexus);
  Rules().max_us_nexus = UsNexus::kListing;
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
  Rules().max_us_nexus = UsNexus::kNone;
  Rules().any_us_nexus = true;
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
}

TEST_F(LawTest, UnknownFactsCountAsTheStrongestNexus) {
  world_.facts.clear();
  ExpectRefused(OfferReason::kUsNexus, "owner");
}

TEST_F(LawTest, EveryCertificateIsRequired) {
  Rules().certificates = {"ISO27001", "BSI-C5"};
  ExpectRefused(OfferReason::kCertificate, "BSI-C5");
  Rules().certificates = {"ISO27001"};
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
}

TEST_F(LawTest, SpotNeedsConsent) {
  TheOffer().capacity = CapacityType::kSpot;
  EXPECT_EQ(Law().reason, OfferReason::kCapacityType);
  Rules().allow_spot = true;
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
}

TEST_F(LawTest, TheProviderMustBeReady) {
  world_.accounts[0].ready = false;
  world_.accounts[0].not_ready_reason = "key expired";
  ExpectRefused(OfferReason::kProviderNotReady, "key expired");
  world_.accounts.clear();
  ExpectRefused(OfferReason::kProviderNotReady, "no CloudProvider");
}

TEST_F(LawTest, ThePriceLimitIsPerGpu) {
  Rules().max_per_gpu_hour = Money::Euro(3);
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
  Rules().max_per_gpu_hour = Money::Euro(3) - Money::Micro(1);
  EXPECT_EQ(Law().reason, OfferReason::kTooExpensive);
  TheOffer().allocatable.gpus = 0;
  EXPECT_EQ(Law().reason, OfferReason::kChosen);
}

TEST_F(LawTest, LawComesBeforePrice) {
  Rules().max_per_gpu_hour = Money::Cents(1);
  world_.facts[0].us_nexus = UsNexus::kOwner;
  EXPECT_EQ(Law().reason, OfferReason::kUsNexus);
  TheOffer().area = "US";
  EXPECT_EQ(Law().reason, OfferReason::kArea);
}

TEST_F(LawTest, FitNamesResourceOrLabel) {
  auto fit = [&](PodShape shape) {
    world_.shapes = {std::move(shape)};
    return ByFit(Index(world_, {}), 0, 0);
  };
  EXPECT_EQ(fit(GpuShape(2)).reason, OfferReason::kChosen);
  EXPECT_EQ(fit(GpuShape(3)).detail, "nvidia.com/gpu");
  PodShape picky = GpuShape(1);
  picky.node_selector = {{"nvidia.com/gpu.product", "A100"}};
  EXPECT_EQ(fit(picky).reason, OfferReason::kLabels);
  EXPECT_EQ(fit(picky).detail, "nvidia.com/gpu.product");
  // Not every node has such a volume.
  PodShape local = GpuShape(1);
  local.volume_rules = {{"", false, {{{{"zone", SelectorOperator::kIn, {"a"}}}, {}}}}};
  EXPECT_EQ(fit(local).reason, OfferReason::kLabels);
}

TEST_F(LawTest, DaemonsTakeTheirPartOfANewNode) {
  PodShape agent;
  agent.requests.cpu_milli = 500;
  world_.daemons = {agent};  // it does not tolerate the taint of rented nodes
  EXPECT_EQ(Index(world_, {}).offers[0].node.allocatable, TheOffer().allocatable);
  world_.daemons[0].tolerations = {Toleration{.exists = true}};
  EXPECT_EQ(Index(world_, {}).offers[0].node.allocatable.cpu_milli,
            TheOffer().allocatable.cpu_milli - 500);
}

TEST_F(LawTest, ClassesOfData) {
  Workload& workload = world_.workloads[0];
  workload.data_class = DataClass::kInternal;
  EXPECT_EQ(Leaves().reason, Reason::kNone);
  workload.data_class = DataClass::kConfidential;
  EXPECT_EQ(Leaves().reason, Reason::kDataClass);
  workload.data_class = DataClass::kInternal;
  Rules().data_classes.clear();
  EXPECT_EQ(Leaves().reason, Reason::kDataClass);
  workload.data_class = DataClass::kPublic;
  EXPECT_EQ(Leaves().reason, Reason::kNone);
}

TEST_F(LawTest, RestrictedNeverLeavesWhateverAPolicySays) {
  Workload& workload = world_.workloads[0];
  workload.data_class = DataClass::kRestricted;
  Rules().data_classes = {DataClass::kPublic, DataClass::kRestricted};
  EXPECT_EQ(Leaves().reason, Reason::kDataClass);
  EXPECT_EQ(Leaves().because, "Dataset vision/x is \"restricted\" and never leaves it");
  world_.policies.clear();
  EXPECT_EQ(Leaves().reason, Reason::kDataClass);
}

TEST_F(LawTest, NoPolicyUnknownInputsAndPartsThatAreNotUnderstood) {
  world_.workloads[0].inputs_known = false;
  world_.workloads[0].inputs_problem = "claim scratch is neither";
  EXPECT_EQ(Leaves().reason, Reason::kInputsUnknown);
  EXPECT_EQ(Leaves().because, "claim scratch is neither");
  world_.workloads[0].inputs_known = true;
  world_.shapes[0].not_understood = {"topologySpreadConstraints"};
  EXPECT_EQ(Leaves().reason, Reason::kNotUnderstood);
  Rules().namespaces = {"nlp"};
  EXPECT_EQ(Leaves().reason, Reason::kNoPolicy);
}

TEST_F(LawTest, AJobThatOutlivesItsNodeIsNotRentedFor) {
  Rules().lifetime = 1h;
  world_.workloads[0].expected_duration = 1h;
  EXPECT_EQ(Leaves().reason, Reason::kNone);
  world_.workloads[0].expected_duration = 61min;
  EXPECT_EQ(Leaves().reason, Reason::kNoOfferAllowed);
}

TEST(PolicyFor, HighestPriorityThenFirstName) {
  SnapshotBuilder builder;
  builder.MayRent("b", {"x"});
  builder.MayRent("a", {"x", "y"});
  builder.MayRent("c", {"y"}).priority = 1;
  const Snapshot snapshot = builder.Build();
  const Options options;
  const Index index(snapshot, options);
  EXPECT_EQ(index.PolicyFor("x"), 0);
  EXPECT_EQ(index.PolicyFor("y"), 2);
  EXPECT_EQ(index.PolicyFor("z"), -1);
}

TEST(Parking, TheOfferOfAFailedNodeRests) {
  SnapshotBuilder builder;
  builder.Provider("p");
  const Offer offer = builder.Sells("p", "t", 1, Money::Euro(1));
  BurstNode& node = builder.Rented("bn", "rules", offer);
  node.failure = Failure::kCapacity;
  node.phase = Phase::kGone;
  node.history = {{Phase::kPlanned, SnapshotBuilder::Noon() - 20min},
                  {Phase::kDeleting, SnapshotBuilder::Noon() - 4min},
                  {Phase::kGone, SnapshotBuilder::Noon() - 1min}};
  Snapshot snapshot = builder.Build();
  EXPECT_EQ(Parking(snapshot, 10min).Until(offer.Key(), "p"), snapshot.now + 6min);
  EXPECT_EQ(Parking(snapshot, 10min).Until(offer.Key() + "/spot", "p"), std::nullopt);
  EXPECT_EQ(Parking(snapshot, 4min).Until(offer.Key(), "p"), std::nullopt);
  // Without a history the phase tells; a node that has just failed has failed now.
  snapshot.burst_nodes[0].history.clear();
  snapshot.burst_nodes[0].phase_since = snapshot.now - 2min;
  EXPECT_EQ(Parking(snapshot, 10min).Until(offer.Key(), "p"), snapshot.now + 8min);
  snapshot.burst_nodes[0].phase = Phase::kRequested;
  EXPECT_EQ(Parking(snapshot, 10min).Until(offer.Key(), "p"), snapshot.now + 10min);
}

TEST(Parking, WhichFailuresParkWhat) {
  for (int f = 0; f <= static_cast<int>(Failure::kGangFailed); ++f) {
    const auto failure = static_cast<Failure>(f);
    SnapshotBuilder builder;
    builder.Provider("p");
    const Offer offer = builder.Sells("p", "t", 1, Money::Euro(1));
    builder.Rented("bn", "rules", offer).failure = failure;
    const Parking parking(builder.Build(), 10min);
    const bool provider = failure == Failure::kQuota || failure == Failure::kRefused;
    const bool only_offer = failure == Failure::kCapacity || failure == Failure::kBootTimeout ||
                            failure == Failure::kWrongHardware;
    EXPECT_EQ(parking.Until("p/other/type", "p").has_value(), provider) << Name(failure);
    EXPECT_EQ(parking.Until(offer.Key(), "p").has_value(), provider || only_offer) << Name(failure);
  }
}

}  // namespace
}  // namespace spillway::plan
