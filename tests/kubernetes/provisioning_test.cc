// ProvisioningRequests: machines before the pods exist. Kueue does not run here: the cases make the
// requests and the pods that it would make.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

using ::testing::HasSubstr;

const kube::Resource kProvisioningRequests{"autoscaling.x-k8s.io", "v1", "provisioningrequests",
                                           true};

constexpr std::string_view kSpec = R"yaml(
    restartPolicy: Never
    terminationGracePeriodSeconds: 1
    containers:
      - name: main
        image: registry.local/training/numpy:12
        command: [/bin/sh, -c, "cat /data/train/* | sha256sum > /results/hash && echo hashed"]
        resources: {limits: {nvidia.com/gpu: "2"}, requests: {cpu: 50m, memory: 32Mi}}
        volumeMounts:
          - {name: data, mountPath: /data, readOnly: true}
          - {name: results, mountPath: /results}
    volumes:
      - {name: data, persistentVolumeClaim: {claimName: in, readOnly: true}}
      - {name: results, persistentVolumeClaim: {claimName: out}}
)yaml";

class ProvisioningTest : public KubernetesTest {
 protected:
  void ApplyRequest(const std::string& name_of_class = "burst.spillway.dev") const {
    Apply(
        fmt::format("apiVersion: v1\nkind: PodTemplate\n"
                    "metadata: {{name: hash, namespace: {}}}\ntemplate:\n  spec:{}",
                    ns_, kSpec));
    Apply(
        fmt::format("apiVersion: autoscaling.x-k8s.io/v1\nkind: ProvisioningRequest\n"
                    "metadata: {{name: ahead, namespace: {}}}\n"
                    "spec:\n  provisioningClassName: {}\n"
                    "  podSets: [{{count: 1, podTemplateRef: {{name: hash}}}}]\n",
                    ns_, name_of_class));
  }
  void ApplyPod() const {
    Apply(fmt::format(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: hash\n  namespace: {}\n  annotations:\n"
        "    autoscaling.x-k8s.io/consume-provisioning-request: ahead\n"
        "    autoscaling.x-k8s.io/provisioning-class-name: burst.spillway.dev\nspec:{}",
        ns_, Dedented(kSpec)));
  }
  static std::string Dedented(std::string_view text) {
    std::string out(text);
    for (std::size_t at = out.find("\n    "); at != out.npos; at = out.find("\n    ", at + 1))
      out.replace(at, 5, "\n  ");
    return out;
  }
  // The condition if it has this status.
  std::optional<json::value> Condition(const std::string& type, bool holds) const {
    const auto request = k().Find(kProvisioningRequests, ns_, "ahead");
    const json::value* list = request ? FindPath(*request, {"status", "conditions"}) : nullptr;
    if (list == nullptr || !list->is_array()) return std::nullopt;
    for (const json::value& one : list->get_array())
      if (Text(one, {"type"}) == type && (Text(one, {"status"}) == "True") == holds) return one;
    return std::nullopt;
  }
  json::value Await(const std::string& type, bool holds, Duration most) const {
    std::optional<json::value> found;
    EXPECT_TRUE(Eventually([&] { return (found = Condition(type, holds)).has_value(); }, most))
        << type << "\n"
        << Story();
    return found.value_or(json::object{});
  }
};

TEST_F(ProvisioningTest, TheMachineIsThereBeforeThePod) {
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyRequest();
  if (HasFatalFailure()) return;
  const json::value accepted = Await("Accepted", true, 40s);
  EXPECT_EQ(IntOr(accepted, "observedGeneration", 0), 1);
  Await("Provisioned", false, 40s);
  const json::value ready = Await("Provisioned", true, 240s);
  if (HasFailure()) return;
  EXPECT_EQ(Text(ready, {"reason"}), "NodesReady");
  EXPECT_THAT(Text(ready, {"message"}), HasSubstr("bn-00001"));
  EXPECT_TRUE(k().List(kPods, ns_).empty()) << "there is no pod yet";
  EXPECT_TRUE(Eventually([&] { return PhaseOf("bn-00001") == "Running"; }, 20s)) << Story();
  EXPECT_FALSE(EventsOf("ProvisioningRequest", "ahead").empty()) << Story();
  EXPECT_TRUE(EventsOf("Pod", "ahead:0:0").empty()) << "nobody knows a pod of this name";
  ApplyPod();
  std::string ran_at;
  ASSERT_TRUE(Eventually(
      [&] {
        const auto pod = k().Find(kPods, ns_, "hash");
        if (pod && !Text(*pod, {"spec", "nodeName"}).empty())
          ran_at = Text(*pod, {"spec", "nodeName"});
        return !ran_at.empty();
      },
      60s))
      << Story();
  EXPECT_EQ(ran_at, "bn-00001");
  EXPECT_EQ(Text(Await("BookingExpired", true, 60s), {"reason"}), "AllPodsCame");
  EXPECT_EQ(Text(Await("Accepted", true, 1s), {"lastTransitionTime"}),
            Text(accepted, {"lastTransitionTime"}))
      << "it is set once";
  EXPECT_EQ(ExpectNothingLeft(180s), 1);
  ExpectResults("hash");
  EXPECT_FALSE(Condition("Failed", true));
  EXPECT_FALSE(Condition("CapacityRevoked", true));
}

TEST_F(ProvisioningTest, ABookingThatNobodyUsesExpires) {
  StartDaemons(kTimeScale);
  ApplyRules();
  Apply(Filled(ReadFile(SPILLWAY_SOURCE_DIR "/examples/kubernetes/provisioning-request.yaml"),
               {{"namespace: vision", "namespace: " + ns_}, {"\"900\"", "\"60\""}}));
  if (HasFatalFailure()) return;
  Await("Provisioned", true, 240s);
  if (HasFailure()) return;
  EXPECT_EQ(Text(Await("BookingExpired", true, 60s), {"reason"}), "TimeIsOver");
  EXPECT_EQ(ExpectNothingLeft(120s), 1);
  EXPECT_FALSE(Condition("CapacityRevoked", true)) << "it went back in good order";
}

TEST_F(ProvisioningTest, DeletingTheRequestCancels) {
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyRequest();
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return BurstNodes().size() == 1; }, 60s)) << Story();
  EXPECT_EQ(k().Kubectl({"delete", "provisioningrequest", "ahead", "-n", ns_}).exit, 0);
  EXPECT_LE(ExpectNothingLeft(180s), 1);
}

TEST_F(ProvisioningTest, OtherClassesAreLeftAlone) {
  StartDaemons(kTimeScale);
  ApplyRules();
  ApplyRequest("check-capacity.autoscaling.x-k8s.io");
  // A Job that is decided about after the request was there to be seen.
  ApplyJob({.name = "later"});
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return BurstNodes().size() == 1; }, 60s)) << Story();
  EXPECT_EQ(Text(BurstNodes().front(), {"spec", "workload"}), ns_ + "/Job/later");
  const auto request = k().Find(kProvisioningRequests, ns_, "ahead");
  ASSERT_TRUE(request);
  EXPECT_EQ(FindPath(*request, {"status", "conditions"}), nullptr) << CanonicalJson(*request);
  k().Kubectl({"delete", "job", "later", "-n", ns_, "--wait=false"});
  EXPECT_LE(ExpectNothingLeft(180s), 1);
}

}  // namespace
}  // namespace spillway::kubernetes_test
