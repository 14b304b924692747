// The moments from which offers are learned, and what ends a machine that stands still in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/test_node.h"

namespace spillway::control {
namespace {

using namespace spillway::control::testing;

TEST(Moments, WhatRegisteredIsTakenSoonOrNever) {
  BurstNode node = NodeIn(Phase::kProvisioned);
  node.deadlines.join = 5min;
  Time now = kStart + 1h + 2min;
  Observation o = AllWell(node, now);
  Step step = Advance(node, o, now + 2min);
  EXPECT_FALSE(step.node.registered_at) << "it boots";
  o.registered = true;
  step = Advance(node, o, now);
  EXPECT_EQ(step.node.registered_at, now);
  EXPECT_EQ(step.node.phase, Phase::kProvisioned);
  EXPECT_EQ(step.look_again, now + 5min);
  o.seen->read_at = now + 5min;
  step = Advance(step.node, o, now + 5min);
  EXPECT_EQ(step.node.registered_at, now) << "the first time counts";
  EXPECT_EQ(step.node.failure, Failure::kBootTimeout);
  o.watching_since = now + 1min;
  EXPECT_FALSE(Advance(node, o, now + 5min).node.Failed()) << "nobody watched";
}

TEST(Moments, WhatJoinsHasRegistered) {
  const BurstNode node = NodeIn(Phase::kProvisioned);
  const Time now = kStart + 1h + 1min;
  Observation o = AllWell(node, now);
  o.node = GoodReport(now);
  o.run->prepared = true;
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.phase, Phase::kJoined);
  EXPECT_EQ(step.node.registered_at, now);
  EXPECT_EQ(step.node.prepared_at, now);
  o.node->last_heartbeat = o.seen->read_at = now + 10s;
  EXPECT_EQ(Advance(step.node, o, now + 10s).node.prepared_at, now);
}

TEST(Moments, ItsFirstPodTellsHowLongImagesTake) {
  const BurstNode node = NodeIn(Phase::kRunning);
  const Time now = kStart + 1h + 5min;
  Observation o = AllWell(node, now);
  for (PodReport& pod : *o.pods) pod.phase = PodPhase::kPending, pod.taken = kStart + 1h + 1min;
  EXPECT_FALSE(Advance(node, o, now).node.start_took);
  (*o.pods)[0].started = now - 30s;
  (*o.pods)[0].began = kStart + 1h + 3min;  // an init container
  (*o.pods)[1].started = now;
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.start_took, 2min);
  (*o.pods)[0].began = kStart + 1h + 2min;
  EXPECT_EQ(Advance(step.node, o, now).node.start_took, 2min);
  (*o.pods)[0].node = (*o.pods)[1].node = "site-1";
  EXPECT_FALSE(Advance(node, o, now).node.start_took) << "elsewhere";
}

TEST(Moments, AnImageThatNeverComesEndsIt) {
  BurstNode node = NodeIn(Phase::kRunning);
  const Time taken = kStart + 1h + 1min;
  Observation o = AllWell(node, taken + 40min);
  for (PodReport& pod : *o.pods) pod.phase = PodPhase::kPending, pod.taken = taken;
  EXPECT_FALSE(Advance(node, o, taken + 40min).node.Failed()) << "it was not learned";
  node.deadlines.start = 30min;
  Step step = Advance(node, o, taken + 40min);
  EXPECT_EQ(step.node.failure, Failure::kStartTimeout);
  EXPECT_TRUE(Sent<EvictPods>(step));
  o = AllWell(node, taken + 29min);
  for (PodReport& pod : *o.pods) pod.phase = PodPhase::kPending, pod.taken = taken;
  step = Advance(node, o, taken + 29min);
  EXPECT_FALSE(step.node.Failed());
  EXPECT_LE(step.look_again, taken + 30min);
  o = AllWell(node, taken + 40min);
  for (PodReport& pod : *o.pods) pod.phase = PodPhase::kPending, pod.taken = taken;
  (*o.pods)[1].began = taken + 35min;
  EXPECT_FALSE(Advance(node, o, taken + 40min).node.Failed()) << "one came";
  (*o.pods)[1].began.reset();
  (*o.pods)[1].taken.reset();
  EXPECT_FALSE(Advance(node, o, taken + 40min).node.Failed()) << "the kubelet said nothing";
  for (PodReport& pod : *o.pods) pod.taken = taken;
  o.watching_since = taken + 20min;
  EXPECT_FALSE(Advance(node, o, taken + 40min).node.Failed()) << "nobody watched";
}

TEST(Scratch, PlainScratchIsReturnedWhereThePolicyWantsItSealed) {
  BurstNode node = NodeIn(Phase::kProvisioned);
  const Time now = kStart + 1h + 1min;
  Observation o = AllWell(node, now);
  o.node = GoodReport(now);
  EXPECT_EQ(Advance(node, o, now).node.failure, Failure::kNone) << "nobody asked";
  node.scratch = Scratch::kSealed;
  const Step step = Advance(node, o, now);
  EXPECT_EQ(step.node.failure, Failure::kWrongHardware);
  EXPECT_THAT(step.node.failure_detail, ::testing::HasSubstr("scratch is not sealed"));
  o.node->labels[kScratchLabel] = kScratchSealed;
  EXPECT_EQ(Advance(node, o, now).node.failure, Failure::kNone);
}

}  // namespace
}  // namespace spillway::control
