#include "control/advance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "control/test_node.h"

namespace spillway::control {
namespace {

using namespace testing;
using ports::InstanceState;

constexpr Phase kAlivePhases[] = {Phase::kJoined, Phase::kStaged, Phase::kRunning,
                                  Phase::kReturning};
constexpr Phase kLivePhases[] = {Phase::kPlanned,   Phase::kRequested, Phase::kProvisioned,
                                 Phase::kJoined,    Phase::kStaged,    Phase::kRunning,
                                 Phase::kReturning, Phase::kWiping,    Phase::kDeleting};

Error Err(Code code) {
  return Error{code, "because", std::nullopt};
}

// Drives a node through a whole good life with a world that does what it is told.
TEST(Advance, GoodLifeVisitsEveryPhaseOnceAndSettles) {
  BurstNode node = PlannedNode();
  Time now = kStart;
  int creates = 0;
  std::set<std::string> steps;
  std::vector<Phase> phases;
  Observation o;
  o.pods = Pods(PodPhase::kPending);
  Money reserved = node.forecast.worst_case;
  auto turn = [&] {
    now += 10s;
    const Step step = Advance(node, o, now);
    creates += Sent<CreateInstance>(step) != nullptr;
    for (const LedgerEntry& entry : step.entries) {
      EXPECT_TRUE(steps.insert(entry.step).second) << entry.step;
      reserved += entry.reserved;
    }
    node = step.node;
    phases.push_back(node.phase);
    return step;
  };
  EXPECT_TRUE(Sent<CreateInstance>(turn()));
  o.create = CreateAnswer{InstanceIn(InstanceState::kCreating), {}};
  EXPECT_TRUE(Sent<PrepareRun>(turn()));
  o.create.reset();
  o.run = RunReport{};
  o.run->prepared = true;
  o.seen = Listed(now, {InstanceIn(InstanceState::kRunning)});
  turn();
  o.node = GoodReport(now);
  turn();
  o.node->staged = true;
  EXPECT_TRUE(Sent<AdmitPods>(turn()));  // Staged and Running in one step
  EXPECT_EQ(node.phase, Phase::kRunning);
  o.pods = Pods(PodPhase::kRunning, node.name);
  for (PodReport& pod : *o.pods) pod.started = now;
  o.node->last_heartbeat = now;
  EXPECT_TRUE(turn().commands.empty());
  now += 10min;
  o.pods = Pods(PodPhase::kSucceeded, node.name);
  for (PodReport& pod : *o.pods) pod.started = now - 10min, pod.ended = now;
  o.node->last_heartbeat = now;
  o.node->results_returned = true;  // said before the pods' end was known: not believed
  turn();
  EXPECT_EQ(node.phase, Phase::kReturning);
  EXPECT_EQ(node.computed, 10min);
  o.node->last_heartbeat = now + 5s;
  o.node->results = 2;
  turn();
  EXPECT_EQ(node.phase, Phase::kReturning) << "two results, no receipt";
  o.run->results_receipted = 2;
  o.run->bytes_out = std::int64_t{1} << 30;
  EXPECT_TRUE(Sent<DestroyRunKey>(turn()));
  EXPECT_TRUE(node.results_complete);
  o.node->wiped = o.node->wipe_verified = true;
  o.node->certificate = "cert.json";
  o.node->last_heartbeat = now;
  EXPECT_EQ(Sent<DeleteInstance>(turn()), nullptr) << "the key first";
  EXPECT_EQ(node.phase, Phase::kWiping);
  o.run->key_destroyed = true;
  o.run->key_destroyed_at = now;
  EXPECT_TRUE(Sent<DeleteInstance>(turn()));
  EXPECT_EQ(node.wipe_class, WipeClass::kFull);
  o.deletion = DeleteAnswer{{true, true, {}}, {}};
  turn();
  o.deletion.reset();
  o.seen = Listed(now + 1s, {});
  EXPECT_EQ(turn().node.phase, Phase::kDeleting) << "one listing proves nothing";
  EXPECT_EQ(turn().node.phase, Phase::kDeleting) << "the same listing again neither";
  o.seen = Listed(now + 1s, {});
  turn();
  EXPECT_EQ(node.phase, Phase::kGone);
  EXPECT_TRUE(node.settled);
  EXPECT_EQ(creates, 1);
  EXPECT_EQ(reserved, Money{});
  EXPECT_EQ(node.cost, CostAt(node, now + 5h).Total());
  EXPECT_GT(node.cost, Money{});
  EXPECT_THAT(steps, ::testing::IsSupersetOf({"Requested", "Provisioned", "Joined", "Staged",
                                              "Running", "Returning", "key-destroyed", "Wiping",
                                              "wiped", "Deleting", "settled", "Gone"}));
  EXPECT_FALSE(Advance(node, o, now + 1h).changed);
}

// --- restart: nothing is known, and nothing must be concluded from it --------------------------

class InPhase : public ::testing::TestWithParam<Phase> {};

TEST_P(InPhase, EmptyObservationAfterRestartDoesNoHarm) {
  const BurstNode node = NodeIn(GetParam(), kStart + 1h);
  Observation o;
  const Time now = kStart + 9h;
  o.watching_since = now;
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.failure, Failure::kNone);
  if (GetParam() == Phase::kPlanned)
    EXPECT_EQ(step.node.phase, Phase::kRequested);
  else
    EXPECT_EQ(step.node.phase, GetParam());
  EXPECT_EQ(Sent<CreateInstance>(step) != nullptr, GetParam() == Phase::kPlanned);
  EXPECT_EQ(Sent<EvictPods>(step), nullptr);
}

TEST_P(InPhase, TheSameObservationTwiceCreatesAtMostOnce) {
  const BurstNode node = NodeIn(GetParam());
  const Observation o = AllWell(node, kStart + 1h);
  const Step first = Advance(node, o, kStart + 1h);
  const Step second = Advance(first.node, o, kStart + 1h);
  EXPECT_EQ(Sent<CreateInstance>(second), nullptr);
  std::set<std::string> steps;
  for (const Step* step : {&first, &second})
    for (const LedgerEntry& entry : step->entries) EXPECT_TRUE(steps.insert(entry.step).second);
  const Step third = Advance(second.node, o, kStart + 1h);
  EXPECT_FALSE(third.changed);
  EXPECT_TRUE(third.entries.empty());
}

TEST_P(InPhase, AClockThatWasSetBackNeitherWaitsForEverNorFails) {
  BurstNode node = NodeIn(GetParam(), kStart + 5h);
  const Time now = kStart + 1h;  // four hours before the phase began
  Observation o = AllWell(node, now);
  if (o.node) o.node->last_heartbeat = kStart + 5h;
  const Step step = Advance(node, o, now);
  EXPECT_FALSE(step.node.Failed());
  EXPECT_LE(step.node.phase_since, now);
  if (step.look_again) {
    EXPECT_LE(*step.look_again, now + 13h);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryLivePhase, InPhase, ::testing::ValuesIn(kLivePhases),
                         [](const auto& p) { return std::string(Name(p.param)); });

// --- Planned and Requested --------------------------------------------------------------------

TEST(Planned, CancelledWhenThePodsRanElsewhere) {
  Observation o;
  o.pods = Pods(PodPhase::kRunning, "site-node-1");
  const Step step = Advance(PlannedNode(), o, kStart + 1s);
  EXPECT_EQ(step.node.phase, Phase::kGone);
  EXPECT_EQ(step.node.failure, Failure::kCancelled);
  EXPECT_EQ(Sent<CreateInstance>(step), nullptr);
  EXPECT_TRUE(Recorded(step, "settled"));
  EXPECT_EQ(step.node.cost, Money{});
}

struct Refusal {
  Code code;
  Failure failure;
};
class Refused : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refused, EndsAtOnceAndCostsNothing) {
  Observation o;
  o.pods = Pods(PodPhase::kPending);
  o.create = CreateAnswer{{}, Err(GetParam().code)};
  const Step step = Advance(NodeIn(Phase::kRequested, kStart + 1s), o, kStart + 2s);
  EXPECT_EQ(step.node.failure, GetParam().failure);
  EXPECT_EQ(step.node.phase, Phase::kGone);
  EXPECT_FALSE(step.node.instance_may_exist);
  EXPECT_EQ(step.node.cost, Money{});
  EXPECT_TRUE(Recorded(step, "failed"));
  EXPECT_TRUE(Recorded(step, "settled"));
}
INSTANTIATE_TEST_SUITE_P(ByCode, Refused,
                         ::testing::Values(Refusal{Code::kCapacity, Failure::kCapacity},
                                           Refusal{Code::kQuota, Failure::kQuota},
                                           Refusal{Code::kDenied, Failure::kRefused},
                                           Refusal{Code::kInvalid, Failure::kRefused},
                                           Refusal{Code::kThrottled, Failure::kRefused},
                                           Refusal{Code::kUnavailable, Failure::kRefused}),
                         [](const auto& p) { return std::string(CodeName(p.param.code)); });

TEST(Requested, UnknownOutcomeIsLookedUpAndAdopted) {
  for (const Code code : {Code::kMaybeApplied, Code::kConflict, Code::kInternal}) {
    Observation o;
    o.create = CreateAnswer{{}, Err(code)};
    Step step = Advance(NodeIn(Phase::kRequested, kStart + 1s), o, kStart + 10s);
    EXPECT_EQ(step.node.phase, Phase::kRequested);
    Observation listed;
    listed.seen = Listed(kStart + 20s, {InstanceIn(InstanceState::kCreating, "i-7")});
    step = Advance(step.node, listed, kStart + 21s);
    EXPECT_EQ(step.node.instance_id, "i-7");
    EXPECT_EQ(step.node.phase, Phase::kRequested);
    EXPECT_TRUE(Sent<PrepareRun>(step));
  }
}

TEST(Requested, GivenUpOnlyAfterTwoListingsPastTheGrace) {
  Observation o;
  o.create = CreateAnswer{{}, Err(Code::kMaybeApplied)};
  BurstNode node = Advance(NodeIn(Phase::kRequested, kStart + 1s), o, kStart + 10s).node;
  auto list = [&](Duration at) {
    Observation empty;
    empty.seen = Listed(kStart + at, {});
    node = Advance(node, empty, kStart + at).node;
    return node.phase;
  };
  EXPECT_EQ(list(30s), Phase::kRequested);
  EXPECT_EQ(list(40s), Phase::kRequested) << "both within the grace";
  EXPECT_EQ(list(80s), Phase::kRequested) << "the first that counts";
  EXPECT_EQ(list(80s), Phase::kRequested) << "the same listing";
  EXPECT_EQ(list(90s), Phase::kGone);
  EXPECT_EQ(node.failure, Failure::kCreateLost);
  EXPECT_EQ(node.cost, Money{});
}

TEST(Requested, AListingThatShowsItStopsTheCount) {
  Observation o;
  o.create = CreateAnswer{{}, Err(Code::kMaybeApplied)};
  BurstNode node = Advance(NodeIn(Phase::kRequested, kStart + 1s), o, kStart + 10s).node;
  o = {};
  o.seen = Listed(kStart + 80s, {});
  node = Advance(node, o, kStart + 80s).node;
  o.seen = Listed(kStart + 90s, {InstanceIn(InstanceState::kCreating)});
  node = Advance(node, o, kStart + 90s).node;
  EXPECT_EQ(node.instance_id, "i-1");
  EXPECT_EQ(node.absent_lists, 0);
  EXPECT_FALSE(node.Failed());
}

TEST(Requested, WithoutAnAnswerThisProcessWaitsBeforeItLooksUp) {
  BurstNode node = NodeIn(Phase::kRequested, kStart + 1s);
  Observation o;
  o.watching_since = kStart;  // this process sent the call: it may still be on its way
  for (Duration at = 70s; at < 290s; at += 30s) {
    o.seen = Listed(kStart + at, {});
    node = Advance(node, o, kStart + at).node;
  }
  EXPECT_FALSE(node.Failed());
  // After a restart nobody will answer: two listings past the grace decide.
  o.watching_since = kStart + 290s;
  node = Advance(node, o, kStart + 291s).node;
  for (const Duration at : {360s, 370s}) {
    o.seen = Listed(kStart + at, {});
    node = Advance(node, o, kStart + at).node;
  }
  EXPECT_EQ(node.failure, Failure::kCreateLost);
}

TEST(Requested, NoListingAtAllStillLetsTheWorkGoOnElsewhere) {
  BurstNode node = NodeIn(Phase::kRequested, kStart);
  const Step step = Advance(node, {}, kStart + 1h);
  EXPECT_EQ(step.node.failure, Failure::kCreateLost);
  EXPECT_EQ(step.node.phase, Phase::kDeleting) << "it may exist: the look-up goes on";
  EXPECT_TRUE(step.node.instance_may_exist);
}

TEST(Requested, ARegisteredNodeIsProofOfExistence) {
  BurstNode node = NodeIn(Phase::kRequested, kStart + 1s);
  Observation o;
  o.node = GoodReport(kStart + 100s);
  for (const Duration at : {100s, 200s, 300s}) {
    o.seen = Listed(kStart + at, {});
    node = Advance(node, o, kStart + at).node;
  }
  EXPECT_FALSE(node.Failed());
}

TEST(Requested, AcceptedThenRefusedIsCapacityAndIsDeleted) {
  BurstNode node = NodeIn(Phase::kRequested, kStart + 1s);
  Observation o;
  ports::Instance broken = InstanceIn(InstanceState::kError);
  broken.fault = Err(Code::kCapacity);
  o.seen = Listed(kStart + 5s, {broken});
  const Step step = Advance(node, o, kStart + 5s);
  EXPECT_EQ(step.node.failure, Failure::kCapacity);
  EXPECT_EQ(step.node.phase, Phase::kDeleting);
  EXPECT_TRUE(Sent<DestroyRunKey>(step)) << "the key first";
  o.run = RunReport{};
  o.run->key_destroyed = true;
  EXPECT_TRUE(Sent<DeleteInstance>(Advance(step.node, o, kStart + 6s)));
}

TEST(Requested, AStoppedInstanceIsResumed) {
  BurstNode node = NodeIn(Phase::kRequested, kStart + 1s);
  Observation o;
  o.seen = Listed(kStart + 5s, {InstanceIn(InstanceState::kStopped)});
  const Step step = Advance(node, o, kStart + 5s);
  ASSERT_TRUE(Sent<ResumeInstance>(step));
  EXPECT_EQ(Sent<ResumeInstance>(step)->instance_id, "i-1");
}

TEST(Requested, OfTwoInstancesTheOldestIsAdopted) {
  ports::Instance old = InstanceIn(InstanceState::kRunning, "i-9");
  ports::Instance young = InstanceIn(InstanceState::kRunning, "i-2");
  young.created += 1s;
  Observation o;
  o.seen = Listed(kStart + 5s, {young, old});
  EXPECT_EQ(Advance(NodeIn(Phase::kRequested, kStart + 1s), o, kStart + 5s).node.instance_id,
            "i-9");
}

// --- Provisioned to Staged ---------------------------------------------------------------------

TEST(Provisioned, LessThanPromisedIsReturned) {
  const BurstNode node = NodeIn(Phase::kProvisioned);
  const Time now = kStart + 1h + 1min;
  Observation o = AllWell(node, now);
  o.node = GoodReport(now);
  o.node->hardware.gpus = 1;
  Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.failure, Failure::kWrongHardware);
  EXPECT_THAT(step.node.failure_detail, ::testing::HasSubstr("nvidia.com/gpu"));
  EXPECT_EQ(step.node.phase, Phase::kDeleting);
  o.node = GoodReport(now);
  o.node->labels["nvidia.com/gpu.product"] = "T4";
  EXPECT_EQ(Advance(node, o, now).node.failure, Failure::kWrongHardware);
}

