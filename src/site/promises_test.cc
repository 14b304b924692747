#include "site/promises.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/encoding.h"
#include "site/snapshot.h"

namespace spillway::site {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PromisesTest : public ::testing::Test {
 protected:
  PromisesTest() : clock_(*ParseTime("2026-11-24T08:00:00Z")) {
    char dir[] = "/tmp/spillway-promises-XXXXXX";
    dir_ = mkdtemp(dir);
    auto store = store::Store::Open({.path = dir_ + "/state.db",
                                     .clock = &clock_,
                                     .sign = [](std::string_view m) { return Sha256Hex(m); },
                                     .public_key = "k"});
    store_ = std::move(*store);
    PutTemplate("worker", 2);
    PutRequest("");
  }
  ~PromisesTest() override { std::filesystem::remove_all(dir_); }

  void Put(const std::string& kind, const std::string& name, const std::string& text) {
    const auto body = ParseJson(text);
    ASSERT_TRUE(body) << body.error().message << text;
    store_->Mirror({{{kind, "ml", name}, *body}});
  }
  void PutTemplate(const std::string& name, int gpus, const std::string& spec = "") {
    Put(kPodTemplate, name,
        fmt::format(
            R"({{"template":{{"metadata":{{"labels":{{"app":"x"}}}},"spec":{{{}"containers":)"
            R"([{{"name":"c","resources":{{"limits":{{"nvidia.com/gpu":{}}}}}}}]}}}}}})",
            spec, gpus));
  }
  void PutRequest(const std::string& conditions,
                  const std::string& name_of_class = "burst.spillway.dev", int count = 2) {
    Put(kProvisioningRequest, "ahead",
        fmt::format(R"({{"metadata":{{"uid":"r1","creationTimestamp":"2026-11-24T07:59:00Z"}},)"
                    R"("spec":{{"provisioningClassName":"{}","podSets":[{{"count":{},)"
                    R"("podTemplateRef":{{"name":"worker"}}}}]}},"status":{{"conditions":[{}]}}}})",
                    name_of_class, count, conditions));
  }
  void PutPod(const std::string& name, int gpus, const std::string& node = "") {
    Put("Pod", name,
        fmt::format(R"({{"metadata":{{"uid":"uid-{}","annotations":)"
                    R"({{"autoscaling.x-k8s.io/consume-provisioning-request":"ahead"}}}},)"
                    R"("spec":{{"nodeName":"{}","containers":[{{"name":"c","resources":)"
                    R"({{"limits":{{"nvidia.com/gpu":{}}}}}}}]}},"status":{{"phase":"Pending"}}}})",
                    name, node, gpus));
  }
  void Hold(const std::string& node, const std::vector<PodRef>& pods) {
    BurstNode& one = nodes_.emplace_back();
    one.name = node, one.workload = "ml/ProvisioningRequest/ahead";
    one.phase = Phase::kRunning, one.pods = pods;
  }
  Promises Find() { return FindPromises(*store_, nodes_); }
  std::vector<std::string> Waiting() {
    std::vector<std::string> names;
    for (const auto& pod : Find().pods) names.push_back(pod->key.name);
    return names;
  }

