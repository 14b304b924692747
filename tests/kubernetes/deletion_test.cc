// A person deletes something at an inconvenient moment: the Job, the BurstNode, the policy.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

class DeletionTest : public KubernetesTest {
 protected:
  void Delete(const std::string& kind, const std::string& name) const {
    const Outcome deleted = k().Kubectl({"delete", kind, name, "-n", ns_, "--wait=false"});
    EXPECT_EQ(deleted.exit, 0) << deleted.err;
  }
};

TEST_F(DeletionTest, JobWhileTheMachineBoots) {
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyJob({});
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return BurstNodes().size() == 1; }, 40s)) << Story();
  const std::string node = NameOf(BurstNodes().front());
  // The kubelet is on its way, and may arrive while everything is taken back.
  ASSERT_TRUE(Eventually([&] { return PhaseOf(node) == "Provisioned"; }, 60s)) << Story();
  Delete("job", "hash");
  EXPECT_EQ(ExpectNothingLeft(), 1);
  EXPECT_TRUE(Pods("hash").empty());
}

TEST_F(DeletionTest, JobWhileItRuns) {
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  AwaitRunning("hash", 180s);
  if (HasFailure()) return;
  Delete("job", "hash");
  EXPECT_EQ(ExpectNothingLeft(), 1);
  EXPECT_EQ(ReadFile(ResultOf("hash")), "");
}

// `kubectl delete burstnode` means: give the machine back now. The work is done elsewhere.
TEST_F(DeletionTest, BurstNodeWhileItRuns) {
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  const json::value pod = AwaitRunning("hash", 180s);
  if (HasFailure()) return;
  const std::string node = Text(pod, {"spec", "nodeName"});
  Delete("burstnode", node);
  // The finalizer keeps the object for as long as there is a machine.
  EXPECT_TRUE(Eventually([&] { return PhaseOf(node) != "Running"; }, 30s)) << Story();
  EXPECT_TRUE(Eventually([&] { return !k().Find(kBurstNodes, "", node); }, 120s)) << Story();
  EXPECT_FALSE(k().Find(kNodes, "", node));
  const json::value again = AwaitRunning("hash", 180s);
  if (HasFailure()) return;
  EXPECT_NE(UidOf(again), UidOf(pod));
  EXPECT_NE(Text(again, {"spec", "nodeName"}), node);
  OpenGate(NameOf(again));
  ExpectComplete("hash", 60s);
  EXPECT_EQ(ExpectNothingLeft(), 2);
  ExpectResults("hash");
}

// Nothing new is rented without the policy; what runs is brought to its end.
TEST_F(DeletionTest, PolicyWhileItRuns) {
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  const json::value pod = AwaitRunning("hash", 180s);
  if (HasFailure()) return;
  Delete("burstpolicy", ns_);
  ApplyJob({.name = "later"});
  OpenGate(NameOf(pod));
  ExpectComplete("hash", 60s);
  EXPECT_EQ(ExpectNothingLeft(), 1);
  ExpectResults("hash");
  ASSERT_EQ(Pods("later").size(), 1u);
  EXPECT_EQ(Text(Pods("later").front(), {"status", "phase"}), "Pending");
}

}  // namespace
}  // namespace spillway::kubernetes_test
