#include "site/shards.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "site/snapshot.h"

namespace spillway::site {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ShardsTest : public ::testing::Test {
 protected:
  ShardsTest() : clock_(*ParseTime("2026-11-24T08:00:00Z")) {
    auto store = store::Store::Open({.path = ":memory:",
                                     .clock = &clock_,
                                     .sign = [](std::string_view m) { return Sha256Hex(m); },
                                     .public_key = "k"});
    store_ = std::move(*store);
    Put("Dataset", "digits",
        R"({"metadata":{"name":"digits","namespace":"ml"},
            "spec":{"source":{"directory":"d"},"class":"internal"}})");
    Put("PersistentVolumeClaim", "in",
        R"({"metadata":{"name":"in","annotations":{"spillway.dev/dataset":"digits"}}})");
    Put("PersistentVolumeClaim", "code",
        R"({"metadata":{"name":"code","annotations":{"spillway.dev/dataset":"digits"}}})");
  }

  void Put(const std::string& kind, const std::string& name, const std::string& text) {
    const auto body = ParseJson(text);
    ASSERT_TRUE(body) << body.error().message << text;
    store_->Mirror({{{kind, "ml", name}, *body}});
  }
  // A waiting pod that reads the claims in and code, with `metadata` besides.
  store::ObjectPtr Pod(const std::string& name, const std::string& annotations,
                       const std::string& metadata = "") {
    Put("Pod", name,
        fmt::format(
            R"({{"metadata":{{"name":"{}","namespace":"ml","uid":"uid-{}",)"
            R"("annotations":{{{}}}{}}},"spec":{{"containers":[{{"name":"c","volumeMounts":[)"
            R"({{"name":"a","mountPath":"/in"}},{{"name":"b","mountPath":"/code"}}]}}],)"
            R"("volumes":[{{"name":"a","persistentVolumeClaim":{{"claimName":"in"}}}},)"
            R"({{"name":"b","persistentVolumeClaim":{{"claimName":"code"}}}}]}},)"
            R"("status":{{"phase":"Pending"}}}})",
            name, name, annotations, metadata));
    return store_->Get({"Pod", "ml", name});
  }
  std::string Shards(const std::string& annotations, const std::string& metadata = "") {
    const auto shards = ShardsOfPod(*store_, *Pod("p", annotations, metadata));
    return shards ? *shards : shards.error().message;
  }
  Snapshot Look() {
    SnapshotInputs inputs;
    inputs.now = clock_.Now();
    inputs.selected_bytes = [](const DatasetInfo&, const std::vector<std::string>& patterns) {
      return patterns.empty() ? 7 : 1001;
    };
    return BuildSnapshot(*store_, std::move(inputs)).snapshot;
  }