TEST(Provisioned, TheMachineThatRegisteredIsOurs) {
  const BurstNode node = NodeIn(Phase::kProvisioned);
  const Time now = kStart + 1h + 1min;
  Observation o = AllWell(node, now);
  o.node = GoodReport(now);
  o.node->instance_id = "i-2";
  Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.phase, Phase::kProvisioned) << "it says so, no listing does";
  EXPECT_EQ(step.node.instance_id, "i-1");
  o.seen->instances.push_back(InstanceIn(InstanceState::kRunning, "i-2"));
  step = Advance(node, o, now);
  EXPECT_EQ(step.node.phase, Phase::kJoined);
  EXPECT_EQ(step.node.instance_id, "i-2") << "the other one is an orphan now";
}

TEST(Provisioned, NeverJoinedIsBootTimeout) {
  const BurstNode node = NodeIn(Phase::kProvisioned);
  Observation o = AllWell(node, kStart + 2h);
  const Step step = Advance(node, o, kStart + 2h);
  EXPECT_EQ(step.node.failure, Failure::kBootTimeout);
  EXPECT_EQ(step.node.phase, Phase::kDeleting);
}

TEST(Joined, WaitsForDataAndItsDeadline) {
  const BurstNode node = NodeIn(Phase::kJoined);
  Time now = kStart + 1h + 29min;
  Observation o = AllWell(node, now);
  EXPECT_EQ(Advance(node, o, now).node.phase, Phase::kJoined);
  now += 2min;
  o = AllWell(node, now);
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.failure, Failure::kStageTimeout);
  EXPECT_EQ(step.node.phase, Phase::kWiping) << "data may be there";
}

