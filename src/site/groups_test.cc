#include "site/groups.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/encoding.h"
#include "plan/planner.h"
#include "site/snapshot.h"

namespace spillway::site {
namespace {

using ::testing::HasSubstr;

class GroupsTest : public ::testing::Test {
 protected:
  GroupsTest() : clock_(*ParseTime("2026-11-24T08:00:00Z")) {
    char dir[] = "/tmp/spillway-groups-XXXXXX";
    dir_ = mkdtemp(dir);
    auto store = store::Store::Open({.path = dir_ + "/state.db",
                                     .clock = &clock_,
                                     .sign = [](std::string_view m) { return Sha256Hex(m); },
                                     .public_key = "k"});
    store_ = std::move(*store);
  }
  ~GroupsTest() override { std::filesystem::remove_all(dir_); }

  void Put(const std::string& kind, const std::string& name, const std::string& text) {
    const auto body = ParseJson(text);
    ASSERT_TRUE(body) << body.error().message << text;
    ASSERT_TRUE(store_->Apply({{{kind, "ml", name}, *body, std::nullopt}}));
  }
  static std::string Owner(const std::string& kind, const std::string& name,
                           const std::string& version) {
    return fmt::format(
        R"("ownerReferences":[{{"apiVersion":"{}","kind":"{}","name":"{}","controller":true}}])",
        version, kind, name);
  }
  void PutPod(const std::string& name, const std::string& metadata, const std::string& spec = "",
              const std::string& phase = "Pending") {
    Put("Pod", name,
        fmt::format(R"({{"metadata":{{{}}},"spec":{{{}"containers":[{{"name":"c","resources":)"
                    R"({{"limits":{{"nvidia.com/gpu":1}}}}}}]}},"status":{{"phase":"{}",)"
                    R"("conditions":[{{"type":"PodScheduled","status":"False",)"
                    R"("reason":"Unschedulable"}}]}}}})",
                    metadata, spec, phase));
  }
  // A Job of JobSet "train" with one pod for each name.
  void PutJobOfSet(const std::string& job, const std::string& replicated, int parallelism,
                   const std::vector<std::string>& pods, int succeeded = 0) {
    Put("Job", job,
        fmt::format(R"({{"metadata":{{"labels":{{"jobset.sigs.k8s.io/jobset-name":"train",)"
                    R"("jobset.sigs.k8s.io/replicatedjob-name":"{}"}},{}}},)"
                    R"("spec":{{"parallelism":{},"completions":{}}},"status":{{"succeeded":{}}}}})",
                    replicated, Owner("JobSet", "train", "jobset.x-k8s.io/v1alpha2"), parallelism,
                    parallelism, succeeded));
    for (const std::string& pod : pods)
      PutPod(pod, R"("labels":{"jobset.sigs.k8s.io/jobset-name":"train"},)" +
                      Owner("Job", job, "batch/v1"));
  }
  std::optional<store::ObjectKey> Group(const std::string& pod) {
    return GroupOf(*store_, *store_->Get({"Pod", "ml", pod}));
  }
  std::optional<std::int64_t> Size(const std::string& kind, const std::string& name) {
    return GroupSize(*store_, {kind, "ml", name});
  }
  SnapshotResult Snap() {
    SnapshotInputs inputs;
    inputs.now = clock_.Now();
    return BuildSnapshot(*store_, std::move(inputs));
  }

  ManualClock clock_;
  std::string dir_;
  std::unique_ptr<store::Store> store_;
};

constexpr std::string_view kTrain = R"({"spec":{"replicatedJobs":[
    {"name":"driver","replicas":1,"template":{"spec":{"parallelism":1,"completions":1}}},
    {"name":"worker","replicas":3,"template":{"spec":{"parallelism":2,"completions":2}}}]}})";

TEST_F(GroupsTest, JobSetIsTheOwnerOfTheJob) {
  Put(kJobSet, "train", std::string(kTrain));
  PutJobOfSet("train-worker-0", "worker", 2, {"w-0", "w-1"});
  EXPECT_EQ(Group("w-0"), (store::ObjectKey{kJobSet, "ml", "train"}));
  EXPECT_EQ(Size(kJobSet, "train"), 7);
}

