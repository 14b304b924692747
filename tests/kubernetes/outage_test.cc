// The API server and its database die in the middle of a run and come back.
#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

class OutageTest : public KubernetesTest {};

TEST_F(OutageTest, ControlPlaneIsDeadForAMinute) {
  // A node's lease is longer than that, and the way back mostly fits in as well.
  StartDaemons(Daemons{.time_scale = 1});
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  AwaitRunning("hash", 240s);
  if (HasFailure()) return;
  k().KillControlPlane({"kube-apiserver", "etcd"});
  // How long the outage lasts; the daemon gives up leading after ten seconds and is started again.
  EventuallyRevived([] { return false; }, 60s);
  k().StartAgain();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(EventuallyRevived([&] { return Leader() != nullptr; }, 60s)) << Story();
  // Where it took too long, the node has given up and the pod runs once more.
  EXPECT_TRUE(EventuallyRevived([&] { return OpenGates("hash"), JobComplete("hash"); }, 240s))
      << Story();
  const int machines = ExpectNothingLeft(180s);
  EXPECT_TRUE(machines == 1 || machines == 2) << machines;
  ExpectResults("hash");
}

}  // namespace
}  // namespace spillway::kubernetes_test