TEST(Joined, DataThatCannotBePrepared) {
  const BurstNode node = NodeIn(Phase::kJoined);
  Observation o = AllWell(node, kStart + 1h);
  o.run->failed = Err(Code::kNotFound);
  const Step step = Advance(node, o, kStart + 1h);
  EXPECT_EQ(step.node.failure, Failure::kDataFailed);
  EXPECT_EQ(step.node.phase, Phase::kWiping);
}

TEST(Staged, WaitsForItsGangAndFailsWithIt) {
  BurstNode node = NodeIn(Phase::kStaged);
  Observation o = AllWell(node, kStart + 1h);
  o.gang_all_staged = false;
  Step step = Advance(node, o, kStart + 1h);
  EXPECT_EQ(step.node.phase, Phase::kStaged);
  EXPECT_EQ(Sent<AdmitPods>(step), nullptr);
  o.gang_failed = true;
  step = Advance(node, o, kStart + 1h);
  EXPECT_EQ(step.node.failure, Failure::kGangFailed);
  EXPECT_EQ(step.node.phase, Phase::kWiping);
}

TEST(Staged, CancelledWhenAllPodsAreDeleted) {
  const BurstNode node = NodeIn(Phase::kStaged);
  Observation o = AllWell(node, kStart + 1h);
  o.pods = std::vector<PodReport>{};
  EXPECT_EQ(Advance(node, o, kStart + 1h).node.failure, Failure::kCancelled);
}

