// A Job runs away and comes home; what kubectl shows of it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class RunawayTest : public KubernetesTest {
 protected:
  // Requests of one signer with a condition `type` that Spillway wrote for `node`.
  int Requests(std::string_view signer, const std::string& node, std::string_view type) const {
    int count = 0;
    for (const json::value& csr : k().List(kRequests)) {
      if (Text(csr, {"spec", "signerName"}) != signer) continue;
      const json::value* conditions = FindPath(csr, {"status", "conditions"});
      if (conditions == nullptr || !conditions->is_array()) continue;
      for (const json::value& c : conditions->get_array())
        if (StringOr(c, "type", "") == type && StringOr(c, "reason", "").starts_with("Spillway") &&
            (StringOr(c, "message", "").ends_with(" " + node) || type == "Denied"))
          ++count;
    }
    return count;
  }

  std::vector<std::string> TokensOf(const std::string& node) const {
    std::vector<std::string> names;
    for (const json::value& secret : k().List(kSecrets, "kube-system"))
      if (Text(secret, {"metadata", "labels", "spillway.dev/burst"}) == node)
        names.push_back(NameOf(secret));
    return names;
  }
};

TEST_F(RunawayTest, JobRunsOnARentedNodeAndNothingStays) {
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyJob({.gated = true});
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return Pods("hash").size() == 1; }, 20s)) << Story();
  const std::string uid = UidOf(Pods("hash").front());
  ASSERT_TRUE(Eventually([&] { return BurstNodes().size() == 1; }, 40s)) << Story();
  const std::string node = NameOf(BurstNodes().front());
  EXPECT_TRUE(Eventually([&] { return TokensOf(node).size() == 1; }, 20s)) << Story();

  const json::value pod = AwaitRunning("hash", 180s);
  if (HasFailure()) return;
  EXPECT_EQ(UidOf(pod), uid) << "another pod runs than the one that waited";
  EXPECT_EQ(Text(pod, {"spec", "nodeName"}), node);
  const std::string tolerations = CanonicalJson(*FindPath(pod, {"spec", "tolerations"}));
  EXPECT_THAT(tolerations,
              HasSubstr(fmt::format(R"({{"effect":"NoSchedule","key":"spillway.dev/burst",)"
                                    R"("operator":"Equal","value":"{}"}})",
                                    node)));
  const auto object = k().Find(kNodes, "", node);
  ASSERT_TRUE(object);
  EXPECT_EQ(Text(*object, {"metadata", "labels", "node-restriction.kubernetes.io/spillway-burst"}),
            node)
      << CanonicalJson(*FindPath(*object, {"metadata", "labels"}));
  const std::string taints = CanonicalJson(*FindPath(*object, {"spec", "taints"}));
  EXPECT_THAT(taints, HasSubstr(fmt::format(R"("key":"spillway.dev/burst","value":"{}")", node)));
  EXPECT_THAT(taints, ::testing::Not(HasSubstr("spillway.dev/starting")));
  EXPECT_EQ(Requests("kubernetes.io/kube-apiserver-client-kubelet", node, "Approved"), 1);
  // The kubelet asks for its serving certificate when it knows its addresses.
  EXPECT_TRUE(Eventually(
      [&] { return Requests("kubernetes.io/kubelet-serving", node, "Approved") == 1; }, 30s));
  EXPECT_TRUE(TokensOf(node).empty()) << "its token outlives its use";

  const Outcome shown = k().Kubectl({"get", "burstnodes"});
  EXPECT_THAT(shown.out, ::testing::AllOf(HasSubstr("PHASE"), HasSubstr("PER HOUR"),
                                          HasSubstr("COST"), HasSubstr("FOR")));
  EXPECT_THAT(shown.out, ::testing::AllOf(HasSubstr(node), HasSubstr("Running"),
                                          HasSubstr("scaleway"), HasSubstr("EUR"), HasSubstr(ns_)));
  EXPECT_THAT(
      Leader()->Metrics(),
      ::testing::AllOf(HasSubstr("spillway_leader 1\n"),
                       HasSubstr("spillway_reaction_own_seconds_count 1\n"),
                       ContainsRegex("spillway_nodes\\{phase=\"Running\",provider=\"scaleway\""),
                       ContainsRegex("spillway_rate_eur_per_hour[^\n]*scaleway[^\n]* 1\\.[0-9]+")));
  OpenGate(NameOf(pod));
  ExpectComplete("hash", 60s);
  EXPECT_EQ(ExpectNothingLeft(), 1);
  ExpectResults("hash");
  EXPECT_THAT(
      Leader()->Metrics(),
      ::testing::AllOf(ContainsRegex("spillway_spent_eur[^\n]*scaleway[^\n]* 0\\.0[0-9]+"),
                       ContainsRegex("spillway_returned_nodes[^\n]*wipe=\"full\"[^\n]* 1\n"),
                       Not(HasSubstr("spillway_nodes{"))));
  EXPECT_EQ(Requests("kubernetes.io/kube-apiserver-client-kubelet", node, "Denied"), 0);
  EXPECT_EQ(Requests("kubernetes.io/kube-apiserver-client-kubelet", node, "Approved"), 0);
  EXPECT_EQ(Requests("kubernetes.io/kubelet-serving", node, "Approved"), 0);

  const std::vector<json::value> events = EventsOf("Pod", NameOf(pod));
  EXPECT_GE(events.size(), 1u) << Story();
  EXPECT_LE(events.size(), 12u) << Story();
  for (const json::value& event : events) {
    EXPECT_EQ(Text(event, {"involvedObject", "uid"}), uid) << CanonicalJson(event);
    EXPECT_LE(IntOr(event, "count", 0), 5) << CanonicalJson(event);
  }
  const Outcome described = k().Kubectl({"describe", "pod", "-n", ns_, NameOf(pod)});
  EXPECT_THAT(described.out, HasSubstr(node));
}

// The site frees up while the machine is still far away.
TEST_F(RunawayTest, TheSiteFreesUpFirst) {
  Apply(
      fmt::format("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {}}}\n---\n"
                  "apiVersion: v1\nkind: Pod\nmetadata: {{name: holder, namespace: {}}}\n"
                  "spec:\n  terminationGracePeriodSeconds: 0\n  containers:\n"
                  "    - {{name: main, image: \"registry.local/training/numpy:12\", "
                  "command: [/bin/sleep, infinity], resources: {{limits: {{nvidia.com/gpu: "
                  "\"1\"}}}}}}\n",
                  ns_, ns_));
  ASSERT_TRUE(Eventually(
      [&] {
        const auto holder = k().Find(kPods, ns_, "holder");
        return holder && Running(*holder);
      },
      60s))
      << Story();
  WriteFile(k().hold_file(), "");  // the machine never joins
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyJob({.gpus = 1});
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return BurstNodes().size() == 1; }, 40s)) << Story();
  const Outcome freed = k().Kubectl({"delete", "pod", "-n", ns_, "holder"});
  ASSERT_EQ(freed.exit, 0) << freed.err;
  ExpectComplete("hash", 60s);
  ASSERT_EQ(Pods("hash").size(), 1u);
  EXPECT_EQ(Text(Pods("hash").front(), {"spec", "nodeName"}), kSiteNode);
  ExpectResults("hash");
  EXPECT_LE(ExpectNothingLeft(), 1);
}

}  // namespace
}  // namespace spillway::kubernetes_test
