// Every route over a real Unix socket, with answers held against api/openapi.yaml.
#include "server/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "net/http_client.h"
#include "net/http_server.h"
#include "server/answer_check.h"
#include "server/fake_backend.h"

namespace spillway::server {
namespace {

using testing::HasSubstr;

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    std::string name = "/tmp/spw-api-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~RouterTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Starts with the backend as it is then.
  net::HttpClient& Http() {
    if (server_ == nullptr) {
      net::ServerOptions options;
      options.unix_path = directory_ + "/api.sock";
      server_ = std::make_unique<net::HttpServer>(options, MakeRouter(backend_));
      EXPECT_TRUE(server_->Start());
      http_.emplace(net::Endpoint{options.unix_path, "", ""});
    }
    return *http_;
  }

  // The JSON answer, which must have this status and be as the document says for `path`.
  json::value Call(const std::string& method, const std::string& path, const std::string& target,
                   int status = 200, const std::string& body = "") {
    net::HttpRequest request = net::HttpRequest::Get(target);
    request.method = method;
    request.body = body;
    const auto response = Http().Do(request);
    EXPECT_TRUE(response) << target;
    if (!response) return nullptr;
    EXPECT_EQ(response->status, status) << target << ": " << response->body;
    const auto value = ParseJson(response->body);
    EXPECT_TRUE(value) << response->body;
    if (!value) return nullptr;
    const std::string lower = method == "GET" ? "get" : method == "POST" ? "post" : "delete";
    EXPECT_EQ(check_.Problem(lower, path, response->status, *value), "")
        << target << ": " << response->body;
    return *value;
  }
  json::value Get(const std::string& path, const std::string& query = "", int status = 200) {
    return Call("GET", path, path + query, status);
  }
  static std::string Message(const json::value& answer) {
    const json::value* message = FindPath(answer, {"error", "message"});
    return message == nullptr ? "" : std::string(View(message->as_string()));
  }

  FakeBackend backend_;
  AnswerCheck check_;

 private:
  std::string directory_;
  std::unique_ptr<net::HttpServer> server_;
  std::optional<net::HttpClient> http_;
};

constexpr char kObjects[] = "/api/v1/objects/{resource}";
constexpr char kObject[] = "/api/v1/objects/{resource}/{name}";
constexpr char kLog[] = "/api/v1/pods/{name}/log";

TEST_F(RouterTest, DaemonTellsWhatItIs) {
  EXPECT_EQ(Get("/healthz").at("ready"), true);
  const json::value version = Get("/api/v1/version");
  EXPECT_EQ(version.at("timeScale"), 30);
  EXPECT_EQ(version.at("simulated").as_array().size(), 1u);
  const json::value doctor = Get("/api/v1/doctor");
  EXPECT_EQ(doctor.at("ok"), false);
  EXPECT_EQ(doctor.at("items").as_array().size(), 2u);
  const auto document = Http().Do(net::HttpRequest::Get("/api/v1/openapi.yaml"));
  ASSERT_TRUE(document);
  EXPECT_EQ(document->body, ApiDocument());
  EXPECT_EQ(document->headers.Get("Content-Type"), "application/yaml");
}

TEST_F(RouterTest, BeforeTheFirstPlanViewsAskToTryAgain) {
  backend_.round = nullptr;
  EXPECT_EQ(Get("/healthz").at("ready"), false);
  for (const char* path : {"/api/v1/status", "/api/v1/offers", "/api/v1/plan", "/api/v1/report"})
    EXPECT_THAT(Message(Get(path, "", 503)), HasSubstr("try again"));
  EXPECT_THAT(Message(Get("/api/v1/explain", "?workload=vision/Job/sweep", 503)),
              HasSubstr("try again"));
}

TEST_F(RouterTest, AppliesAllOrNothing) {
  const json::value done =
      Call("POST", "/api/v1/apply", "/api/v1/apply?file=a.yaml&namespace=vision&dryRun=true", 200,
           "kind: Job");
  EXPECT_EQ(json::serialize(done.at("applied")),
            R"([{"kind":"Job","namespace":"vision","name":"sweep","result":"created"}])");
  EXPECT_EQ(done.at("dryRun"), true);
  EXPECT_EQ(backend_.applied_text, "kind: Job");
  EXPECT_EQ(backend_.applied_file, "a.yaml");
  EXPECT_TRUE(backend_.applied_dry);
  Call("POST", "/api/v1/apply", "/api/v1/apply", 200, "kind: Job");
  EXPECT_EQ(backend_.applied_namespace, "default");
  EXPECT_FALSE(backend_.applied_dry);
}

TEST_F(RouterTest, ApplyNamesEveryProblem) {
  backend_.problems = {{"a.yaml", {3, 7}, "spec.x", "\"y\" is wrong", "z"},
                       {"a.yaml", {}, "", "empty", "an object"}};
  for (const char* path : {"/api/v1/apply", "/api/v1/plan"}) {
    const json::value answer = Call("POST", path, path, 400, "x");
    EXPECT_EQ(Message(answer), "2 problems, nothing was changed");
    EXPECT_EQ(json::serialize(answer.at("error").at("problems").at(0)),
              R"({"file":"a.yaml","line":3,"column":7,"field":"spec.x","wrong":"\"y\" is wrong",)"
              R"("right":"z","text":"a.yaml:3:7: spec.x: \"y\" is wrong: z"})");
  }
  EXPECT_EQ(backend_.applied_text, "");
}