  static constexpr const char* kIndexed = R"("batch.kubernetes.io/job-completion-index":"2")";
  ManualClock clock_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(ShardsTest, ThePodsIndexIsItsShard) {
  const std::string cut = R"("spillway.dev/shard":"in=4")";
  EXPECT_EQ(Shards(cut + "," + kIndexed), "in=2/4");
  EXPECT_EQ(Shards(R"("spillway.dev/shard":"in=4; code=3",)" + std::string(kIndexed)),
            "in=2/4;code=2/3");
  EXPECT_EQ(Shards(kIndexed), "") << "nothing is cut unless it is said";
  const auto label = [](const char* key, const char* value) {
    return fmt::format(R"(,"labels":{{"{}":"{}"}})", key, value);
  };
  EXPECT_EQ(Shards(cut, label("apps.kubernetes.io/pod-index", "3")), "in=3/4");
  EXPECT_EQ(Shards(cut, R"(,"labels":{"apps.kubernetes.io/pod-index":"0",)"
                        R"("leaderworkerset.sigs.k8s.io/worker-index":"1"})"),
            "in=1/4")
      << "a LeaderWorkerSet's leaders are the pods of one StatefulSet";
  EXPECT_EQ(Shards(cut, label("training.kubeflow.org/replica-index", "0")), "in=0/4");
}

TEST_F(ShardsTest, TheWorkersOfAPyTorchJobComeBehindItsMaster) {
  Put("PyTorchJob", "train",
      R"({"spec":{"pytorchReplicaSpecs":{"Master":{},"Worker":{"replicas":3}}}})");
  const auto metadata = [](const char* type, int index) {
    return fmt::format(
        R"(,"labels":{{"training.kubeflow.org/replica-type":"{}",)"
        R"("training.kubeflow.org/replica-index":"{}"}},"ownerReferences":[{{)"
        R"("apiVersion":"kubeflow.org/v1","kind":"PyTorchJob","name":"train","controller":true}}])",
        type, index);
  };
  const std::string cut = R"("spillway.dev/shard":"in=4")";
  EXPECT_EQ(Shards(cut, metadata("master", 0)), "in=0/4");
  EXPECT_EQ(Shards(cut, metadata("worker", 0)), "in=1/4");
  EXPECT_EQ(Shards(cut, metadata("worker", 2)), "in=3/4");
  Put("PyTorchJob", "train", R"({"spec":{"pytorchReplicaSpecs":{"Worker":{"replicas":4}}}})");
  EXPECT_EQ(Shards(cut, metadata("worker", 0)), "in=0/4");
}

TEST_F(ShardsTest, TheJobsOfAJobSetCountOn) {
  const auto pod = [&](int job, const char* in_job) {
    const std::string index =
        *in_job == 0 ? ""
                     : fmt::format(R"(,"batch.kubernetes.io/job-completion-index":"{}")", in_job);
    return Shards(R"("spillway.dev/shard":"in=6")" + index,
                  fmt::format(R"(,"labels":{{"jobset.sigs.k8s.io/job-index":"{}",)"
                              R"("batch.kubernetes.io/job-name":"train-workers-{}"}})",
                              job, job));
  };
  EXPECT_THAT(pod(1, "0"), HasSubstr("Job train-workers-1 of pod p is not there"));
  Put("Job", "train-workers-0", R"({"spec":{"parallelism":3,"completions":3}})");
  Put("Job", "train-workers-1", R"({"spec":{"parallelism":3,"completions":3}})");
  EXPECT_EQ(pod(0, "2"), "in=2/6");
  EXPECT_EQ(pod(1, "0"), "in=3/6");
  EXPECT_EQ(pod(1, "2"), "in=5/6");
  EXPECT_THAT(pod(1, ""), HasSubstr("has no index"));
  Put("Job", "train-workers-1", R"({"spec":{}})");
  EXPECT_EQ(pod(1, ""), "in=1/6") << "one pod in each Job";
}

TEST_F(ShardsTest, WithoutAShardNothingIsTaken) {
  const std::string sentence = Shards(R"("spillway.dev/shard":"in=4")");
  EXPECT_THAT(
      sentence,
      StartsWith("annotation spillway.dev/shard \"in=4\": pod p has no index, so none of "
                 "the 4 shards of claim in is its: use a Job with completionMode: Indexed"));
  EXPECT_FALSE(NarrowingOf(*store_, *store_->Get({"Pod", "ml", "p"}), "in"));
  EXPECT_TRUE(NarrowingOf(*store_, *store_->Get({"Pod", "ml", "p"}), "code"));
  const std::string index = "," + std::string(kIndexed);
  EXPECT_THAT(Shards(R"("spillway.dev/shard":"in=2")" + index),
              HasSubstr("pod p has index 2, and claim in is cut into 2 shards, from 0 on: as many "
                        "shards as there are pods"));
  EXPECT_THAT(Shards(R"("spillway.dev/shard":"in")" + index),
              HasSubstr("\"in\": \"in\" has no =: CLAIM=N"));
  EXPECT_THAT(Shards(R"("spillway.dev/shard":"")" + index), HasSubstr("\"\": is empty: CLAIM=N"));
  EXPECT_THAT(Shards(R"("spillway.dev/shard":"out=4")" + index),
              HasSubstr("this pod mounts no claim out"));
  EXPECT_THAT(Shards(R"("spillway.dev/shard":"in=4",)"
                     R"("batch.kubernetes.io/job-completion-index":"-1")"),
              HasSubstr("batch.kubernetes.io/job-completion-index \"-1\" is no index"));
}

TEST_F(ShardsTest, TheSnapshotCountsAShardOnceForEachPod) {
  const std::string both = R"("spillway.dev/select":"in=train/**","spillway.dev/shard":"in=4",)";
  Pod("p", both + kIndexed);
  const Snapshot snapshot = Look();
  ASSERT_EQ(snapshot.workloads.size(), 1u);
  EXPECT_TRUE(snapshot.workloads[0].inputs_known) << snapshot.workloads[0].inputs_problem;
  EXPECT_EQ(snapshot.workloads[0].input_bytes, 7) << "all of code";
  EXPECT_EQ(snapshot.workloads[0].shard_bytes, 251) << "a quarter of what is selected, and a rest";
  EXPECT_EQ(snapshot.pods[0].shards, "in=2/4");
  const auto narrowing = NarrowingOf(*store_, *store_->Get({"Pod", "ml", "p"}), "in");
  EXPECT_THAT(narrowing->patterns, ElementsAre("train/**"));
  EXPECT_THAT(narrowing->shards, ElementsAre(data::Shard{2, 4}));
}

TEST_F(ShardsTest, TheSnapshotKeepsAPodWithoutItsShardAtHome) {
  Pod("p", R"("spillway.dev/shard":"in=4")");
  const Snapshot snapshot = Look();
  ASSERT_EQ(snapshot.workloads.size(), 1u);
  EXPECT_FALSE(snapshot.workloads[0].inputs_known);
  EXPECT_THAT(snapshot.workloads[0].inputs_problem, HasSubstr("pod p has no index"));
}

}  // namespace
}  // namespace spillway::site
