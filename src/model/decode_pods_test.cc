#include "model/decode_pods.h"

#include <gtest/gtest.h>

#include <deque>

#include "model/decode.h"
#include "model/decode_parts.h"

namespace spillway {
namespace {

json::value Parse(std::string_view text) {
  const auto value = ParseJson(text);
  SPW_CHECK(value.has_value(), "the test's JSON is well-formed");
  return *value;
}

// A cluster in JSON, as the API server would have it.
class Cluster {
 public:
  Cluster& Pod(std::string_view text) { return Add(objects.pods, text); }
  Cluster& Namespace(std::string_view text) { return Add(objects.namespaces, text); }
  Cluster& Claim(std::string_view text) { return Add(objects.claims, text); }
  Cluster& Volume(std::string_view text) { return Add(objects.volumes, text); }
  Cluster& Class(std::string_view text) { return Add(objects.storage_classes, text); }
  Cluster& Driver(std::string_view text) { return Add(objects.csi_drivers, text); }
  Cluster& DaemonSet(std::string_view text) { return Add(objects.daemon_sets, text); }
  DecodedPods Decode() const { return DecodePods(objects); }
  PodShape Shape(std::size_t pod = 0) const {
    const DecodedPods decoded = Decode();
    return decoded.shapes.at(static_cast<std::size_t>(decoded.shape_of.at(pod)));
  }

  PodObjects objects;

 private:
  Cluster& Add(PodObjects::List& list, std::string_view text) {
    kept_.push_back(Parse(text));
    list.push_back(&kept_.back());
    return *this;
  }
  std::deque<json::value> kept_;
};

Resources Requests(std::string_view spec, std::string_view status = "{}") {
  const json::value s = Parse(status);
  return *DecodePodRequests(Parse(spec), &s);
}

TEST(PodRequests, SidecarsRunBesideWhatStartsAfterThem) {
  // KEP-753: max(0.5 + 1, init 4 before the sidecar, init 3 + sidecar 1) with overhead 0.1.
  EXPECT_EQ(Requests(R"({"containers":[{"resources":{"requests":{"cpu":"500m"}}}],
    "initContainers":[{"resources":{"requests":{"cpu":"2"}}},
                      {"restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}},
                      {"resources":{"requests":{"cpu":"3"}}}],
    "overhead":{"cpu":"100m"}})")
                .cpu_milli,
            4100);
  EXPECT_EQ(Requests(R"({"containers":[{"resources":{"requests":{"cpu":"4"}}}],
    "initContainers":[{"restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}}]})")
                .cpu_milli,
            5000);
}

TEST(PodRequests, ThePodAsAWholeReplacesItsContainers) {
  EXPECT_EQ(Requests(R"({"containers":[{"resources":{"requests":{"cpu":"4","memory":"1Gi"}}}],
    "resources":{"requests":{"cpu":"2"}}})")
                .cpu_milli,
            2000);
  const Resources limited = Requests(
      R"({"containers":[{"resources":{"requests":{"cpu":"1"}}}],
          "resources":{"limits":{"cpu":"8","memory":"2Gi"}}})");
  EXPECT_EQ(limited.cpu_milli, 1000);  // a container asks
  EXPECT_EQ(limited.memory_bytes, 2LL << 30);
}

TEST(PodRequests, AResizeInPlaceCountsWhenItIsMore) {
  EXPECT_EQ(Requests(R"({"containers":[{"name":"c","resources":{"requests":{"cpu":"1"}}}]})",
                     R"({"containerStatuses":[{"name":"c",
      "resources":{"requests":{"cpu":"3"}},"allocatedResources":{"cpu":"2"}}]})")
                .cpu_milli,
            3000);
}

TEST(PodRequests, ExtendedResourcesByNameAndNothingElse) {
  const Resources r = Requests(
      R"({"containers":[{"resources":{"limits":{"amd.com/gpu":2,"hugepages-2Mi":"4Mi",
          "storage":"1Gi","nvidia.com/gpu":"1"}}}]})");
  EXPECT_EQ(r.gpus, 1);
  EXPECT_EQ(r.extended, (std::vector<std::pair<std::string, std::int64_t>>{
                            {"amd.com/gpu", 2}, {"hugepages-2Mi", 4LL << 20}}));
}