TEST_F(GroupsTest, JobSetNeedsFewerPodsWhenSomeAreDone) {
  Put(kJobSet, "train", std::string(kTrain));
  PutJobOfSet("train-driver-0", "driver", 1, {}, 1);
  PutJobOfSet("train-worker-0", "worker", 2, {"w-0"}, 1);
  EXPECT_EQ(Size(kJobSet, "train"), 0 + 1 + 2 * 2);
}

TEST_F(GroupsTest, PartsOfAJobSetThatComeLaterAreNotWaitedFor) {
  Put(kJobSet, "train", R"({"spec":{"replicatedJobs":[
      {"name":"prepare","replicas":1,"template":{"spec":{"parallelism":1}}},
      {"name":"worker","replicas":4,"dependsOn":[{"name":"prepare","status":"Complete"}],
       "template":{"spec":{"parallelism":1}}}]}})");
  EXPECT_EQ(Size(kJobSet, "train"), 1);
  Put(kJobSet, "train", R"({"spec":{"startupPolicy":{"startupPolicyOrder":"InOrder"},
      "replicatedJobs":[{"name":"a","replicas":2},{"name":"b","replicas":3}]}})");
  EXPECT_EQ(Size(kJobSet, "train"), 2);
}

TEST_F(GroupsTest, APodIsKnownByItsLabelBeforeItsJobIs) {
  PutPod("w-0", R"("labels":{"jobset.sigs.k8s.io/jobset-name":"train"},)" +
                    Owner("Job", "train-worker-0", "batch/v1"));
  EXPECT_EQ(Group("w-0"), std::nullopt);
  Put(kJobSet, "train", std::string(kTrain));
  EXPECT_EQ(Group("w-0"), (store::ObjectKey{kJobSet, "ml", "train"}));
  // The Job says that nobody owns it: somebody copied the label.
  Put("Job", "train-worker-0", R"({"metadata":{},"spec":{}})");
  EXPECT_EQ(Group("w-0"), std::nullopt);
}

TEST_F(GroupsTest, KubeflowJobsOwnTheirPods) {
  PutPod("p-0", Owner("PyTorchJob", "bert", "kubeflow.org/v1"));
  EXPECT_EQ(Group("p-0"), (store::ObjectKey{kPyTorchJob, "ml", "bert"}));
  EXPECT_EQ(Size(kPyTorchJob, "bert"), std::nullopt) << "it is not there yet";
  Put(kPyTorchJob, "bert",
      R"({"spec":{"pytorchReplicaSpecs":{"Master":{},"Worker":{"replicas":3}}}})");
  EXPECT_EQ(Size(kPyTorchJob, "bert"), 4);
  Put(kPyTorchJob, "bert", R"({"spec":{"pytorchReplicaSpecs":{"Master":{},"Worker":{"replicas":3}}},
      "status":{"replicaStatuses":{"Master":{"succeeded":1}}}})");
  EXPECT_EQ(Size(kPyTorchJob, "bert"), 3);
  Put(kPyTorchJob, "bert", R"({"spec":{"pytorchReplicaSpecs":{"Worker":{"replicas":3}},
      "runPolicy":{"schedulingPolicy":{"minAvailable":2}}}})");
  EXPECT_EQ(Size(kPyTorchJob, "bert"), 2);
  PutPod("stranger", Owner("PyTorchJob", "bert", "example.org/v1"));
  EXPECT_EQ(Group("stranger"), std::nullopt);
}

TEST_F(GroupsTest, TheLauncherOfAnMpiJobBelongsToItThroughItsJob) {
  Put(kMpiJob, "allreduce",
      R"({"spec":{"mpiReplicaSpecs":{"Launcher":{},"Worker":{"replicas":2}}}})");
  Put("Job", "allreduce-launcher",
      "{\"metadata\":{" + Owner("MPIJob", "allreduce", "kubeflow.org/v2beta1") + R"(},"spec":{}})");
  PutPod("launcher", Owner("Job", "allreduce-launcher", "batch/v1"));
  EXPECT_EQ(Group("launcher"), (store::ObjectKey{kMpiJob, "ml", "allreduce"}));
  EXPECT_EQ(Size(kMpiJob, "allreduce"), 3);
  Put(kMpiJob, "allreduce", R"({"spec":{"launcherCreationPolicy":"WaitForWorkersReady",
      "mpiReplicaSpecs":{"Launcher":{},"Worker":{"replicas":2}}}})");
  EXPECT_EQ(Size(kMpiJob, "allreduce"), 2);
}