// --- alive phases: lost nodes ------------------------------------------------------------------

class Alive : public ::testing::TestWithParam<Phase> {};

TEST_P(Alive, SilenceBeyondTheLeaseIsALostNode) {
  const BurstNode node = NodeIn(GetParam());
  const Time now = kStart + 1h + 10min;
  Observation o = AllWell(node, now);
  o.node->last_heartbeat = now - node.deadlines.lease + 1s;
  EXPECT_NE(Advance(node, o, now).node.failure, Failure::kNodeLost);
  o.node->last_heartbeat = now - node.deadlines.lease;
  Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.failure, Failure::kNodeLost);
  EXPECT_EQ(step.node.phase, Phase::kDeleting);
  EXPECT_EQ(step.node.wipe_class, WipeClass::kCryptoEraseOnly);
  EXPECT_TRUE(Sent<DestroyRunKey>(step));
  EXPECT_EQ(Sent<DeleteInstance>(step), nullptr);
  EXPECT_EQ(Sent<EvictPods>(step) != nullptr, GetParam() >= Phase::kRunning);
  o.run->key_destroyed = true;
  step = Advance(step.node, o, now + 5s);
  EXPECT_TRUE(Sent<CertifyLoss>(step));
  EXPECT_TRUE(Sent<DeleteInstance>(step));
}

