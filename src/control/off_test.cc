// A machine that its provider shows without power: what was in its memory is lost.
#include <gtest/gtest.h>

#include "control/test_node.h"

namespace spillway::control {
namespace {

using namespace testing;
using ports::InstanceState;

TEST(Off, BeforeItJoinedItIsNotWaitedFor) {
  for (const Phase phase : {Phase::kRequested, Phase::kProvisioned}) {
    BurstNode node = NodeIn(phase, kStart + 1s);
    node.instance_id = "i-1";
    Observation o;
    o.seen = Listed(kStart + 90s, {InstanceIn(InstanceState::kOff)});
    const Step step = Advance(node, o, kStart + 91s);
    EXPECT_EQ(step.node.failure, Failure::kBootTimeout) << Name(phase);
    EXPECT_EQ(step.node.phase, Phase::kDeleting);
    EXPECT_TRUE(step.node.meter_start) << "it ran, and costs";
  }
}

TEST(Off, AfterThatItIsLostUnlessItWasHeardSince) {
  const Time now = kStart + 1h + 1min;
  for (const Phase phase :
       {Phase::kJoined, Phase::kStaged, Phase::kRunning, Phase::kReturning, Phase::kWiping}) {
    const BurstNode node = NodeIn(phase);
    Observation o = AllWell(node, now);
    o.seen = Listed(now - 5s, {InstanceIn(InstanceState::kOff)});
    o.node->last_heartbeat = now - 1s;
    EXPECT_LT(Advance(node, o, now).node.phase, Phase::kDeleting) << Name(phase);
    o.node->last_heartbeat = now - 6s;
    const BurstNode lost = Advance(node, o, now).node;
    EXPECT_EQ(lost.phase, Phase::kDeleting) << Name(phase);
    EXPECT_EQ(lost.wipe_class, WipeClass::kCryptoEraseOnly) << Name(phase);
    EXPECT_EQ(lost.failure, phase == Phase::kWiping ? Failure::kNone : Failure::kNodeLost)
        << Name(phase) << ": its results were home before the wipe";
  }
}

}  // namespace
}  // namespace spillway::control