TEST_F(RouterTest, ApplyFailsWithOneShapeOfError) {
  EXPECT_EQ(Message(Call("POST", "/api/v1/apply", "/api/v1/apply", 500, "full disk")),
            "the disk is full");
  EXPECT_THAT(Message(Call("POST", "/api/v1/apply", "/api/v1/apply?dryrun=true", 400, "x")),
              HasSubstr("did you mean dryRun?"));
  EXPECT_THAT(Message(Call("POST", "/api/v1/apply", "/api/v1/apply?dryRun=yes", 400, "x")),
              HasSubstr("not true or false"));
  EXPECT_EQ(backend_.applied_text, "");
  const std::string large(static_cast<std::size_t>(kManifestBytes) + 1, ' ');
  EXPECT_THAT(Message(Call("POST", "/api/v1/apply", "/api/v1/apply", 413, large)),
              HasSubstr("8388608"));
  EXPECT_THAT(Message(Call("POST", "/api/v1/plan", "/api/v1/plan", 413, large)),
              HasSubstr("8388608"));
}

TEST_F(RouterTest, ListsObjectsByWhatPeopleCallThem) {
  for (const char* word : {"jobs", "job", "Job", "JOBS", "jobs.batch"}) {
    const json::value list = Call("GET", kObjects, std::string("/api/v1/objects/") + word);
    EXPECT_EQ(list.at("kind"), "JobList");
    EXPECT_EQ(list.at("items").as_array().size(), 3u);
  }
  const json::value one =
      Call("GET", kObjects, "/api/v1/objects/job?namespace=vision&labelSelector=app%3Dsweep");
  ASSERT_EQ(one.at("items").as_array().size(), 1u);
  EXPECT_EQ(one.at("items").at(0).at("metadata").at("name"), "sweep");
  // Cluster-scoped: the namespace a person has set does not matter.
  EXPECT_EQ(
      Call("GET", kObjects, "/api/v1/objects/bn?namespace=vision").at("items").as_array().size(),
      2u);
  EXPECT_THAT(Message(Call("GET", kObjects, "/api/v1/objects/jobz", 404)),
              HasSubstr("did you mean jobs?"));
  EXPECT_THAT(Message(Call("GET", kObjects, "/api/v1/objects/jobs?labelSelector=%2C", 400)),
              HasSubstr("labelSelector"));
}

TEST_F(RouterTest, GetsAndDeletesOneObject) {
  const std::string sweep = "/api/v1/objects/jobs/sweep?namespace=vision";
  EXPECT_EQ(Call("GET", kObject, sweep).at("kind"), "Job");
  EXPECT_EQ(Call("GET", kObject, "/api/v1/objects/bn/bn-00001").at("kind"), "BurstNode");
  EXPECT_THAT(Message(Call("GET", kObject, "/api/v1/objects/jobs/sweep", 404)),
              HasSubstr("default/sweep"));
  Call("GET", kObject, "/api/v1/objects/nonsense/x", 404);

  EXPECT_EQ(json::serialize(Call("DELETE", kObject, sweep + "&dryRun=true")),
            R"({"dryRun":true,"deleted":{"kind":"Job","namespace":"vision","name":"sweep"}})");
  EXPECT_EQ(backend_.deleted, 0);
  Call("DELETE", kObject, sweep);
  EXPECT_EQ(backend_.deleted, 1);
  Call("DELETE", kObject, "/api/v1/objects/bn/bn-00002", 409);
  Call("DELETE", kObject, "/api/v1/objects/jobs/none", 404);
  // A mistyped parameter must not delete.
  Call("DELETE", kObject, sweep + "&dry-run=true", 400);
  EXPECT_EQ(backend_.deleted, 1);
}