TEST_P(Alive, ABrokenInstanceIsALostNodeUnlessItWasHeardSince) {
  const BurstNode node = NodeIn(GetParam());
  const Time now = kStart + 1h + 1min;
  Observation o = AllWell(node, now);
  o.seen = Listed(now - 5s, {InstanceIn(InstanceState::kError)});
  o.node->last_heartbeat = now - 1s;
  EXPECT_FALSE(Advance(node, o, now).node.Failed());
  o.node->last_heartbeat = now - 6s;
  EXPECT_EQ(Advance(node, o, now).node.failure, Failure::kNodeLost);
}

TEST_P(Alive, VanishedFromTwoListingsWhileSilent) {
  BurstNode node = NodeIn(GetParam());
  const Time now = kStart + 1h + 1min;
  Observation o = AllWell(node, now);
  o.node->last_heartbeat = now;
  for (const Duration at : {10s, 20s}) {  // heard shortly before: proof of life
    o.seen = Listed(now + at, {});
    node = Advance(node, o, now + at).node;
  }
  EXPECT_FALSE(node.Failed());
  for (const Duration at : {40s, 50s}) {
    o.seen = Listed(now + at, {});
    node = Advance(node, o, now + at).node;
  }
  EXPECT_EQ(node.failure, Failure::kNodeLost);
}

