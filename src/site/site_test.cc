#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "base/encoding.h"
#include "site/cluster.h"
#include "site/job_controller.h"
#include "site/kubelet.h"
#include "site/objects.h"
#include "site/scheduler.h"
#include "site/snapshot.h"

namespace spillway::site {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(PodMoments, ItsImageWasThereWhenTheFirstOfItsContainersRan) {
  const json::value pod = json::parse(R"({"status":{"startTime":"2026-11-24T08:00:00Z",
    "initContainerStatuses":[
      {"state":{"terminated":{"startedAt":"2026-11-24T08:01:00Z","finishedAt":"2026-11-24T08:09:00Z"}}},
      {"state":{"waiting":{}},"lastState":{"terminated":{"startedAt":"2026-11-24T08:02:00Z"}}}],
    "containerStatuses":[{"state":{"running":{"startedAt":"2026-11-24T08:10:00Z"}}}]}})");
  EXPECT_EQ(TakenAt(pod), ParseTime("2026-11-24T08:00:00Z").value());
  EXPECT_EQ(BeganAt(pod), ParseTime("2026-11-24T08:01:00Z").value());
  EXPECT_EQ(StartedAt(pod), ParseTime("2026-11-24T08:10:00Z").value());
  const json::value crashed = json::parse(R"({"status":{"containerStatuses":[
    {"state":{"waiting":{}},"lastState":{"terminated":{"startedAt":"2026-11-24T08:02:00Z"}}}]}})");
  EXPECT_EQ(BeganAt(crashed), ParseTime("2026-11-24T08:02:00Z").value());
  const json::value waits = json::parse(
      R"({"status":{"containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff"}}}]}})");
  EXPECT_FALSE(BeganAt(waits));
  EXPECT_FALSE(TakenAt(waits));
  EXPECT_FALSE(BeganAt(json::object{}));
}

class SiteTest : public ::testing::Test {
 protected:
  SiteTest() : clock_(*ParseTime("2026-11-24T08:00:00Z")), rng_(1) {
    char dir[] = "/tmp/spillway-site-XXXXXX";
    dir_ = mkdtemp(dir);
    auto store = store::Store::Open({.path = dir_ + "/state.db",
                                     .clock = &clock_,
                                     .sign = [](std::string_view m) { return Sha256Hex(m); },
                                     .public_key = "k"});
    store_ = std::move(*store);
  }
  ~SiteTest() override { std::filesystem::remove_all(dir_); }