TEST_F(RouterTest, ShowsEvents) {
  const json::value all = Get("/api/v1/events");
  ASSERT_EQ(all.at("items").as_array().size(), 2u);
  EXPECT_EQ(all.at("items").at(0).at("reason"), "FailedScheduling");  // older first
  EXPECT_EQ(Get("/api/v1/events", "?namespace=labs").at("items").as_array().size(), 1u);
  const json::value one = Get("/api/v1/events", "?resource=pod&name=sweep-0&namespace=vision");
  EXPECT_EQ(json::serialize(one.at("items").at(0).at("about")),
            R"({"kind":"Pod","namespace":"vision","name":"sweep-0"})");
  Get("/api/v1/events", "?name=sweep-0", 400);
  Get("/api/v1/events", "?resource=none&name=x", 404);
}

TEST_F(RouterTest, ReadsLogsPieceByPiece) {
  backend_.log = "one\n\xE2\x82";
  backend_.log_finished = false;
  const json::value first = Call("GET", kLog, "/api/v1/pods/sweep-0/log?namespace=vision");
  EXPECT_EQ(json::serialize(first), R"({"text":"one\n","offset":4,"finished":false})");
  const json::value next = Call("GET", kLog, "/api/v1/pods/sweep-0/log?offset=4");
  EXPECT_EQ(next.at("offset"), 4);
  Call("GET", kLog, "/api/v1/pods/sweep-0/log?offset=-1", 400);
  Call("GET", kLog, "/api/v1/pods/sweep-0/log?offset=1x", 400);
  Call("GET", kLog, "/api/v1/pods/other/log", 404);
}

TEST_F(RouterTest, ALongLogIsNotFinishedBeforeItsEnd) {
  backend_.log = std::string(static_cast<std::size_t>(Backend::kLogPiece) + 5, 'x');
  const json::value first = Call("GET", kLog, "/api/v1/pods/sweep-0/log");
  EXPECT_EQ(first.at("offset"), Backend::kLogPiece);
  EXPECT_EQ(first.at("finished"), false);
  const json::value last = Call("GET", kLog, "/api/v1/pods/sweep-0/log?offset=1048576");
  EXPECT_EQ(json::serialize(last), R"({"text":"xxxxx","offset":1048581,"finished":true})");
}

TEST_F(RouterTest, ShowsViews) {
  EXPECT_EQ(Get("/api/v1/status").at("waiting").at(0).at("reason"), "budget");
  EXPECT_EQ(Get("/api/v1/offers", "?namespace=vision").at("policy"), "research");
  EXPECT_TRUE(Get("/api/v1/offers", "?namespace=ops").at("policy").is_null());
  EXPECT_THAT(Message(Get("/api/v1/offers", "?policy=none", 404)), HasSubstr("BurstPolicy none"));
  EXPECT_EQ(Get("/api/v1/transfers").at("items").at(0).at("stagedPercent"), 50);
  EXPECT_EQ(Get("/api/v1/plan").at("decisions").as_array().size(), 1u);
  const json::value planned = Call("POST", "/api/v1/plan", "/api/v1/plan?file=b.yaml", 200, "x");
  EXPECT_EQ(planned.at("rentals").at(0).at("provider"), "scaleway");
  EXPECT_TRUE(backend_.applied_dry);
  EXPECT_EQ(Call("GET", "/api/v1/catalog/{id}", "/api/v1/catalog/scaleway").at("id"), "scaleway");
  Call("GET", "/api/v1/catalog/{id}", "/api/v1/catalog/none", 404);
}