TEST_P(Alive, TheLifetimeEndsTheWorkButNotItsResults) {
  BurstNode node = NodeIn(GetParam(), kStart + 11h);
  if (GetParam() == Phase::kReturning) return;  // its pods ended already
  const Time now = kStart + 12h;
  const Step step = Advance(node, AllWell(node, now), now);
  EXPECT_EQ(step.node.failure, Failure::kLifetime);
  if (GetParam() == Phase::kRunning) {
    EXPECT_EQ(step.node.phase, Phase::kReturning);
    ASSERT_TRUE(Sent<EvictPods>(step));
    EXPECT_THAT(Sent<EvictPods>(step)->reason, ::testing::HasSubstr("Lifetime"));
  } else {
    EXPECT_EQ(step.node.phase, Phase::kWiping);
  }
}

TEST_P(Alive, WhoeverDeletesItGetsTheResultsAllTheSame) {
  const Time now = kStart + 1h;
  Observation o = AllWell(NodeIn(GetParam(), now), now);
  o.end_asked = true;
  const Step step = Advance(NodeIn(GetParam(), now), o, now);
  if (GetParam() == Phase::kReturning) {
    EXPECT_FALSE(step.node.Failed()) << "it ends anyway";
    return;
  }
  EXPECT_EQ(step.node.failure, Failure::kCancelled);
  EXPECT_EQ(step.node.phase, GetParam() == Phase::kRunning ? Phase::kReturning : Phase::kWiping);
  EXPECT_EQ(Sent<EvictPods>(step) != nullptr, GetParam() == Phase::kRunning);
}

INSTANTIATE_TEST_SUITE_P(AlivePhases, Alive, ::testing::ValuesIn(kAlivePhases),
                         [](const auto& p) { return std::string(Name(p.param)); });

// --- Running and Returning ---------------------------------------------------------------------

TEST(Running, PodsThatWaitAreAdmittedAgain) {
  const BurstNode node = NodeIn(Phase::kRunning);
  Observation o = AllWell(node, kStart + 1h);
  (*o.pods)[1] = {"vision/sweep-1", "uid-1", PodPhase::kPending, "", {}, {}};
  const Step step = Advance(node, o, kStart + 1h);
  ASSERT_TRUE(Sent<AdmitPods>(step));
  EXPECT_THAT(Sent<AdmitPods>(step)->pods,
              ::testing::ElementsAre(PodRef{"vision/sweep-1", "uid-1"}));
}

TEST(Running, APodOfTheSameNameIsNotTheSamePod) {
  const BurstNode node = NodeIn(Phase::kRunning);
  Observation o = AllWell(node, kStart + 1h);
  for (PodReport& pod : *o.pods) pod.uid = "other";
  EXPECT_EQ(Advance(node, o, kStart + 1h).node.phase, Phase::kReturning) << "ours were deleted";
}

TEST(Running, UnusedMachineIsGivenBack) {
  const BurstNode node = NodeIn(Phase::kRunning);
  const Time now = kStart + 1h + 15min;
  Observation o = AllWell(node, now);
  o.pods = Pods(PodPhase::kPending);
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.failure, Failure::kWrongHardware);
  EXPECT_EQ(step.node.phase, Phase::kReturning);
}

TEST(Running, AGangFailsTogether) {
  const BurstNode node = NodeIn(Phase::kRunning);
  Observation o = AllWell(node, kStart + 1h);
  o.gang_failed = true;
  const Step step = Advance(node, o, kStart + 1h);
  EXPECT_EQ(step.node.failure, Failure::kGangFailed);
  EXPECT_EQ(step.node.phase, Phase::kReturning);
  EXPECT_TRUE(Sent<EvictPods>(step));
}

TEST(Returning, DeadlineIsHonest) {
  const BurstNode node = NodeIn(Phase::kReturning);
  const Time now = kStart + 1h + 30min;
  Observation o = AllWell(node, now);
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.phase, Phase::kWiping);
  EXPECT_FALSE(step.node.results_complete);
  EXPECT_FALSE(step.node.Failed());
}

