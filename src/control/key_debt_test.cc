// A key service that does not destroy the run key: the machine waits for it up to a deadline, the
// record until it is done.
#include <gtest/gtest.h>

#include "control/test_node.h"

namespace spillway::control {
namespace {

using namespace testing;

// The key service does not answer: what was said to be destroyed is not.
BurstNode WithoutKeyService(Phase phase, Time since) {
  BurstNode node = NodeIn(phase, since);
  node.key_destroyed = false;
  node.wipe_class = WipeClass::kNone;
  node.certificate.clear();
  return node;
}

TEST(KeyDebt, TheMachineWaitsForTheKeyUpToItsDeadlineAndTheRecordLonger) {
  const Time began = kStart + 1h;
  BurstNode node = WithoutKeyService(Phase::kDeleting, began);
  node.wipe_class = WipeClass::kCryptoEraseOnly;
  const Time due = began + node.deadlines.key;
  Observation o = AllWell(node, due - 1s);
  Step step = Advance(node, o, due - 1s);
  EXPECT_TRUE(Sent<DestroyRunKey>(step));
  EXPECT_EQ(Sent<DeleteInstance>(step), nullptr) << "the key first";
  EXPECT_EQ(step.look_again, due);

  step = Advance(step.node, o, due);
  EXPECT_EQ(step.node.key_owed_since, due);
  EXPECT_TRUE(Recorded(step, "key-owed"));
  EXPECT_TRUE(Sent<DestroyRunKey>(step)) << "still, and before";
  EXPECT_TRUE(std::holds_alternative<DestroyRunKey>(step.commands.front()));
  EXPECT_TRUE(Sent<DeleteInstance>(step));
  EXPECT_EQ(Sent<CertifyLoss>(step), nullptr) << "nothing is erased yet";

  o.deletion = DeleteAnswer{{true, true, {}}, {}};
  step = Advance(step.node, o, due + 1s);
  EXPECT_FALSE(Recorded(step, "key-owed")) << "once";
  o.deletion.reset();
  for (const Duration at : {2min, 3min}) {
    o.seen = Listed(due + at, {});
    step = Advance(step.node, o, due + at);
  }
  EXPECT_EQ(step.node.phase, Phase::kDeleting) << "the destruction is owed";
  EXPECT_TRUE(step.node.OnlyKeyLeft());
  EXPECT_EQ(step.node.meter_stop, due + 1s);
  EXPECT_TRUE(Sent<DestroyRunKey>(step));
  EXPECT_EQ(Sent<DeleteInstance>(step), nullptr);

  o.seen = Listed(due + 30h, {});
  o.run->key_destroyed = true;
  o.run->key_destroyed_at = due + 30h;
  step = Advance(step.node, o, due + 30h);
  EXPECT_TRUE(Recorded(step, "key-destroyed"));
  EXPECT_TRUE(Sent<CertifyLoss>(step));
  EXPECT_EQ(step.node.phase, Phase::kDeleting) << "the certificate is waited for from now on";
  o.run->certificate = "bn-00001.json";
  step = Advance(step.node, o, due + 30h + 1s);
  EXPECT_EQ(step.node.phase, Phase::kGone);
  EXPECT_EQ(step.node.wipe_class, WipeClass::kCryptoEraseOnly);
  EXPECT_EQ(step.node.key_owed_since, due) << "it stays on record";
  EXPECT_EQ(step.node.paid, 90min) << "until the deadline: the wait for the key cost nothing";
}

TEST(KeyDebt, ANodeThatOverwroteItsCacheIsNotKeptForTheWholeWipe) {
  const Time began = kStart + 1h;
  BurstNode node = WithoutKeyService(Phase::kWiping, began);
  node.deadlines.key = 2min;
  node.deadlines.wipe = 20min;
  const Time due = began + 2min;
  Observation o = AllWell(node, due);
  EXPECT_EQ(Advance(node, o, due).node.phase, Phase::kWiping) << "it is at it";
  o.node->overwritten = true;
  o.node->last_heartbeat = due - 1s;
  EXPECT_EQ(Advance(node, o, due - 1s).node.phase, Phase::kWiping);
  o.node->last_heartbeat = due;
  Step step = Advance(node, o, due);
  EXPECT_EQ(step.node.phase, Phase::kDeleting);
  EXPECT_EQ(step.node.key_owed_since, due) << "since Wiping began, it has waited enough";
  EXPECT_TRUE(Sent<DeleteInstance>(step));

  // What it had stated is certified once the key is destroyed, and the record follows.
  o.run->key_destroyed = true;
  o.run->key_destroyed_at = due + 1h;
  o.run->certificate = "bn-00001.json";
  o.run->certificate_full = true;
  step = Advance(step.node, o, due + 1h);
  EXPECT_EQ(step.node.wipe_class, WipeClass::kFull);
  EXPECT_TRUE(step.node.wipe_verified);
}

TEST(KeyDebt, AMachineThatVanishedMeanwhileCostsNoMore) {
  const Time began = kStart + 1h;
  BurstNode node = WithoutKeyService(Phase::kDeleting, began);
  const SideObject disk{"disk", "bn-00001/disk-1", Money::Euro(1), false, {}};
  Observation o = AllWell(node, began);
  for (const Duration at : {10s, 20s, 30s}) {
    o.seen = Listed(began + at, {});
    if (at == 10s) o.seen->stray = {disk};
    node = Advance(node, o, began + at).node;
    EXPECT_EQ(node.meter_stop, began + 10s);
    EXPECT_EQ(node.instance_may_exist, at < 30s) << "the disk is something";
  }
  EXPECT_EQ(node.phase, Phase::kDeleting);
  const Step step = Advance(node, o, began + node.deadlines.key);
  EXPECT_TRUE(step.node.OnlyKeyLeft());
  EXPECT_EQ(Sent<DeleteInstance>(step), nullptr) << "there is nothing to delete";
}

TEST(KeyDebt, WithoutDataThereIsNoDebt) {
  BurstNode node = NodeIn(Phase::kRequested, kStart + 1s);
  Observation o;
  o.gang_failed = true;
  o.watching_since = kStart;
  node = Advance(node, o, kStart + 3s).node;
  ASSERT_EQ(node.phase, Phase::kDeleting);
  node = Advance(node, o, kStart + 3s + node.deadlines.key + 1h).node;
  EXPECT_FALSE(node.key_owed_since) << "no instance was ever known, so no run was prepared";
}

TEST(KeyDebt, WhatIsListedAgainIsDeletedAgain) {
  BurstNode node = WithoutKeyService(Phase::kDeleting, kStart + 1h);
  node.key_owed_since = kStart + 2h;
  node.instance_may_exist = false;
  node.absent_lists = kAbsentLists;
  node.last_list_seen = kStart + 2h;
  Observation o = AllWell(node, kStart + 3h);
  Step step = Advance(node, o, kStart + 3h);
  EXPECT_TRUE(step.node.instance_may_exist) << "the provider lists it";
  EXPECT_TRUE(Sent<DeleteInstance>(step));
}

}  // namespace
}  // namespace spillway::control