TEST(DecodePods, NodeAffinityAndTolerations) {
  const PodShape s = Cluster()
                         .Pod(R"({"metadata":{"name":"p"},"spec":{"nodeSelector":{"a":"b"},
    "affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{
      "nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"In","values":["x"]},
                                                {"key":"m","operator":"Gt","values":["5"]}],
                            "matchFields":[{"key":"metadata.name","operator":"NotIn","values":["n"]}]}]}}},
    "tolerations":[{"operator":"Exists"},{"key":"t","value":"v","effect":"NoSchedule"}]}})")
                         .Shape();
  ASSERT_EQ(s.required_terms.size(), 1u);
  EXPECT_EQ(s.required_terms[0].labels[1].op, SelectorOperator::kGt);
  EXPECT_EQ(s.required_terms[0].fields[0].op, SelectorOperator::kNotIn);
  EXPECT_TRUE(s.tolerations[0].exists);
  EXPECT_FALSE(s.tolerations[1].any_effect);
}

TEST(DecodePods, ATermWithAValueThatNoLabelCanHaveMatchesNothing) {
  const PodShape s = Cluster()
                         .Pod(R"({"metadata":{"name":"p"},"spec":{
    "affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{
      "nodeSelectorTerms":[{"matchExpressions":[{"key":"k","operator":"Gt","values":["-1"]}]},
                           {"matchExpressions":[{"key":"k","operator":"Gt","values":["1"]}]}]}}}}})")
                         .Shape();
  ASSERT_EQ(s.required_terms.size(), 2u);
  EXPECT_EQ(s.required_terms[0], SelectorTerm());
  EXPECT_NE(s.required_terms[1], SelectorTerm());
}

TEST(DecodePods, HostPortsOfContainersAndSidecars) {
  const PodShape shape = Cluster()
                             .Pod(R"({"metadata":{"name":"p"},"spec":{"hostNetwork":true,
      "containers":[{"ports":[{"containerPort":80},
                              {"containerPort":1,"hostPort":53,"protocol":"UDP","hostIP":"0.0.0.0"}]}],
      "initContainers":[{"ports":[{"containerPort":7}]},
                        {"restartPolicy":"Always","ports":[{"containerPort":9}]}]}})")
                             .Shape();
  EXPECT_EQ(shape.host_ports,
            (std::vector<HostPort>{{9, "TCP", ""}, {53, "UDP", ""}, {80, "TCP", ""}}));
}

TEST(DecodePods, EqualPodsShareAShapeUnlessARuleTellsThemApart) {
  Cluster cluster;
  for (const char* index : {"0", "1"})
    cluster.Pod(std::string(R"({"metadata":{"name":"p","labels":{"app":"a","index":")") + index +
                R"("}},"spec":{"containers":[]}})");
  EXPECT_EQ(cluster.Decode().shapes.size(), 1u);
  cluster.Pod(R"({"metadata":{"name":"q"},"spec":{"affinity":{"podAntiAffinity":{
    "requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"z",
      "labelSelector":{"matchLabels":{"app":"a"}}}]}}}})");
  EXPECT_EQ(cluster.Decode().shapes.size(), 2u);
  cluster.Pod(R"({"metadata":{"name":"r"},"spec":{"affinity":{"podAntiAffinity":{
    "requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"z",
      "labelSelector":{"matchExpressions":[{"key":"index","operator":"NotIn","values":["1"]}]}}]}}}})");
  const DecodedPods decoded = cluster.Decode();
  EXPECT_EQ(decoded.shapes.size(), 4u);
  const auto& first = decoded.shapes[static_cast<std::size_t>(decoded.shape_of[0])];
  const auto& second = decoded.shapes[static_cast<std::size_t>(decoded.shape_of[1])];
  EXPECT_EQ(first.groups.size(), 2u);
  EXPECT_EQ(second.groups.size(), 1u);
}