TEST(Returning, AJumpWhileTheDaemonWasDownCostsNoResults) {
  const BurstNode node = NodeIn(Phase::kReturning);
  const Time now = kStart + 9h;
  Observation o = AllWell(node, now);
  o.watching_since = now - 1min;
  EXPECT_EQ(Advance(node, o, now).node.phase, Phase::kReturning);
}

TEST(Returning, ALostNodeGivesBackEvenFinishedPods) {
  const BurstNode node = NodeIn(Phase::kReturning);
  const Time now = kStart + 1h + 10min;
  Observation o = AllWell(node, now);
  o.node->last_heartbeat = now - 1h;
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.failure, Failure::kNodeLost);
  ASSERT_TRUE(Sent<EvictPods>(step));
  EXPECT_EQ(Sent<EvictPods>(step)->pods.size(), 2U);
}

// --- Wiping and Deleting -----------------------------------------------------------------------

TEST(Wiping, LesserOutcomeAfterTheDeadlineOrWithALostNode) {
  const BurstNode node = NodeIn(Phase::kWiping);
  for (const bool silent : {false, true}) {
    const Time now = kStart + 1h + (silent ? 5min : 20min);
    Observation o = AllWell(node, now);
    if (silent) o.node->last_heartbeat = now - 3min;
    const Step step = Advance(node, o, now);
    EXPECT_EQ(step.node.phase, Phase::kDeleting);
    EXPECT_EQ(step.node.wipe_class, WipeClass::kCryptoEraseOnly);
    EXPECT_FALSE(step.node.Failed()) << "its results were home";
    EXPECT_EQ(Sent<DeleteInstance>(step), nullptr) << "the key first";
    EXPECT_TRUE(Sent<DestroyRunKey>(step));
  }
}

TEST(Deleting, AClaimThatAListingContradictsCountsForNothing) {
  BurstNode node = NodeIn(Phase::kDeleting);
  Time now = kStart + 1h + 1min;
  Observation o = AllWell(node, now);
  o.deletion = DeleteAnswer{{true, true, {}}, {}};
  node = Advance(node, o, now).node;
  o.deletion.reset();
  o.seen = Listed(now + 1s, {});
  node = Advance(node, o, now + 1s).node;
  o.seen = Listed(now + 2s, {InstanceIn(InstanceState::kDeleting)});
  Step step = Advance(node, o, now + 2s);
  EXPECT_TRUE(Sent<DeleteInstance>(step));
  for (const Duration at : {3s, 4s, 5s}) {
    o.seen = Listed(now + at, {});
    step = Advance(step.node, o, now + at);
  }
  EXPECT_EQ(step.node.phase, Phase::kDeleting) << "without a new claim listings are not enough";
}

TEST(Deleting, AcceptedIsNotGone) {
  BurstNode node = NodeIn(Phase::kDeleting);
  const Time now = kStart + 1h + 1min;
  Observation o = AllWell(node, now);
  o.deletion = DeleteAnswer{{true, false, {}}, {}};
  for (int i = 0; i < 5; ++i) {
    o.seen = Listed(now + i * 10s, {});
    node = Advance(node, o, now + i * 10s).node;
  }
  EXPECT_EQ(node.phase, Phase::kDeleting);
}

TEST(Deleting, ASideObjectThatIsLeftHoldsIt) {
  BurstNode node = NodeIn(Phase::kDeleting);
  const Time now = kStart + 1h + 1min;
  const SideObject disk{"disk", "bn-00001/disk-1", Money::Euro(1), false, {}};
  Observation o = AllWell(node, now);
  o.deletion = DeleteAnswer{{true, true, {disk}}, {}};
  o.seen = Seen{now, {}, {disk}};
  Step step = Advance(node, o, now);
  EXPECT_TRUE(Sent<DeleteInstance>(step));
  EXPECT_EQ(step.node.side_objects.size(), 1U);
  EXPECT_FALSE(step.node.side_objects[0].gone);
  o.deletion = DeleteAnswer{{true, true, {}}, {}};
  o.seen.reset();
  step = Advance(step.node, o, now + 1h);
  EXPECT_TRUE(step.node.side_objects[0].gone);
  EXPECT_EQ(step.node.phase, Phase::kDeleting);
}

