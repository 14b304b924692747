// The API server and its database die in the middle of a run and come back.
#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

class OutageTest : public KubernetesTest {};

TEST_F(OutageTest, ControlPlaneIsDeadForTwentySeconds) {
  StartDaemons(2);  // a node's lease of two minutes is real time enough for the way back
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  const json::value pod = AwaitRunning("hash", 240s);
  if (HasFailure()) return;
  k().KillControlPlane({"kube-apiserver", "etcd"});
  // How long the outage lasts; the daemon gives up leading after ten seconds and is started again.
  Eventually([&] { return Revive(), false; }, 20s);
  k().StartAgain();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return Revive(), Leader() != nullptr; }, 60s)) << Story();
  OpenGate(NameOf(pod));
  ExpectComplete("hash", 60s);
  EXPECT_EQ(ExpectNothingLeft(180s), 1);
  ExpectResults("hash");
}

}  // namespace
}  // namespace spillway::kubernetes_test