TEST(DecodePods, NamespacesOfATerm) {
  auto pods = [](std::string_view term) {
    Cluster cluster;
    cluster.Namespace(R"({"metadata":{"name":"x","labels":{"team":"t"}}})");
    cluster.Namespace(R"({"metadata":{"name":"y","labels":{"team":"u"}}})");
    cluster.Pod(std::string(R"({"metadata":{"name":"p","namespace":"own"},"spec":{"affinity":
      {"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"z",
      "labelSelector":{}, )") +
                std::string(term) + "}]}}}}");
    return cluster.Decode().groups.at(0).at(0);
  };
  EXPECT_EQ(pods(R"("a":1)").namespaces, std::vector<std::string>{"own"});
  EXPECT_EQ(pods(R"("namespaces":["b","a"])").namespaces, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(pods(R"("namespaceSelector":{"matchLabels":{"team":"t"}})").namespaces,
            std::vector<std::string>{"x"});
  EXPECT_EQ(
      pods(R"("namespaces":["y"],"namespaceSelector":{"matchLabels":{"team":"t"}})").namespaces,
      (std::vector<std::string>{"x", "y"}));
  EXPECT_TRUE(pods(R"("namespaceSelector":{})").all_namespaces);
}

TEST(DecodePods, LabelsOfThePodItselfNarrowARule) {
  Cluster cluster;
  cluster.Pod(R"({"metadata":{"name":"p","labels":{"app":"a","hash":"1"}},"spec":{
    "topologySpreadConstraints":[{"maxSkew":2,"topologyKey":"z","whenUnsatisfiable":"DoNotSchedule",
      "labelSelector":{"matchLabels":{"app":"a"}},"matchLabelKeys":["hash","absent"]},
      {"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"ScheduleAnyway","labelSelector":{}}],
    "affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[
      {"topologyKey":"z","labelSelector":{},"mismatchLabelKeys":["hash"]}]}}}})");
  cluster.Pod(R"({"metadata":{"name":"q","labels":{"app":"a","hash":"2"}},"spec":{}})");
  const PodShape p = cluster.Shape(0), q = cluster.Shape(1);
  ASSERT_EQ(p.spread.size(), 1u);  // ScheduleAnyway forbids nothing
  EXPECT_TRUE(p.spread[0].counts_self);
  EXPECT_TRUE(p.MemberOf(p.spread[0].group));
  EXPECT_FALSE(q.MemberOf(p.spread[0].group));
  EXPECT_TRUE(q.MemberOf(p.anti_affinity.at(0).group));
  EXPECT_FALSE(p.MemberOf(p.anti_affinity.at(0).group));
}

TEST(DecodePods, PreferredRulesForbidNothing) {
  const PodShape shape = Cluster()
                             .Pod(R"({"metadata":{"name":"p"},"spec":{"affinity":{
    "nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"preference":{}}]},
    "podAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1}]},
    "podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1}]}}}})")
                             .Shape();
  EXPECT_EQ(shape, PodShape());
}

TEST(DecodePods, WhatIsNotUnderstoodIsNamed) {
  auto first = [](std::string_view spec) {
    Cluster cluster;
    cluster.Pod(R"({"metadata":{"name":"p"},"spec":)" + std::string(spec) + "}");
    const PodShape shape = cluster.Shape();
    return shape.not_understood.empty() ? std::string() : shape.not_understood.front();
  };
  EXPECT_EQ(first(R"({"resourceClaims":[{"name":"g","resourceClaimName":"c"}]})"),
            "resourceClaims");
  EXPECT_EQ(first(R"({"schedulerName":"volcano"})"), "schedulerName");
  EXPECT_EQ(first(R"({"schedulerName":"default-scheduler"})"), "");
  EXPECT_EQ(first(R"({"volumes":[{"name":"d","rbd":{}}]})"), "volumes.rbd");
  EXPECT_EQ(first(R"({"hostNetwork":true,"hostUsers":false})"), "hostUsers with hostNetwork");
  EXPECT_EQ(first(R"({"containers":[{"restartPolicyRules":[{"action":"RestartAllContainers"}]}]})"),
            "restartPolicyRules");
}

TEST(DecodePods, APodThatCannotBeReadIsNamedAndLeftOut) {
  Cluster cluster;
  cluster.Pod(R"({"metadata":{"name":"bad"},"spec":{"affinity":{"nodeAffinity":{
    "requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
      {"matchExpressions":[{"key":"k","operator":"Near"}]}]}}}}})");
  cluster.Pod(R"({"metadata":{"name":"good"},"spec":{}})");
  const DecodedPods decoded = cluster.Decode();
  EXPECT_EQ(decoded.shape_of, (std::vector<std::int32_t>{-1, 0}));
  ASSERT_EQ(decoded.problems.size(), 1u);
  EXPECT_EQ(decoded.problems[0], "Pod default/bad: \"Near\" is not a selector operator");
}