TEST_F(RouterTest, ExplainsByEveryName) {
  const std::string path = "/api/v1/explain";
  for (const char* query :
       {"?workload=vision/Job/sweep", "?resource=job&name=sweep&namespace=vision",
        "?resource=po&name=sweep-0&namespace=vision", "?resource=bn&name=bn-00002"})
    EXPECT_EQ(Get(path, query).at("workload"), "vision/Job/sweep") << query;
  EXPECT_EQ(Get(path, "?resource=pod&name=one&namespace=vision").at("workload"), "vision/Pod/one");
  EXPECT_EQ(Get(path, "?workload=labs/Job/tune").at("judged"), "workload");
  Get(path, "?workload=labs/Job/none", 404);
  Get(path, "?resource=bn&name=none", 404);
  for (const char* wrong : {"", "?workload=sweep", "?workload=vision/Node/x", "?resource=job",
                            "?resource=budget&name=vision"})
    Get(path, wrong, 400);
}

TEST_F(RouterTest, ShowsCosts) {
  const std::string path = "/api/v1/cost";
  EXPECT_EQ(Get(path).at("by"), "namespace");
  for (const char* by : {"namespace", "workload", "provider", "node", "budget"})
    Get(path, std::string("?by=") + by);
  EXPECT_EQ(Get(path, "?by=node&since=1h").at("rows").as_array().size(), 1u);
  EXPECT_EQ(Get(path, "?by=node&since=2026-11-24T10:00:00Z").at("rows").as_array().size(), 2u);
  EXPECT_THAT(Message(Get(path, "?by=color", 400)), HasSubstr("\"color\""));
  EXPECT_THAT(Message(Get(path, "?since=yesterday", 400)), HasSubstr("24h"));
}

TEST_F(RouterTest, ShowsEvidence) {
  const json::value report = Get("/api/v1/report");
  EXPECT_EQ(report.at("leftovers"), 3);
  EXPECT_EQ(report.at("audit").at("records"), 5);
  EXPECT_EQ(json::serialize(Get("/api/v1/certificates").at("items")),
            R"(["bn-00001.json","bn-00003.json"])");
  const std::string path = "/api/v1/certificates/{name}";
  EXPECT_EQ(Call("GET", path, "/api/v1/certificates/bn-00001.json").at("file"), "bn-00001.json");
  Call("GET", path, "/api/v1/certificates/..%2Fkey", 404);
  const auto ledger = Http().Do(net::HttpRequest::Get("/api/v1/ledger"));
  ASSERT_TRUE(ledger);
  EXPECT_EQ(ledger->body, "{\"seq\":1}\n");
}

TEST_F(RouterTest, ReportIsRefusedIfLeftoversCannotBeCounted) {
  backend_.providers_answer = false;
  EXPECT_THAT(Message(Get("/api/v1/report", "", 503)), HasSubstr("scaleway"));
}

TEST_F(RouterTest, WatchTellsRevisionsAndResumes) {
  const auto first_two = [&](net::HttpRequest request) {
    std::vector<std::string> ids;
    const auto status = Http().Stream(request, [&](const net::SseEvent& event) {
      EXPECT_EQ(event.event, "change");
      EXPECT_EQ(event.data, "{\"revision\":" + event.id + "}");
      ids.push_back(event.id);
      return ids.size() < 2;
    });
    EXPECT_TRUE(status);
    return ids;
  };
  net::HttpRequest request = net::HttpRequest::Get("/api/v1/watch");
  EXPECT_EQ(first_two(request), (std::vector<std::string>{"7", "8"}));
  // The revision seen last is not told again.
  backend_.revision = 20;
  request.headers.Add("Last-Event-ID", "20");
  EXPECT_EQ(first_two(request), (std::vector<std::string>{"21", "22"}));

  net::HttpRequest wrong = net::HttpRequest::Get("/api/v1/watch");
  wrong.headers.Add("Last-Event-ID", "x");
  const auto refused = Http().Stream(wrong, [](const net::SseEvent&) { return false; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
}

TEST_F(RouterTest, RefusesParametersAndMethodsItDoesNotKnow) {
  for (const char* path : {"/api/v1/version", "/api/v1/status", "/api/v1/plan", "/api/v1/transfers",
                           "/api/v1/report", "/api/v1/certificates", "/api/v1/doctor"})
    EXPECT_THAT(Message(Get(path, "?x=1", 400)), HasSubstr("\"x\"")) << path;
  const auto put = net::HttpRequest::Json("PUT", "/api/v1/status", nullptr);
  EXPECT_EQ(Http().Do(put)->status, 405);
  EXPECT_EQ(Http().Do(net::HttpRequest::Get("/api/v1/nothing"))->status, 404);
}

}  // namespace
}  // namespace spillway::server