  static constexpr const char* kReady =
      R"({"type":"Provisioned","status":"True","reason":"NodesReady"})";
  ManualClock clock_;
  std::string dir_;
  std::unique_ptr<store::Store> store_;
  std::vector<BurstNode> nodes_;
};

TEST_F(PromisesTest, TheSnapshotShowsWaitingPodsOfOneGang) {
  SnapshotInputs inputs;
  inputs.now = clock_.Now();
  const SnapshotResult built = BuildSnapshot(*store_, std::move(inputs));
  ASSERT_TRUE(built.problems.empty()) << built.problems[0];
  const Snapshot& s = built.snapshot;
  ASSERT_EQ(s.workloads.size(), 1u);
  EXPECT_EQ(s.workloads[0].key, "ml/ProvisioningRequest/ahead");
  EXPECT_TRUE(s.workloads[0].gang);
  EXPECT_EQ(s.workloads[0].waiting_since, *ParseTime("2026-11-24T07:59:00Z"));
  ASSERT_EQ(s.pods.size(), 2u);
  EXPECT_EQ(s.pods[0].key, "ml/ahead:0:0");
  EXPECT_EQ(s.pods[0].uid, "r1/0:0");
  EXPECT_TRUE(s.pods[0].unschedulable);
  EXPECT_EQ(s.shapes[static_cast<std::size_t>(s.pods[0].shape)].requests.gpus, 2);
}

TEST_F(PromisesTest, OtherClassesAndRequestsThatAreOverPromiseNothing) {
  EXPECT_THAT(Waiting(), ElementsAre("ahead:0:0", "ahead:0:1"));
  PutRequest("", "check-capacity.autoscaling.x-k8s.io");
  EXPECT_THAT(Waiting(), ElementsAre());
  EXPECT_FALSE(StillPromised(*store_, {"ml/ahead:0:0", "r1/0:0"}));
  for (const char* end : {"Failed", "BookingExpired", "CapacityRevoked"}) {
    PutRequest(fmt::format(R"({{"type":"{}","status":"True","reason":"X"}})", end));
    EXPECT_THAT(Waiting(), ElementsAre()) << end;
    EXPECT_FALSE(StillPromised(*store_, {"ml/ahead:0:0", "r1/0:0"})) << end;
  }
  PutRequest(R"({"type":"Provisioned","status":"True","reason":"SiteHasRoom"})");
  EXPECT_THAT(Waiting(), ElementsAre());
}

TEST_F(PromisesTest, WhatIsBookedIsWhatNodesHold) {
  PutRequest(kReady);
  EXPECT_THAT(Waiting(), ElementsAre());
  Hold("bn-1", {{"ml/ahead:0:1", "r1/0:1"}});
  EXPECT_THAT(Waiting(), ElementsAre("ahead:0:1"));
  EXPECT_TRUE(StillPromised(*store_, {"ml/ahead:0:1", "r1/0:1"}));
  EXPECT_FALSE(StillPromised(*store_, {"ml/ahead:0:1", "r0/0:1"})) << "of an earlier request";
}

TEST_F(PromisesTest, APodThatComesTakesAPlace) {
  PutRequest(kReady);
  Hold("bn-1", {{"ml/ahead:0:0", "r1/0:0"}, {"ml/ahead:0:1", "r1/0:1"}});
  PutPod("a", 2);
  Promises promises = Find();
  EXPECT_EQ(promises.takes.at("uid-a"), "r1/0:0");
  EXPECT_EQ(promises.workloads.at("uid-a"), "ml/ProvisioningRequest/ahead");
  EXPECT_THAT(Waiting(), ElementsAre("ahead:0:1"));
  // Once it has the place it takes no other.
  nodes_[0].pods[0] = {"ml/a", "uid-a"};
  promises = Find();
  EXPECT_TRUE(promises.takes.empty());
  EXPECT_THAT(Waiting(), ElementsAre("ahead:0:1"));
  EXPECT_EQ(PodsThatCame(*store_, {kProvisioningRequest, "ml", "ahead"}, nodes_), 1u);
}

TEST_F(PromisesTest, APodThatComesBeforeTheMachinesIsNotCountedTwice) {
  PutPod("early", 2);
  EXPECT_THAT(Waiting(), ElementsAre("ahead:0:1"));
  EXPECT_TRUE(Find().takes.empty()) << "nothing is held yet";
  Hold("bn-1", {{"ml/early", "uid-early"}, {"ml/ahead:0:1", "r1/0:1"}});
  EXPECT_THAT(Waiting(), ElementsAre("ahead:0:1"));
}

TEST_F(PromisesTest, APodThatIsLargerThanAskedForIsAnOrdinaryOne) {
  PutRequest(kReady);
  Hold("bn-1", {{"ml/ahead:0:0", "r1/0:0"}});
  PutPod("large", 4);
  const Promises promises = Find();
  EXPECT_TRUE(promises.takes.empty());
  EXPECT_FALSE(promises.workloads.contains("uid-large"));
  EXPECT_THAT(Waiting(), ElementsAre("ahead:0:0"));
}

TEST_F(PromisesTest, WhatCannotBeCarriedOut) {
  const auto ask = [&] {
    return PromisedPods(*store_, *store_->Get({kProvisioningRequest, "ml", "ahead"}));
  };
  PutRequest("", "burst.spillway.dev", 1001);
  EXPECT_EQ(ask().error().code, Code::kInvalid);
  PutRequest("");
  PutTemplate("worker", 1, R"("priorityClassName":"gold",)");
  EXPECT_EQ(ask().error().code, Code::kInvalid);
  EXPECT_THAT(ask().error().message, HasSubstr("gold"));
  store_->Mirror({{{kPodTemplate, "ml", "worker"}, nullptr}});
  EXPECT_EQ(ask().error().code, Code::kNotFound);
}

TEST_F(PromisesTest, APromisedPodIsFoundForItsData) {
  const auto pod = FindPod(*store_, {"ml/ahead:0:1", "r1/0:1"});
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(pod->uid, "r1/0:1");
  PutPod("a", 2);
  EXPECT_NE(FindPod(*store_, {"ml/a", "uid-a"}), nullptr);
}

// The machine is prepared before the pod is there, so it has to be the right one.
TEST_F(PromisesTest, APodTakesThePlaceOfItsShard) {
  const std::string reads =
      R"("volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"in"}}],"containers":[{"name":)"
      R"("c","resources":{"limits":{"nvidia.com/gpu":2}},"volumeMounts":[{"name":"v","mountPath":)"
      R"("/in"}]}])";
  Put(kPodTemplate, "worker",
      R"({"template":{"metadata":{"annotations":{"spillway.dev/shard":"in=2"}},"spec":{)" + reads +
          "}}}");
  Hold("bn-1", {{"ml/ahead:0:0", "r1/0:0"}});
  Hold("bn-2", {{"ml/ahead:0:1", "r1/0:1"}});
  const auto pod = [&](int index) {
    Put("Pod", fmt::format("train-{}", index),
        fmt::format(R"({{"metadata":{{"uid":"uid-{}","annotations":{{"spillway.dev/shard":"in=2",)"
                    R"("batch.kubernetes.io/job-completion-index":"{}",)"
                    R"("autoscaling.x-k8s.io/consume-provisioning-request":"ahead"}}}},)"
                    R"("spec":{{{}}},"status":{{"phase":"Pending"}}}})",
                    index, index, reads));
  };
  const auto shards = [&] {
    SnapshotInputs inputs;
    inputs.now = clock_.Now();
    std::vector<std::string> all;
    for (const Pod& one : BuildSnapshot(*store_, std::move(inputs)).snapshot.pods)
      all.push_back(one.key + " " + one.shards);
    return all;
  };
  EXPECT_THAT(shards(), ElementsAre("ml/ahead:0:0 in=0/2", "ml/ahead:0:1 in=1/2"));
  pod(1);
  EXPECT_EQ(Find().takes, (std::map<std::string, std::string>{{"uid-1", "r1/0:1"}}));
  pod(0);
  EXPECT_EQ(Find().takes,
            (std::map<std::string, std::string>{{"uid-0", "r1/0:0"}, {"uid-1", "r1/0:1"}}));
  EXPECT_THAT(shards(), ElementsAre("ml/train-0 in=0/2", "ml/train-1 in=1/2"));
}

}  // namespace
}  // namespace spillway::site