TEST(DecodePods, TheTolerationOfTheRentedNodeIsForTheSchedulerOnly) {
  Cluster cluster;
  cluster.Pod(R"({"metadata":{"name":"p"},"spec":{"tolerations":[
    {"key":"spillway.dev/burst","value":"bn-1","effect":"NoSchedule"},
    {"key":"x","operator":"Lt","value":"5"}]}})");
  EXPECT_TRUE(cluster.Shape().tolerations.empty());
  cluster.objects.keep_burst_tolerations = true;
  EXPECT_EQ(cluster.Shape().tolerations.size(), 1u);
}

constexpr const char* kPodWithClaim =
    R"({"metadata":{"name":"p"},"spec":{"volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"c"}}]}})";
constexpr const char* kBoundClaim =
    R"({"metadata":{"name":"c","namespace":"default","annotations":{"pv.kubernetes.io/bind-completed":"yes"}},
        "spec":{"volumeName":"v","accessModes":["ReadWriteOncePod"]}})";

TEST(Volumes, ABoundVolumeSaysWhere) {
  Cluster cluster;
  cluster.Pod(kPodWithClaim).Claim(kBoundClaim).Volume(R"({"metadata":{"name":"v","labels":{
    "topology.kubernetes.io/zone":"a__b"}},"spec":{"csi":{"driver":"d","volumeHandle":"h"},
    "nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":[
      {"key":"rack","operator":"In","values":["r1"]}]}]}}}})");
  const PodShape shape = cluster.Shape();
  ASSERT_EQ(shape.volume_rules.size(), 2u);  // affinity; zone, or no zone label at all
  EXPECT_EQ(shape.attached, (std::vector<AttachedVolume>{{"d", "h"}}));
  EXPECT_EQ(shape.exclusive_claims, std::vector<std::string>{"default/c"});
  EXPECT_EQ(shape.nowhere, "");
}

TEST(Volumes, AClaimWithoutVolumeFitsNowhere) {
  Cluster absent, lost, unbound, deleted;
  absent.Pod(kPodWithClaim);
  EXPECT_EQ(absent.Shape().nowhere, "persistentvolumeclaim \"c\" not found");
  lost.Pod(kPodWithClaim).Claim(kBoundClaim);
  EXPECT_EQ(lost.Shape().nowhere, "persistentvolume \"v\" not found");
  unbound.Pod(kPodWithClaim).Claim(R"({"metadata":{"name":"c","namespace":"default"},"spec":{}})");
  EXPECT_EQ(unbound.Shape().nowhere, "pod has unbound immediate PersistentVolumeClaims");
  deleted.Pod(kPodWithClaim)
      .Claim(
          R"({"metadata":{"name":"c","namespace":"default","deletionTimestamp":"x"},"spec":{}})");
  EXPECT_EQ(deleted.Shape().nowhere, "persistentvolumeclaim \"c\" is being deleted");
}

TEST(Volumes, OurOwnClaimsComeToThePod) {
  for (const char* what : {"dataset", "results"}) {
    Cluster cluster;
    cluster.Pod(kPodWithClaim)
        .Claim(
            std::string(
                R"({"metadata":{"name":"c","namespace":"default","annotations":{"spillway.dev/)") +
            what + R"(":"x"}},"spec":{}})");
    EXPECT_EQ(cluster.Shape(), PodShape());
  }
}

constexpr const char* kWaitingClaim =
    R"({"metadata":{"name":"c","namespace":"default"},"spec":{"storageClassName":"s",
        "accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"2Gi"}}}})";

std::string ClassOf(std::string_view provisioner, std::string_view more = "") {
  return R"({"metadata":{"name":"s"},"volumeBindingMode":"WaitForFirstConsumer","provisioner":")" +
         std::string(provisioner) + "\"" + std::string(more) + "}";
}