  void Put(const std::string& kind, const std::string& ns, const std::string& name,
           std::string_view text) {
    const auto body = ParseJson(text);
    ASSERT_TRUE(body) << body.error().message;
    ASSERT_TRUE(store_->Apply({{{kind, ns, name}, *body, std::nullopt}}));
  }
  void AddNode(const std::string& name, int gpus) {
    Put("Node", "", name,
        R"({"spec":{},"status":{"allocatable":{"cpu":"8","memory":"64Gi","nvidia.com/gpu":")" +
            std::to_string(gpus) + R"("}}})");
  }
  void AddJob(const std::string& name, const std::string& spec,
              const std::string& annotations = "{}", int gpus = 1) {
    Put("Job", "vision", name,
        R"({"metadata":{"annotations":)" + annotations + R"(},"spec":{)" + spec +
            R"("template":{"metadata":{"annotations":{"spillway.dev/expected-duration":"10m"}},"spec":{"restartPolicy":"Never",
            "containers":[{"name":"c","command":["/bin/true"],"resources":{"limits":{"nvidia.com/gpu":)" +
            std::to_string(gpus) + "}}}]}}}}");
  }
  void Jobs() { ASSERT_TRUE(ReconcileJobs(*store_, rng_, clock_.Now())); }
  void Round() {
    Jobs();
    const Status status = Schedule(*store_, clock_.Now());
    ASSERT_TRUE(status) << status.error().message;
  }
  std::vector<store::ObjectPtr> Pods() { return store_->List("Pod", "vision"); }
  void End(const store::ObjectPtr& pod, int code) {
    ASSERT_TRUE(store_->Update(pod->key, [&](json::value& body) {
      MarkEnded(body, {code, code == 0 ? "Completed" : "Error", "", clock_.Now(), clock_.Now()});
      return true;
    }));
  }
  json::value Job(const std::string& name) { return store_->Get({"Job", "vision", name})->body; }
  static bool Is(const json::value& object, std::string_view condition) {
    const json::value* c = ConditionOf(object, condition);
    return c != nullptr && StringOr(json::value(*c), "status", "") == "True";
  }

  ManualClock clock_;
  Rng rng_;
  std::string dir_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(SiteTest, IndexedJobRunsEveryIndexOnce) {
  AddJob("sweep", R"("completionMode":"Indexed","completions":3,"parallelism":2,)");
  Jobs();
  ASSERT_THAT(Pods(), SizeIs(2));
  EXPECT_EQ(CommandOf(Pods()[0]->body).env.back().first, "JOB_COMPLETION_INDEX");
  for (const auto& pod : Pods()) End(pod, 0);
  Jobs();
  ASSERT_THAT(Pods(), SizeIs(3));
  std::set<std::string> indexes;
  for (const auto& pod : Pods()) indexes.emplace(AnnotationOf(pod->body, kIndexAnnotation));
  EXPECT_EQ(indexes, (std::set<std::string>{"0", "1", "2"}));
  for (const auto& pod : Pods())
    if (!Finished(pod->body)) End(pod, 0);
  Jobs();
  EXPECT_TRUE(Is(Job("sweep"), "Complete"));
}

TEST_F(SiteTest, FailuresCountToTheBackoffLimitAndDisruptionsDoNot) {
  AddJob("j", R"("backoffLimit":1,)");
  Jobs();
  ASSERT_TRUE(store_->Update(Pods()[0]->key, [&](json::value& body) {
    MarkDisrupted(body, "NodeLost", "x", clock_.Now());
    return true;
  }));
  Jobs();
  ASSERT_THAT(Pods(), SizeIs(2));
  auto fail_active = [&] {
    for (const auto& pod : Pods())
      if (!Finished(pod->body)) End(pod, 3);
  };
  fail_active();
  Jobs();
  EXPECT_THAT(Pods(), SizeIs(2)) << "the back-off has not passed";
  clock_.Advance(10s);
  Jobs();
  ASSERT_THAT(Pods(), SizeIs(3));
  fail_active();
  Jobs();
  EXPECT_TRUE(Is(Job("j"), "Failed"));
  EXPECT_EQ(IntOr(Job("j").at("status"), "failed", 0), 2);
}

TEST_F(SiteTest, DeadlineSuspendAndTtl) {
  AddJob("late", R"("activeDeadlineSeconds":60,)");
  Jobs();
  clock_.Advance(61s);
  Jobs();
  EXPECT_TRUE(Is(Job("late"), "Failed"));
  AddJob("paused", R"("suspend":true,)");
  Jobs();
  EXPECT_THAT(Pods(), SizeIs(0));
  EXPECT_TRUE(Is(Job("paused"), "Suspended"));
  AddJob("brief", R"("ttlSecondsAfterFinished":30,)");
  Jobs();
  End(Pods()[0], 0);
  Jobs();
  clock_.Advance(31s);
  Jobs();
  EXPECT_EQ(store_->Get({"Job", "vision", "brief"}), nullptr);
  EXPECT_THAT(Pods(), SizeIs(0));
}

TEST_F(SiteTest, QuotaStopsPodCreationInKubernetesWords) {
  Put("ResourceQuota", "vision", "gpus", R"({"spec":{"hard":{"requests.nvidia.com/gpu":"2"}}})");
  AddJob("sweep", R"("completions":4,"parallelism":4,)");
  Jobs();
  EXPECT_THAT(Pods(), SizeIs(2));
  const auto events = store_->Events({"Job", "vision", "sweep"});
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const auto& e) {
    return e.message ==
           "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: "
           "requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=2";
  }));
}

