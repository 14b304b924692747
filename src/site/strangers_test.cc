#include "site/strangers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "site/test_pods.h"

namespace spillway::site {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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

  Strangers Look(const std::vector<store::ObjectPtr>& promised = {}) const {
    return {pods_.store(), burst_nodes_, policies_, promised};
  }
  bool IsStranger(const std::string& ns, const std::string& spec,
                  const std::string& metadata = "") {
    pods_.Put(ns, "a", spec, metadata);
    return Look().others().empty();
  }

  PodStore pods_;
  std::vector<Policy> policies_;
  std::vector<BurstNode> burst_nodes_;
  Snapshot snapshot_;
};

TEST_F(StrangersTest, TheirRoomIsTakenOnTheirNodesAndFromQuotas) {
  pods_.Put("web", "a");
  pods_.Put("web", "b");
  pods_.Put("shop", "c", R"(,"nodeName":"nobody-knows-it")");
  pods_.Put("web", "d", "", "", "Succeeded");
  const Strangers strangers = Look();
  EXPECT_THAT(strangers.others(), IsEmpty());
  strangers.AddTo(snapshot_);
  EXPECT_EQ(snapshot_.nodes[0].taken.cpu_milli, 1'000);
  EXPECT_EQ(snapshot_.nodes[0].taken.memory_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(snapshot_.nodes[0].taken.gpus, 2);
  EXPECT_EQ(snapshot_.nodes[0].taken_pods, 2);
  EXPECT_EQ(snapshot_.quotas[0].gpus_used, 2);
  EXPECT_EQ(snapshot_.quotas[0].pods_used, 2);
}

TEST_F(StrangersTest, WhoMattersOtherwiseIsNone) {
  EXPECT_TRUE(IsStranger("web", ""));
  EXPECT_FALSE(IsStranger("web", "", R"(,"ownerReferences":[{"kind":"Job","name":"sweep"}])"));
  EXPECT_FALSE(IsStranger("web", "", R"(,"annotations":{"spillway.dev/expected-duration":"5m"})"));
  for (const char* spec :
       {R"(,"nodeName":"")", R"(,"nodeName":"bn-00001")", R"(,"activeDeadlineSeconds":60)",
        R"(,"hostNetwork":true)", R"(,"volumes":[{"name":"v","persistentVolumeClaim":{}}])",
        R"(,"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[]}})",
        R"(,"initContainers":[{"name":"i","ports":[{"hostPort":80}]}])"})
    EXPECT_FALSE(IsStranger("web", spec)) << spec;
  pods_.Remove("web", "a");
  EXPECT_TRUE(
      IsStranger("lab", "", R"(,"ownerReferences":[{"kind":"ReplicaSet","name":"server"}])"));
  EXPECT_FALSE(IsStranger("lab", "")) << "a policy names its namespace";
}

TEST_F(StrangersTest, WhoIsNoneTakesNoRoomAsAStranger) {
  burst_nodes_[0].name = "site-1";
  const auto rented = pods_.Put("lab", "a");  // for two reasons
  const auto named = pods_.Put("lab", "b", R"(,"nodeName":"site-2")");
  pods_.Put("web", "c", R"(,"nodeName":"site-2")");
  Node other;
  other.name = "site-2";
  snapshot_.nodes.push_back(other);
  snapshot_.quotas.push_back({.ns = "lab"});
  const Strangers strangers = Look();
  EXPECT_THAT(strangers.others(), ElementsAre(rented, named));
  strangers.AddTo(snapshot_);
  EXPECT_EQ(snapshot_.nodes[0].taken_pods, 0);
  EXPECT_EQ(snapshot_.nodes[0].taken, Resources());
  EXPECT_EQ(snapshot_.nodes[1].taken_pods, 1);
  EXPECT_EQ(snapshot_.nodes[1].taken.gpus, 1);
  EXPECT_EQ(snapshot_.quotas[0].pods_used, 1);
  EXPECT_EQ(snapshot_.quotas[1].pods_used, 0);
}

TEST_F(StrangersTest, WhoARuleNamesIsGivenBack) {
  const auto named = pods_.Put("web", "a", "", R"(,"labels":{"app":"db"})");
  pods_.Put("web", "b", "", R"(,"labels":{"app":"shop"})");
  const PodSelector selector{.namespaces = {"web"},
                             .labels = {{"app", SelectorOperator::kIn, {"db"}}}};
  for (const char* rule :
       {R"(,"affinity":{"podAffinity":{}})", R"(,"affinity":{"podAntiAffinity":{}})",
        R"(,"topologySpreadConstraints":[])"}) {
    const auto has_it = pods_.Put("lab", "c", std::string(R"(,"nodeName":"")") + rule);
    Strangers strangers = Look();
    EXPECT_THAT(strangers.NamedBy({}), IsEmpty());
    EXPECT_THAT(strangers.NamedBy({{selector}}), ElementsAre(named)) << rule;
    Snapshot snapshot = snapshot_;
    strangers.AddTo(snapshot);
    EXPECT_EQ(snapshot.nodes[0].taken_pods, 1);
    EXPECT_EQ(snapshot.quotas[0].pods_used, 1);
    pods_.Remove("lab", "c");
    EXPECT_THAT(Look({has_it}).NamedBy({{selector}}), ElementsAre(named)) << "a promised pod's";
  }
}

}  // namespace
}  // namespace spillway::site