TEST(Volumes, AClaimThatWaitsForItsPodGoesWhereItsClassCanMakeIt) {
  Cluster anywhere, some, none, capacity;
  anywhere.Pod(kPodWithClaim).Claim(kWaitingClaim).Class(ClassOf("d"));
  EXPECT_TRUE(anywhere.Shape().volume_rules.empty());
  EXPECT_EQ(anywhere.Shape().attached.at(0).driver, "d");
  some.Pod(kPodWithClaim)
      .Claim(kWaitingClaim)
      .Class(ClassOf(
          "d", R"(,"allowedTopologies":[{"matchLabelExpressions":[{"key":"z","values":["a"]}]}])"));
  EXPECT_EQ(some.Shape().volume_rules.at(0).terms.at(0).labels.at(0).key, "z");
  none.Pod(kPodWithClaim).Claim(kWaitingClaim).Class(ClassOf("kubernetes.io/no-provisioner"));
  ASSERT_EQ(none.Shape().volume_rules.size(), 1u);
  EXPECT_TRUE(none.Shape().volume_rules[0].terms.empty());
  capacity.Pod(kPodWithClaim)
      .Claim(kWaitingClaim)
      .Class(ClassOf("d"))
      .Driver(R"({"metadata":{"name":"d"},"spec":{"storageCapacity":true}})");
  EXPECT_EQ(capacity.Shape().not_understood.at(0), "CSIStorageCapacity");
}

TEST(Volumes, VolumesThatAreThereAlreadyAreCandidates) {
  auto volume = [](std::string_view name, std::string_view size, std::string_view zone) {
    return R"({"metadata":{"name":")" + std::string(name) + R"("},"status":{"phase":"Available"},
      "spec":{"storageClassName":"s","accessModes":["ReadWriteOnce"],"capacity":{"storage":")" +
           std::string(size) + R"("},"nodeAffinity":{"required":{"nodeSelectorTerms":[
      {"matchExpressions":[{"key":"z","operator":"In","values":[")" +
           std::string(zone) + R"("]}]}]}}}})";
  };
  Cluster cluster;
  cluster.Pod(kPodWithClaim).Claim(kWaitingClaim).Class(ClassOf("kubernetes.io/no-provisioner"));
  cluster.Volume(volume("small", "1Gi", "a")).Volume(volume("large", "5Gi", "b"));
  ASSERT_EQ(cluster.Shape().volume_rules.size(), 1u);
  ASSERT_EQ(cluster.Shape().volume_rules[0].terms.size(), 1u);
  EXPECT_EQ(cluster.Shape().volume_rules[0].terms[0].labels[0].values[0], "b");
  Cluster two;
  two.Pod(R"({"metadata":{"name":"p"},"spec":{"volumes":[
    {"name":"d","persistentVolumeClaim":{"claimName":"c"}},
    {"name":"e","persistentVolumeClaim":{"claimName":"c2"}}]}})");
  two.Claim(kWaitingClaim).Class(ClassOf("kubernetes.io/no-provisioner"));
  two.Claim(R"({"metadata":{"name":"c2","namespace":"default"},"spec":{"storageClassName":"s"}})");
  two.Volume(volume("large", "5Gi", "b"));
  EXPECT_FALSE(two.Shape().not_understood.empty());
}

TEST(DecodePods, DaemonsTolerateWhatTheirControllerAdds) {
  const DecodedPods decoded =
      Cluster()
          .DaemonSet(R"({"metadata":{"name":"agent"},"spec":{"template":{"spec":{"containers":[
            {"resources":{"requests":{"cpu":"100m"}}}]}}}})")
          .Decode();
  ASSERT_EQ(decoded.daemons.size(), 1u);
  EXPECT_EQ(decoded.daemons[0].requests.cpu_milli, 100);
  EXPECT_TRUE(Tolerates(decoded.daemons[0].tolerations,
                        {"node.kubernetes.io/unschedulable", "", TaintEffect::kNoSchedule}));
}

TEST(DecodeNode, PodsAndVolumeLimits) {
  EXPECT_EQ(DecodeNode(Parse(R"({"metadata":{"name":"n"},"status":{"allocatable":{"pods":"7"}}})"))
                ->max_pods,
            7);
  EXPECT_EQ(DecodeNode(Parse(R"({"metadata":{"name":"n"}})"))->max_pods, kUnlimitedPods);
  EXPECT_EQ(DecodeVolumeLimits(Parse(
                R"({"spec":{"drivers":[{"name":"a","allocatable":{"count":3}},{"name":"b"}]}})")),
            (std::map<std::string, std::int32_t>{{"a", 3}}));
}

}  // namespace
}  // namespace spillway