TEST_F(GroupsTest, PodGroupsOfTheCluster) {
  PutPod("a", "", R"("schedulingGroup":{"podGroupName":"ring"},)");
  EXPECT_EQ(Group("a"), (store::ObjectKey{kPodGroup, "ml", "ring"}))
      << "without its object nobody knows how large it is";
  Put(kPodGroup, "ring", R"({"spec":{"schedulingPolicy":{"gang":{"minCount":3}}}})");
  EXPECT_EQ(Size(kPodGroup, "ring"), 3);
  PutPod("b", "", R"("schedulingGroup":{"podGroupName":"ring"},)", "Succeeded");
  EXPECT_EQ(Size(kPodGroup, "ring"), 2) << "one has ended";
  Put(kPodGroup, "ring", R"({"spec":{"schedulingPolicy":{"basic":{}}}})");
  EXPECT_EQ(Group("a"), std::nullopt);
}

TEST_F(GroupsTest, PodGroupsOfSchedulerPlugins) {
  PutPod("a", R"("labels":{"scheduling.x-k8s.io/pod-group":"ring"})");
  EXPECT_EQ(Group("a"), std::nullopt) << "only a label";
  Put(kPluginsPodGroup, "ring", R"({"spec":{"minMember":2}})");
  EXPECT_EQ(Group("a"), (store::ObjectKey{kPluginsPodGroup, "ml", "ring"}));
  EXPECT_EQ(Size(kPluginsPodGroup, "ring"), 2);
}

TEST_F(GroupsTest, TheSnapshotWaitsForTheWholeGang) {
  Put(kJobSet, "train", std::string(kTrain));
  PutJobOfSet("train-worker-0", "worker", 2, {"w-0", "w-1"});
  PutJobOfSet("train-worker-1", "worker", 2, {"w-2"});
  Snapshot snapshot = Snap().snapshot;
  ASSERT_EQ(snapshot.workloads.size(), 1u);
  EXPECT_EQ(snapshot.workloads[0].key, "ml/JobSet/train");
  EXPECT_TRUE(snapshot.workloads[0].gang);
  EXPECT_EQ(snapshot.workloads[0].pods.size(), 3u);
  EXPECT_EQ(snapshot.workloads[0].incomplete, "for the other pods of the gang: 3 of 7 are there");
  for (const Pod& pod : snapshot.pods) EXPECT_FALSE(pod.unschedulable);
  PutJobOfSet("train-worker-1", "worker", 2, {"w-3"});
  PutJobOfSet("train-worker-2", "worker", 2, {"w-4", "w-5"});
  PutJobOfSet("train-driver-0", "driver", 1, {"d-0"});
  snapshot = Snap().snapshot;
  EXPECT_EQ(snapshot.workloads[0].pods.size(), 7u);
  EXPECT_EQ(snapshot.workloads[0].incomplete, "");
  for (const Pod& pod : snapshot.pods) EXPECT_TRUE(pod.unschedulable);
}

TEST_F(GroupsTest, PeopleAreToldWhatAGangWaitsFor) {
  ASSERT_TRUE(store_->Apply({{{"BurstPolicy", "", "all"},
                              *ParseJson(R"({"metadata":{"name":"all"},"spec":{"namespaces":["ml"],
                                  "dataClasses":["public"],"jurisdiction":{"regions":["EU"],
                                  "usNexus":"none"},"price":{"maxPerGpuHour":"4 EUR"}}})"),
                              std::nullopt}}));
  PutPod("p-0", Owner("PyTorchJob", "bert", "kubeflow.org/v1"));
  const SnapshotResult unknown = Snap();
  ASSERT_TRUE(unknown.problems.empty()) << unknown.problems[0];
  Plan plan = plan::MakePlan(unknown.snapshot);
  ASSERT_EQ(plan.decisions.size(), 1u);
  EXPECT_EQ(plan.decisions[0].reason, Reason::kIncomplete);
  EXPECT_THAT(plan.decisions[0].sentence, HasSubstr("PyTorchJob bert"));
  Put(kPyTorchJob, "bert", R"({"spec":{"pytorchReplicaSpecs":{"Worker":{"replicas":3}}}})");
  plan = plan::MakePlan(Snap().snapshot);
  EXPECT_EQ(plan.decisions[0].verdict, Verdict::kWait);
  EXPECT_EQ(plan.decisions[0].sentence, "waits for the other pods of the gang: 1 of 3 is there");
}

}  // namespace
}  // namespace spillway::site
