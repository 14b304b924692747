// Commands against a daemon that answers what is written here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/sources.h"
#include "cli/test_support.h"

namespace spillway::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kPods =
    R"({"apiVersion":"v1","kind":"PodList","namespaced":true,"items":[
      {"apiVersion":"v1","kind":"Pod","metadata":{"name":"sweep-0","namespace":"vision",
       "creationTimestamp":"2026-11-24T08:10:30Z"},"spec":{"nodeName":"bn-00001"},
       "status":{"phase":"Running"}}]})";

TEST(Get, PrintsTheKindsColumnsWithAgesOfTheDaemonsClock) {
  FakeDaemon daemon;
  daemon.On("GET", "/api/v1/objects/pods", kPods);
  const Ran all = daemon.Do({"get", "po", "-A"});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(all.out,
            "NAMESPACE   NAME      STATUS    NODE       AGE\n"
            "vision      sweep-0   Running   bn-00001   5m\n");
  EXPECT_EQ(daemon.Do({"get", "pods", "-n", "vision", "-l", "app=sweep", "-o", "name"}).out,
            "pod/sweep-0\n");
  EXPECT_THAT(daemon.asked(),
              ElementsAre("GET /api/v1/objects/pods",
                          "GET /api/v1/objects/pods labelSelector=app=sweep namespace=vision"));
}

TEST(Get, OneObjectAsYamlAndJson) {
  FakeDaemon daemon;
  daemon.On(
      "GET", "/api/v1/objects/jobs/sweep",
      R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"sweep"},"spec":{"completions":4}})");
  EXPECT_EQ(daemon.Do({"get", "job/sweep", "-o", "yaml"}).out,
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: sweep\nspec:\n  completions: 4\n");
  EXPECT_THAT(daemon.Do({"get", "job", "sweep", "-o", "json"}).out,
              HasSubstr("\"completions\": 4"));
}

TEST(Get, SaysWhatIsSimulatedBesideMachines) {
  FakeDaemon daemon;
  daemon.On("GET", "/api/v1/objects/burstnodes",
            R"({"items":[{"metadata":{"name":"bn-00001"},"spec":{"offer":{"provider":"verda"}},)"
            R"("status":{"phase":"Gone","costSoFar":"1.03 EUR"}}]})");
  const Ran ran = daemon.Do({"get", "bn"});
  EXPECT_EQ(ran.out,
            "NAME       PHASE   PROVIDER     COST   AGE\n"
            "bn-00001   Gone    verda      1.03 €   <unknown>\n")
      << "cost is money";
  EXPECT_EQ(ran.err, "simulated: GPUs, time\n");
}

