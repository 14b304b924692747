#include "site/strangers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace spillway::site {
namespace {

using testing::SizeIs;

store::ObjectPtr PodWith(const std::string& ns, const std::string& name, const std::string& spec,
                         const std::string& metadata = "") {
  auto object = std::make_shared<store::StoredObject>();
  object->key = {"Pod", ns, name};
  object->body = *ParseJson(fmt::format(
      R"({{"metadata":{{"name":"{}","namespace":"{}"{}}},"spec":{{"nodeName":"site-1","containers":[
          {{"name":"c","resources":{{"requests":{{"cpu":"500m","memory":"1Gi","nvidia.com/gpu":"1"}}}}}}]{}}}}})",
      name, ns, metadata, spec));
  return object;
}

class StrangersTest : public testing::Test {
 protected:
  StrangersTest() {
    Policy policy;
    policy.name = "lab";
    policy.namespaces = {"lab"};
    policies_ = {policy};
    BurstNode rented;
    rented.name = "bn-00001";
    burst_nodes_ = {rented};
    Node node;
    node.name = "site-1";
    snapshot_.nodes = {node};
    snapshot_.quotas = {{.ns = "web"}};
  }

  bool Takes(const store::ObjectPtr& pod) {
    Strangers strangers(burst_nodes_, policies_);
    return strangers.Take(pod);
  }

  std::vector<Policy> policies_;
  std::vector<BurstNode> burst_nodes_;
  Snapshot snapshot_;
};

TEST_F(StrangersTest, TheirRoomIsTakenOnTheirNodesAndFromQuotas) {
  Strangers strangers(burst_nodes_, policies_);
  EXPECT_TRUE(strangers.Take(PodWith("web", "a", "")));
  EXPECT_TRUE(strangers.Take(PodWith("web", "b", "")));
  strangers.AddTo(snapshot_);
  EXPECT_EQ(snapshot_.nodes[0].taken.cpu_milli, 1'000);
  EXPECT_EQ(snapshot_.nodes[0].taken.memory_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(snapshot_.nodes[0].taken.gpus, 2);
  EXPECT_EQ(snapshot_.nodes[0].taken_pods, 2);
  EXPECT_EQ(snapshot_.quotas[0].gpus_used, 2);
  EXPECT_EQ(snapshot_.quotas[0].pods_used, 2);
}

TEST_F(StrangersTest, WhoMattersOtherwiseIsNone) {
  EXPECT_FALSE(Takes(PodWith("lab", "a", ""))) << "a policy names its namespace";
  EXPECT_TRUE(Takes(
      PodWith("lab", "a", "", R"(,"ownerReferences":[{"kind":"ReplicaSet","name":"server"}])")));
  EXPECT_FALSE(
      Takes(PodWith("web", "a", "", R"(,"ownerReferences":[{"kind":"Job","name":"sweep"}])")));
  EXPECT_FALSE(
      Takes(PodWith("web", "a", "", R"(,"annotations":{"spillway.dev/expected-duration":"5m"})")));
  for (const char* spec :
       {R"(,"nodeName":"")", R"(,"nodeName":"bn-00001")", R"(,"activeDeadlineSeconds":60)",
        R"(,"hostNetwork":true)", R"(,"volumes":[{"name":"v","persistentVolumeClaim":{}}])",
        R"(,"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[]}})",
        R"(,"initContainers":[{"name":"i","ports":[{"hostPort":80}]}])"})
    EXPECT_FALSE(Takes(PodWith("web", "a", spec))) << spec;
}

TEST_F(StrangersTest, WhoARuleNamesIsGivenBack) {
  Strangers strangers(burst_nodes_, policies_);
  const auto named = PodWith("web", "a", "", R"(,"labels":{"app":"db"})");
  EXPECT_TRUE(strangers.Take(named));
  EXPECT_TRUE(strangers.Take(PodWith("web", "b", "", R"(,"labels":{"app":"shop"})")));
  const PodSelector selector{.namespaces = {"web"},
                             .labels = {{"app", SelectorOperator::kIn, {"db"}}}};
  EXPECT_THAT(strangers.NamedBy({}), SizeIs(0));
  EXPECT_THAT(strangers.NamedBy({{selector}}), testing::ElementsAre(named));
  strangers.AddTo(snapshot_);
  EXPECT_EQ(snapshot_.nodes[0].taken_pods, 1);
}

}  // namespace
}  // namespace spillway::site
