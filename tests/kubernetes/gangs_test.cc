// Gangs of every kind. No controller of JobSet or Kubeflow runs here: the cases make the Jobs and
// pods that those would make, with their labels and owners.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

using ::testing::HasSubstr;

const kube::Resource kJobSets{"jobset.x-k8s.io", "v1alpha2", "jobsets", true};
const kube::Resource kPyTorchJobs{"kubeflow.org", "v1", "pytorchjobs", true};
const kube::Resource kMpiJobs{"kubeflow.org", "v1", "mpijobs", true};

// Two GPUs each: the site has one.
constexpr std::string_view kPodSpec = R"json({"restartPolicy":"Never",
  "terminationGracePeriodSeconds":1,MORE
  "containers":[{"name":"main","image":"registry.local/training/numpy:12",
    "command":["/bin/sh","-c","echo done"],
    "resources":{"limits":{"nvidia.com/gpu":"2"},"requests":{"cpu":"50m","memory":"32Mi"}}}]})json";
// One machine for each pod.
constexpr std::string_view kApart = R"json("affinity":{"podAntiAffinity":
  {"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"kubernetes.io/hostname",
   "labelSelector":{"matchLabels":{"apart":"yes"}}}]}},)json";

class GangsTest : public KubernetesTest {
 protected:
  static json::value Json(const std::string& text) {
    const auto value = ParseJson(text);
    EXPECT_TRUE(value) << text;
    return value ? *value : json::value(json::object{});
  }
  static json::value PodSpec(std::string_view more) {
    std::string text(kPodSpec);
    return Json(text.replace(text.find("MORE"), 4, more));
  }
  json::object Owner(const kube::Resource& resource, const std::string& kind,
                     const std::string& name) const {
    const auto owner = k().Find(resource, ns_, name);
    EXPECT_TRUE(owner) << kind << " " << name;
    return {{"apiVersion", resource.ApiVersion()},
            {"kind", kind},
            {"name", name},
            {"uid", owner ? UidOf(*owner) : ""},
            {"controller", true}};
  }
  void ApplyObject(const std::string& version, const std::string& kind, const std::string& name,
                   const std::string& spec) const {
    Apply(
        json::serialize(json::object{{"apiVersion", version},
                                     {"kind", kind},
                                     {"metadata", json::object{{"name", name}, {"namespace", ns_}}},
                                     {"spec", Json(spec)}}));
  }
  void ApplyPod(const std::string& name, json::object labels, json::array owners,
                std::string_view more = "") const {
    Apply(json::serialize(
        json::object{{"apiVersion", "v1"},
                     {"kind", "Pod"},
                     {"metadata", json::object{{"name", name},
                                               {"namespace", ns_},
                                               {"labels", std::move(labels)},
                                               {"ownerReferences", std::move(owners)}}},
                     {"spec", PodSpec(more)}}));
  }
  // As the JobSet controller makes it: one Job with one pod.
  void ApplyJobOfSet(const std::string& set, int index) const {
    const json::object labels{{"jobset.sigs.k8s.io/jobset-name", set},
                              {"jobset.sigs.k8s.io/replicatedjob-name", "worker"},
                              {"jobset.sigs.k8s.io/job-index", std::to_string(index)},
                              {"apart", "yes"}};
    Apply(json::serialize(json::object{
        {"apiVersion", "batch/v1"},
        {"kind", "Job"},
        {"metadata",
         json::object{{"name", fmt::format("{}-worker-{}", set, index)},
                      {"namespace", ns_},
                      {"labels", labels},
                      {"ownerReferences", json::array{Owner(kJobSets, "JobSet", set)}}}},
        {"spec",
         json::object{{"template", json::object{{"metadata", json::object{{"labels", labels}}},
                                                {"spec", PodSpec(kApart)}}}}}}));
  }
  // The example: two workers of one pod each.
  void ApplyJobSet(const std::string& name) const {
    Apply(Filled(ReadFile(SPILLWAY_SOURCE_DIR "/examples/kubernetes/jobset.yaml"),
                 {{"name: pretrain", "name: " + name}, {"namespace: nlp", "namespace: " + ns_}}));
  }

  // Until a person reads on the pod what its gang waits for.
  void ExpectWaits(const std::string& pod, const std::string& words) {
    const bool told = Eventually(
        [&] {
          for (const json::value& event : EventsOf("Pod", pod))
            if (Text(event, {"message"}).find(words) != std::string::npos) return true;
          return false;
        },
        60s);
    EXPECT_TRUE(told) << pod << " is not told: " << words << "\n" << Story();
  }
  std::vector<json::value> NodesOfGang(const std::string& gang) const {
    std::vector<json::value> nodes;
    for (json::value& node : BurstNodes())
      if (Text(node, {"spec", "gang"}) == gang) nodes.push_back(std::move(node));
    return nodes;
  }
  // Its machines came, ran its pods and went, none of them with a failure.
  void ExpectGangRan(const std::string& gang) {
    const bool gone = Eventually(
        [&] {
          const auto nodes = NodesOfGang(gang);
          return !nodes.empty() && std::ranges::all_of(nodes, [](const auto& node) {
            return Text(node, {"status", "phase"}) == "Gone";
          });
        },
        240s);
    EXPECT_TRUE(gone) << gang << "\n" << Story();
    for (const json::value& node : NodesOfGang(gang)) {
      EXPECT_EQ(Text(node, {"status", "failure"}), "") << CanonicalJson(node);
      EXPECT_THAT(CanonicalJson(*FindPath(node, {"status", "history"})), HasSubstr("Running"));
    }
  }
};