TEST(Get, NothingAndNobody) {
  FakeDaemon daemon;
  daemon.On("GET", "/api/v1/objects/jobs", R"({"items":[]})");
  EXPECT_EQ(daemon.Do({"get", "jobs"}).err, "No jobs found in namespace default.\n");
  EXPECT_EQ(daemon.Do({"get", "jobs"}).code, 0);
  const Ran unknown = daemon.Do({"get", "jobz"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("error: \"jobz\" is no kind of object: did you mean jobs?"));
  EXPECT_EQ(daemon.Do({"get", "job", "x"}).code, 1);
  const Ran nobody = RunWords({"get", "jobs"}, "/tmp/no-such-socket");
  EXPECT_EQ(nobody.code, 1);
  EXPECT_THAT(nobody.err, StartsWith("error: spillwayd is not reachable at /tmp/no-such-socket: "
                                     "start it with \"spillwayd\""));
}

TEST(Get, WatchPrintsARowForEachChange) {
  FakeDaemon daemon;
  const std::string path = "/api/v1/objects/pods";
  std::string changed = kPods;
  changed.replace(changed.find("Running"), 7, "Succeeded");
  daemon.On("GET", path, kPods);
  daemon.On("GET", path, kPods);
  daemon.On("GET", path, changed);
  const Ran ran = daemon.DoUntilLast("GET " + path, {"get", "pods", "-n", "vision", "-w"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "NAME      STATUS    NODE       AGE\n"
            "sweep-0   Running   bn-00001   5m\n"
            "sweep-0   Succeeded   bn-00001   5m\n");
}

TEST(Describe, ShowsTheObjectAndItsEvents) {
  FakeDaemon daemon;
  daemon.On(
      "GET", "/api/v1/objects/jobs/sweep",
      R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"sweep","namespace":"vision",)"
      R"("labels":{"app":"sweep"},"creationTimestamp":"2026-11-24T08:14:30Z"},)"
      R"("spec":{"completions":4},"status":{}})");
  daemon.On(
      "GET", "/api/v1/events",
      R"({"items":[{"first":"2026-11-24T08:14:40Z","last":"2026-11-24T08:15:00Z","count":3,)"
      R"("warning":true,"reason":"FailedScheduling","message":"0/2 nodes\u001b[2J","about":{}}]})");
  const Ran ran = daemon.Do({"describe", "job", "sweep", "-n", "vision"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "Name:         sweep\n"
            "Namespace:    vision\n"
            "Kind:         Job (batch/v1)\n"
            "Age:          60s\n"
            "Labels:\n  app: sweep\n"
            "Spec:\n  completions: 4\n"
            "Events:\n"
            "  TYPE      REASON             AGE   TIMES   MESSAGE\n"
            "  Warning   FailedScheduling   30s       3   0/2 nodes?[2J\n");
}

constexpr const char* kNamespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: %}\n";
std::string NamespaceText(const std::string& name) {
  std::string text = kNamespace;
  return text.replace(text.find('%'), 1, name);
}

TEST(Apply, SendsAllFilesAsOneTransaction) {
  FakeDaemon daemon;
  const TempDir dir;
  const std::string a = dir.Write("m/a.yaml", NamespaceText("a"));
  dir.Write("m/b.yml", NamespaceText("b"));
  dir.Write("m/notes.txt", "not a manifest");
  daemon.On(
      "POST", "/api/v1/apply",
      R"({"dryRun":false,"applied":[{"kind":"Namespace","namespace":"","name":"a","result":"created"},)"
      R"({"kind":"Job","namespace":"vision","name":"x","result":"configured"}]})");
  const Ran ran = daemon.Do({"apply", "-f", dir.path() + "/m", "-f", "-"}, NamespaceText("c"));
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "namespace/a created\njob/x -n vision configured\n");
  ASSERT_EQ(daemon.asked().size(), 1u) << "one request, so all or nothing";
  EXPECT_THAT(daemon.asked()[0],
              HasSubstr("{name: c}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}"));
  EXPECT_EQ(daemon.Do({"apply", "-f", a, "-o", "name", "--dry-run"}).out,
            "namespace/a\njob/x -n vision\n");
  EXPECT_THAT(daemon.asked()[1], HasSubstr("dryRun=true file=" + a));
}

TEST(Apply, LocalProblemsAreExactAndNothingIsSent) {
  FakeDaemon daemon;
  const TempDir dir;
  const std::string good = dir.Write("good.yaml", NamespaceText("a"));
  const std::string bad =
      dir.Write("bad.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: A_B}\nspek: 1\n");
  const Ran ran = daemon.Do({"apply", "-f", good, "-f", bad, "-f", dir.path() + "/none.yaml"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr(bad + ":3:18: metadata.name: "));
  EXPECT_THAT(ran.err, HasSubstr(bad + ":4:1: spek: "));
  EXPECT_THAT(ran.err, HasSubstr(dir.path() + "/none.yaml: "));
  EXPECT_THAT(ran.err, HasSubstr("error: 3 problems; nothing was changed\n"));
  EXPECT_THAT(daemon.asked(), ElementsAre());
}

TEST(Apply, ProblemsOfTheDaemonNameTheFileTheyAreIn) {
  FakeDaemon daemon;
  const TempDir dir;
  const std::string a = dir.Write("a.yaml", NamespaceText("a")),
                    b = dir.Write("b.yaml", NamespaceText("b"));
  daemon.On("POST", "/api/v1/apply",
            R"({"error":{"code":"invalid","message":"1 problem","problems":[{"text":)"
            R"("several-files:7:18: metadata.name: taken: another"},{"text":"elsewhere: x"}]}})",
            400);
  const Ran ran = daemon.Do({"apply", "-f", a, "-f", b});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.err,
            b + ":3:18: metadata.name: taken: another\nelsewhere: x\nerror: nothing was changed\n");
}

TEST(Delete, ByNameAndByFileLastFirst) {
  FakeDaemon daemon;
  const TempDir dir;
  const std::string file = dir.Write("m.yaml", NamespaceText("a") + "---\n" + NamespaceText("b"));
  daemon.On("DELETE", "/api/v1/objects/namespaces/b",
            R"({"dryRun":true,"deleted":{"kind":"Namespace","namespace":"","name":"b"}})");
  const Ran ran = daemon.Do({"delete", "-f", file, "--dry-run"});
  EXPECT_EQ(ran.code, 1) << "a does not exist";
  EXPECT_EQ(ran.out, "namespace/b deleted (dry run)\n");
  EXPECT_THAT(daemon.asked(), ElementsAre("DELETE /api/v1/objects/namespaces/b dryRun=true",
                                          "DELETE /api/v1/objects/namespaces/a dryRun=true"));
  daemon.On(
      "DELETE", "/api/v1/objects/burstnodes/bn-1",
      R"({"error":{"code":"conflict","message":"BurstNode bn-1 is running: delete Job vision/sweep"}})",
      409);
  const Ran owned = daemon.Do({"delete", "bn", "bn-1"});
  EXPECT_EQ(owned.code, 1);
  EXPECT_EQ(owned.err, "error: BurstNode bn-1 is running: delete Job vision/sweep\n");
}

TEST(Logs, PodsOfAJobWithTheirNamesInFront) {
  FakeDaemon daemon;
  daemon.On("GET", "/api/v1/objects/pods",
            R"({"items":[{"metadata":{"name":"s-0"}},{"metadata":{"name":"s-1"}}]})");
  daemon.On("GET", "/api/v1/pods/s-0/log",
            R"({"text":"epoch 1\nepo","offset":11,"finished":false})");
  daemon.On("GET", "/api/v1/pods/s-0/log", R"({"text":"ch 2","offset":15,"finished":true})");
  daemon.On("GET", "/api/v1/pods/s-1/log", R"({"text":"done\n","offset":5,"finished":true})");
  const Ran ran = daemon.Do({"logs", "-f", "job/s", "-n", "vision"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "[s-0] epoch 1\n[s-0] epoch 2\n[s-1] done\n");
  EXPECT_EQ(daemon.Do({"logs", "s-1"}).out, "done\n");
  EXPECT_EQ(daemon.Do({"logs", "budget/x"}).code, 2);
}

TEST(Wait, ForConditionPathAndDeletion) {
  FakeDaemon daemon;
  const std::string path = "/api/v1/objects/jobs/x";
  daemon.On("GET", path, R"({"kind":"Job","status":{"active":1}})");
  daemon.On(
      "GET", path,
      R"({"kind":"Job","status":{"active":2,"conditions":[{"type":"Complete","status":"True"}]}})");
  EXPECT_EQ(daemon.Do({"wait", "job/x", "--for=condition=complete"}).out, "job/x condition met\n");
  EXPECT_EQ(daemon.Do({"wait", "job/x", "--for=jsonpath={.status.active}=2"}).code, 0);
  const Ran late = daemon.Do({"wait", "job/x", "--for=condition=Failed", "--timeout", "0"});
  EXPECT_EQ(late.code, 1);
  EXPECT_EQ(
      late.err,
      "error: timed out after 0s: condition=Failed is not true of job/x; it says Complete=True\n");
  EXPECT_EQ(daemon.Do({"wait", "job/gone", "--for=delete"}).out, "job/gone deleted\n");
  EXPECT_EQ(daemon.Do({"wait", "job/gone", "--for=condition=Complete"}).code, 1);
  EXPECT_EQ(daemon.Do({"wait", "job/x", "--for=nonsense"}).code, 2);
}

TEST(Views, ExitCodesAndForms) {
  FakeDaemon daemon;
  daemon.On(
      "GET", "/api/v1/doctor",
      R"({"ok":false,"items":[{"name":"sandbox","ok":false,"sentence":"Pods run plainly."}]})");
  const Ran doctor = daemon.Do({"doctor"});
  EXPECT_EQ(doctor.code, 1) << "not everything is well";
  EXPECT_EQ(doctor.out, "✗ sandbox: Pods run plainly.\n");
  daemon.On("GET", "/api/v1/cost", R"({"by":"node","rows":[],"simulated":[]})");
  EXPECT_EQ(daemon.Do({"cost", "--by", "node", "--since", "24h"}).out, "Nothing was rented.\n");
  EXPECT_EQ(daemon.asked().back(), "GET /api/v1/cost by=node since=24h");
  EXPECT_EQ(daemon.Do({"cost", "-o", "yaml"}).out, "by: node\nrows: []\nsimulated: []\n");
  daemon.On("GET", "/api/v1/explain",
            R"({"workload":"vision/Job/x","sentence":"runs","offers":[]})");
  for (const char* target : {"vision/Job/x", "job/x", "x"})
    EXPECT_EQ(daemon.Do({"explain", target, "-n", "vision"}).out, "vision/Job/x\nruns\n");
  EXPECT_THAT(daemon.asked()[daemon.asked().size() - 3], HasSubstr("workload=vision/Job/x"));
  EXPECT_THAT(daemon.asked().back(), HasSubstr("name=x namespace=vision resource=job"));
  EXPECT_THAT(daemon.Do({"version"}).out,
              ContainsRegex("spillwayd 0.1.0, API v1, /[^ ]*, its clock runs 30 times faster\n"
                            "simulated:\n  GPUs: they are numbers\n"));
}

TEST(Status, WatchesUntilItIsStopped) {
  FakeDaemon daemon;
  daemon.On("GET", "/api/v1/status", R"({"site":{"gpusUsed":1,"gpusTotal":8}})");
  daemon.On("GET", "/api/v1/status", R"({"site":{"gpusUsed":2,"gpusTotal":8}})");
  const Ran ran = daemon.DoUntilLast("GET /api/v1/status", {"status", "-w"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("site 1 of 8 GPUs"));
  EXPECT_THAT(ran.out, HasSubstr("site 2 of 8 GPUs"));
}

TEST(Plan, SendsManifestsAndChangesNothing) {
  FakeDaemon daemon;
  const TempDir dir;
  const std::string file = dir.Write("a.yaml", NamespaceText("a"));
  daemon.On("POST", "/api/v1/plan",
            R"({"problems":[],"decisions":[],"rentals":[],"explanations":[]})");
  EXPECT_EQ(daemon.Do({"plan", "--dry-run", "-f", file}).out,
            "Nothing waits; nothing would be rented.\n");
  EXPECT_THAT(daemon.asked()[0], StartsWith("POST /api/v1/plan"));
}

TEST(Sources, LinesOfTheJoinedTextBelongToTheirFiles) {
  const JoinedSources joined({{"a", "1\n2"},
                              {"b",
                               "\xEF\xBB\xBF"
                               "5\n6\n"},
                              {"c", "8"}});
  EXPECT_EQ(joined.text(), "1\n2\n---\n5\n6\n---\n8");
  EXPECT_EQ(joined.Localise("several-files:2:1: x\nseveral-files:4: y\nseveral-files:7:2: z"),
            "a:2:1: x\nb:1: y\nc:1:2: z");
  EXPECT_EQ(JoinedSources(std::vector<schema::Source>{{"only", "x"}}).name(), "only");
}

}  // namespace
}  // namespace spillway::cli