TEST_F(SiteTest, SchedulerFillsNodesAndSaysWhyNot) {
  AddNode("a", 2);
  AddJob("sweep", R"("completions":3,"parallelism":3,)");
  Round();
  int bound = 0;
  for (const auto& pod : Pods()) bound += !NodeOf(pod->body).empty();
  EXPECT_EQ(bound, 2);
  for (const auto& pod : Pods()) {
    if (!NodeOf(pod->body).empty()) continue;
    const json::value* c = ConditionOf(pod->body, "PodScheduled");
    ASSERT_NE(c, nullptr);
    EXPECT_THAT(std::string(StringOr(json::value(*c), "message", "")),
                HasSubstr("Insufficient nvidia.com/gpu"));
  }
}

TEST_F(SiteTest, GangIsBoundWholeOrNotAtAll) {
  AddNode("a", 4);
  AddJob("gang", R"("completionMode":"Indexed","completions":2,"parallelism":2,)",
         R"({"spillway.dev/gang":"all-or-nothing"})", 4);
  Round();
  for (const auto& pod : Pods()) EXPECT_EQ(NodeOf(pod->body), "");
  AddNode("b", 4);
  Round();
  std::set<std::string> nodes;
  for (const auto& pod : Pods()) nodes.emplace(NodeOf(pod->body));
  EXPECT_EQ(nodes, (std::set<std::string>{"a", "b"}));
}

TEST_F(SiteTest, RentedNodeTakesOnlyItsOwnPodsAndOnlyOnceAdmitted) {
  AddJob("sweep", R"("completions":2,"parallelism":2,)");
  Jobs();
  BurstNode bn;
  bn.name = "bn-00001";
  bn.ns = "vision";
  bn.pods = {{"vision/" + Pods()[0]->key.name, Pods()[0]->uid}};
  control::NodeReport report;
  report.hardware = {.cpu_milli = 8000, .memory_bytes = 64LL << 30, .gpus = 2};
  ASSERT_TRUE(RegisterNode(*store_, bn, report, clock_.Now()));
  Round();
  for (const auto& pod : Pods()) EXPECT_EQ(NodeOf(pod->body), "") << "the startup taint holds";
  ASSERT_TRUE(AdmitPods(*store_, bn.name, bn.pods));
  ASSERT_TRUE(AdmitPods(*store_, bn.name, bn.pods)) << "idempotent";
  Round();
  EXPECT_EQ(NodeOf(Pods()[0]->body), "bn-00001");
  EXPECT_EQ(NodeOf(Pods()[1]->body), "") << "nothing else strays onto it";
  EXPECT_THAT(PodReports(*store_, bn), SizeIs(1));

  ASSERT_TRUE(EvictPods(*store_, bn.name, bn.pods, "the machine died", clock_.Now()));
  EXPECT_TRUE(Disrupted(Pods()[0]->body));
  Jobs();
  EXPECT_THAT(Pods(), SizeIs(3)) << "queued again";
  ASSERT_TRUE(RemoveNode(*store_, bn.name, clock_.Now()));
  EXPECT_EQ(store_->Get({"Node", "", "bn-00001"}), nullptr);
}