TEST_F(GangsTest, AJobSetWaitsForItsPodsAndThenLeavesWhole) {
  StartDaemons();
  ApplyRules();
  ApplyJobSet("train");
  ApplyJobOfSet("train", 0);
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return Pods("train-worker-0").size() == 1; }, 30s)) << Story();
  ExpectWaits(NameOf(Pods("train-worker-0").front()),
              "waits for the other pods of the gang: 1 of 2 is there");
  EXPECT_TRUE(BurstNodes().empty()) << Story();
  const auto explained = Leader()->Get("/api/v1/explain?workload=" + ns_ + "/JobSet/train");
  ASSERT_TRUE(explained) << explained.error().message;
  EXPECT_THAT(CanonicalJson(*explained), HasSubstr("1 of 2 is there"));
  ApplyJobOfSet("train", 1);
  ExpectGangRan(ns_ + "/JobSet/train");
  ExpectComplete("train-worker-0", 20s);
  ExpectComplete("train-worker-1", 20s);
  EXPECT_EQ(ExpectNothingLeft(), 2);
}

// The second machine never joins: the first is given back, and paid; then both are tried again.
TEST_F(GangsTest, OfAGangAllMachinesAreThereOrNoneIsKept) {
  WriteFile(k().hold_file(), "bn-00002");
  StartDaemons();  // the first has to be there before the second is given up
  ApplyRules();
  ApplyJobSet("train");
  ApplyJobOfSet("train", 0);
  ApplyJobOfSet("train", 1);
  if (HasFatalFailure()) return;
  ASSERT_TRUE(Eventually([&] { return PhaseOf("bn-00001") == "Gone"; }, 300s)) << Story();
  std::filesystem::remove(k().hold_file());
  ASSERT_TRUE(Eventually([&] { return PhaseOf("bn-00002") == "Gone"; }, 60s)) << Story();
  const json::value first = *k().Find(kBurstNodes, "", "bn-00001"),
                    second = *k().Find(kBurstNodes, "", "bn-00002");
  EXPECT_EQ(Text(first, {"status", "failure"}), "GangFailed");
  EXPECT_EQ(Text(second, {"status", "failure"}), "BootTimeout");
  for (const json::value& node : {first, second})
    EXPECT_THAT(CanonicalJson(*FindPath(node, {"status", "history"})),
                ::testing::Not(HasSubstr("Running")))
        << "no pod may start while its gang is not whole";
  EXPECT_NE(Text(first, {"status", "cost"}), "") << "what came is paid";
  ExpectComplete("train-worker-0",
                 600s);  // its offers rest for ten minutes of a clock twice as fast
  ExpectComplete("train-worker-1", 60s);
  EXPECT_EQ(ExpectNothingLeft(), 4);
}

TEST_F(GangsTest, EveryKindWaitsForItsPods) {
  StartDaemons();
  ApplyRules();
  ApplyObject("kubeflow.org/v1", "PyTorchJob", "torch",
              R"({"pytorchReplicaSpecs":{"Master":{"replicas":1},"Worker":{"replicas":1}}})");
  ApplyObject("kubeflow.org/v1", "MPIJob", "mpi",
              R"({"mpiReplicaSpecs":{"Launcher":{"replicas":1},"Worker":{"replicas":1}}})");
  ApplyObject("scheduling.k8s.io/v1alpha2", "PodGroup", "own",
              R"({"schedulingPolicy":{"gang":{"minCount":2}}})");
  ApplyObject("scheduling.x-k8s.io/v1alpha1", "PodGroup", "plugins", R"({"minMember":2})");
  if (HasFatalFailure()) return;
  const auto kubeflow = [&](const kube::Resource& resource, const std::string& kind,
                            const std::string& name, const std::string& role) {
    ApplyPod(
        name + "-" + role,
        {{"training.kubeflow.org/job-name", name}, {"training.kubeflow.org/replica-type", role}},
        {Owner(resource, kind, name)});
  };
  const std::string grouped = R"("schedulingGroup":{"podGroupName":"own"},)";
  const json::object label{{"scheduling.x-k8s.io/pod-group", "plugins"}};
  kubeflow(kPyTorchJobs, "PyTorchJob", "torch", "master");
  kubeflow(kMpiJobs, "MPIJob", "mpi", "worker");
  ApplyPod("own-0", {}, {}, grouped);
  ApplyPod("plugins-0", label, {});
  for (const char* pod : {"torch-master", "mpi-worker", "own-0", "plugins-0"})
    ExpectWaits(pod, "waits for the other pods of the gang: 1 of 2 is there");
  EXPECT_TRUE(BurstNodes().empty()) << Story();
  kubeflow(kPyTorchJobs, "PyTorchJob", "torch", "worker");
  ExpectGangRan(ns_ + "/PyTorchJob/torch");
  kubeflow(kMpiJobs, "MPIJob", "mpi", "launcher");
  ExpectGangRan(ns_ + "/MPIJob/mpi");
  ApplyPod("own-1", {}, {}, grouped);
  ExpectGangRan(ns_ + "/PodGroup/own");
  ApplyPod("plugins-1", label, {});
  ExpectGangRan(ns_ + "/PodGroup.scheduling.x-k8s.io/plugins");
  EXPECT_GE(ExpectNothingLeft(), 4);
}

}  // namespace
}  // namespace spillway::kubernetes_test