TEST(Deleting, WithoutAKnownInstanceTheLateOneIsStillDeleted) {
  BurstNode node = NodeIn(Phase::kRequested, kStart + 1s);
  Observation o;
  o.gang_failed = true;
  o.watching_since = kStart;
  Step step = Advance(node, o, kStart + 3s);
  EXPECT_EQ(step.node.phase, Phase::kDeleting);
  EXPECT_EQ(Sent<DeleteInstance>(step), nullptr);
  o.create = CreateAnswer{InstanceIn(InstanceState::kCreating), {}};
  o.run = RunReport{};
  o.run->key_destroyed = true;
  step = Advance(step.node, o, kStart + 9s);
  ASSERT_TRUE(Sent<DeleteInstance>(step));
  EXPECT_EQ(Sent<DeleteInstance>(step)->instance_id, "i-1");
  EXPECT_TRUE(step.node.meter_start.has_value());
}

TEST(Deleting, PodsStillBoundToALostNodeHoldTheRecordOpen) {
  BurstNode node = NodeIn(Phase::kDeleting);
  node.failure = Failure::kNodeLost;
  node.results_complete = false;
  node.absent_lists = 2;
  node.last_list_seen = kStart + 1h;
  Observation o = AllWell(node, kStart + 1h);
  o.seen.reset();
  o.pods = Pods(PodPhase::kRunning, node.name);
  EXPECT_EQ(Advance(node, o, kStart + 1h).node.phase, Phase::kDeleting);
  o.pods = Pods(PodPhase::kPending);
  EXPECT_EQ(Advance(node, o, kStart + 1h).node.phase, Phase::kGone);
}

// --- money -------------------------------------------------------------------------------------

TEST(Cost, ComputeSideObjectsAndEgress) {
  BurstNode node = NodeIn(Phase::kDeleting);
  node.billing.step = 1h;
  node.billing.clock_aligned = true;
  node.egress_per_gib = Money::Cents(10);
  node.bytes_out = std::int64_t{5} << 29;  // 2.5 GiB
  node.history[1].second = kStart;
  node.meter_start = kStart + 55min;
  node.meter_stop = kStart + 65min;
  node.side_objects = {{"disk", "d", Money::Cents(7), true, kStart + 1h},
                       {"address", "a", Money::Cents(1), false, {}}};
  const CostNow cost = CostAt(node, kStart + 90min);
  EXPECT_EQ(cost.paid, 2h);
  EXPECT_EQ(cost.compute, Money::Euro(6));
  EXPECT_EQ(cost.side_objects, Money::Cents(7 + 2));
  EXPECT_EQ(cost.egress, Money::Cents(25));
  EXPECT_EQ(cost.Total(), Money::Cents(634));
}

TEST(Cost, TheMeterFollowsTheTerms) {
  BurstNode node = NodeIn(Phase::kRequested, kStart + 1s);
  node.billing.meter_starts = BillingTerms::MeterStart::kRunning;
  node.billing.meter_stops = BillingTerms::MeterStop::kDeleteAccepted;
  Observation o;
  o.create = CreateAnswer{InstanceIn(InstanceState::kCreating), {}};
  node = Advance(node, o, kStart + 2s).node;
  EXPECT_FALSE(node.meter_start.has_value());
  o = {};
  o.seen = Listed(kStart + 50s, {InstanceIn(InstanceState::kRunning)});
  node = Advance(node, o, kStart + 51s).node;
  EXPECT_EQ(node.meter_start, kStart + 51s);
  BurstNode ending = NodeIn(Phase::kDeleting);
  ending.billing = node.billing;
  o = AllWell(ending, kStart + 2h);
  o.deletion = DeleteAnswer{{true, false, {}}, {}};
  ending = Advance(ending, o, kStart + 2h).node;
  EXPECT_EQ(ending.meter_stop, kStart + 2h);
  // Accepted, forgotten, and still running when listings have caught up: the meter runs on.
  o.deletion.reset();
  o.seen = Listed(kStart + 2h + 90s, {InstanceIn(InstanceState::kRunning)});
  ending = Advance(ending, o, kStart + 2h + 90s).node;
  EXPECT_FALSE(ending.meter_stop.has_value());
}

}  // namespace
}  // namespace spillway::control