TEST_F(SiteTest, SnapshotGroupsPodsIntoWorkloadsAndSharesShapes) {
  AddNode("a", 1);
  Put("Dataset", "vision", "digits",
      R"({"spec":{"source":{"directory":"digits"},"class":"internal"}})");
  Put("PersistentVolumeClaim", "vision", "in",
      R"({"metadata":{"annotations":{"spillway.dev/dataset":"digits"}}})");
  AddJob("sweep", R"("completions":4,"parallelism":4,)");
  ASSERT_TRUE(store_->Update({"Job", "vision", "sweep"}, [](json::value& body) {
    json::object& spec = body.at_pointer("/spec/template/spec").get_object();
    spec["volumes"] = json::array{
        json::object{{"name", "v"}, {"persistentVolumeClaim", json::object{{"claimName", "in"}}}}};
    spec["containers"].as_array()[0].get_object()["volumeMounts"] =
        json::array{json::object{{"name", "v"}, {"mountPath", "/data"}}};
    return true;
  }));
  Round();
  SnapshotInputs inputs;
  inputs.now = clock_.Now();
  inputs.selected_bytes = [](const DatasetInfo&, const std::vector<std::string>&) { return 123; };
  const SnapshotResult result = BuildSnapshot(*store_, std::move(inputs));
  EXPECT_THAT(result.problems, SizeIs(0));
  const Snapshot& s = result.snapshot;
  ASSERT_THAT(s.workloads, SizeIs(1));
  EXPECT_THAT(s.shapes, SizeIs(1));
  EXPECT_THAT(s.workloads[0].pods, SizeIs(4));
  EXPECT_EQ(s.workloads[0].data_class, DataClass::kInternal);
  EXPECT_EQ(s.workloads[0].input_bytes, 123);
  EXPECT_EQ(s.workloads[0].expected_duration, 10min);
  int unschedulable = 0;
  for (const Pod& pod : s.pods) unschedulable += pod.unschedulable;
  EXPECT_EQ(unschedulable, 3);
}

// A machine is paid from the first moment, and a file that changes all the time cannot be sealed.
TEST_F(SiteTest, SnapshotRestsAWorkloadWhoseDataCouldNotBePrepared) {
  AddNode("a", 1);
  AddJob("sweep", "");
  Round();
  const auto workload_after = [&](Duration passed) {
    BurstNode node;
    node.workload = "vision/Job/sweep";
    node.failure = Failure::kDataFailed;
    node.failure_detail = "digits/a: changed while it was read";
    node.phase = Phase::kGone;
    node.phase_since = clock_.Now() - passed;
    SnapshotInputs inputs;
    inputs.now = clock_.Now();
    inputs.burst_nodes = {node};
    return BuildSnapshot(*store_, std::move(inputs)).snapshot.workloads.at(0);
  };
  const Workload soon = workload_after(1min);
  EXPECT_FALSE(soon.inputs_known);
  EXPECT_EQ(soon.inputs_problem, "digits/a: changed while it was read; it is tried again at " +
                                     FormatTime(clock_.Now() + 9min));
  EXPECT_TRUE(workload_after(10min).inputs_known);
}

TEST(Objects, ExpandsReferencesAsKubernetesDoes) {
  const auto pod = ParseJson(R"json({"metadata":{"annotations":{
      "batch.kubernetes.io/job-completion-index":"2",
      "spillway.dev/select":"in=train/**,test/a.csv; other=x"}},
      "spec":{"containers":[{"command":["run"],
      "args":["--rank=$(JOB_COMPLETION_INDEX)","$(A)","$$(A)","$(NONE)"],
      "env":[{"name":"A","value":"1"},{"name":"B","value":"$(A)2"}]}]}})json");
  const CommandLine c = CommandOf(*pod);
  EXPECT_EQ(c.argv, (std::vector<std::string>{"run", "--rank=2", "1", "$(A)", "$(NONE)"}));
  EXPECT_EQ(c.env[1].second, "12");
  EXPECT_EQ(PatternsOf(*pod, "in"), (std::vector<std::string>{"train/**", "test/a.csv"}));
  EXPECT_EQ(PatternsOf(*pod, "other"), (std::vector<std::string>{"x"}));
}

TEST(PodLogs, RepeatedBytesAreWrittenOnce) {
  char dir[] = "/tmp/spillway-logs-XXXXXX";
  PodLogs logs(mkdtemp(dir));
  logs.AppendAt("u", 0, "hello ");
  logs.AppendAt("u", 0, "hello world\n");
  EXPECT_EQ(logs.Read("u", 0), "hello world\n");
  EXPECT_EQ(logs.Read("u", 6), "world\n");
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace spillway::site
