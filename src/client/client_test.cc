// The client against a real server on a Unix socket that repeats what it was asked.
#include "client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "net/http_server.h"

namespace spillway::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

net::Response Echo(const net::Request& request) {
  json::object query;
  for (const auto& [name, value] : request.query) query[name] = value;
  return net::Response::Json(json::object{{"method", request.method},
                                          {"path", request.path},
                                          {"query", std::move(query)},
                                          {"body", request.body}});
}

net::Router EchoRouter() {
  net::Router router;
  for (const char* path :
       {"/healthz", "/api/v1/version", "/api/v1/objects/{r}", "/api/v1/objects/{r}/{n}",
        "/api/v1/events", "/api/v1/status", "/api/v1/offers", "/api/v1/catalog/{id}",
        "/api/v1/explain", "/api/v1/plan", "/api/v1/cost", "/api/v1/transfers", "/api/v1/report",
        "/api/v1/doctor", "/api/v1/ledger", "/api/v1/openapi.yaml"})
    router.Add("GET", path, Echo);
  router.Add("DELETE", "/api/v1/objects/{r}/{n}", Echo);
  router.Add("POST", "/api/v1/plan", Echo);
  router.Add("POST", "/api/v1/apply", [](const net::Request& request) -> Result<net::Response> {
    if (request.body != "bad") return Echo(request);
    return net::Response::Json(
        json::parse(R"({"error":{"code":"invalid","message":"2 problems","problems":[)"
                    R"({"text":"a.yaml:1:2: x: wrong: right"},{"text":"a.yaml:3: y"}]}})"),
        400);
  });
  router.Add("GET", "/api/v1/pods/{n}/log", [](const net::Request&) -> Result<net::Response> {
    return net::Response::Json(json::object{{"text", "hi"}, {"offset", 9}, {"finished", true}});
  });
  router.Add("GET", "/api/v1/certificates", [](const net::Request&) -> Result<net::Response> {
    return net::Response::Json(json::object{{"items", json::array{"a.json", "b.json"}}});
  });
  router.Add("GET", "/api/v1/certificates/{n}",
             [](const net::Request& request) -> Result<net::Response> {
               if (request.Param("n") == "none") return Fail(Code::kNotFound, "no certificate");
               if (request.Param("n") == "later") return Fail(Code::kUnavailable, "try again");
               return net::Response::Text("certificate of " + request.Param("n"));
             });
  router.Add("GET", "/api/v1/watch", [](const net::Request& request) -> Result<net::Response> {
    const std::string last(request.headers.Get("Last-Event-ID"));
    return net::Response::Stream([last](net::EventStream& stream) {
      if (last.empty()) stream.Send("change", "{}", "7");
      stream.Send("other", "{}", "8");
      stream.Send("change", "{}", "9");
    });
  });
  return router;
}

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    std::string name = "/tmp/spw-client-XXXXXX";
    directory_ = mkdtemp(name.data());
    net::ServerOptions options;
    options.unix_path = directory_ + "/api.sock";
    server_ = std::make_unique<net::HttpServer>(options, EchoRouter());
    EXPECT_TRUE(server_->Start());
    client_.emplace(net::Endpoint{options.unix_path, "", ""});
  }
  ~ClientTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  // "GET /path {query}"
  static std::string Asked(const Result<json::value>& answer) {
    if (!answer) return answer.error().message;
    return std::string(View(answer->at("method").as_string())) + " " +
           std::string(View(answer->at("path").as_string())) + " " +
           json::serialize(answer->at("query"));
  }

  std::string directory_;
  std::unique_ptr<net::HttpServer> server_;
  std::optional<Client> client_;
};

TEST_F(ClientTest, AsksForEachRoute) {
  Client& c = *client_;
  EXPECT_EQ(Asked(c.Health()), "GET /healthz {}");
  EXPECT_EQ(Asked(c.Version()), "GET /api/v1/version {}");
  EXPECT_EQ(Asked(c.Status()), "GET /api/v1/status {}");
  EXPECT_EQ(Asked(c.Transfers()), "GET /api/v1/transfers {}");
  EXPECT_EQ(Asked(c.Report()), "GET /api/v1/report {}");
  EXPECT_EQ(Asked(c.Doctor()), "GET /api/v1/doctor {}");
  EXPECT_EQ(Asked(c.Plan()), "GET /api/v1/plan {}");
  EXPECT_EQ(Asked(c.CatalogEntry("ovh cloud")), "GET /api/v1/catalog/ovh%20cloud {}");
  EXPECT_EQ(Asked(c.List({"po", "vision", ""}, "app=a,b")),
            R"(GET /api/v1/objects/po {"labelSelector":"app=a,b","namespace":"vision"})");
  EXPECT_EQ(Asked(c.List({"bn", "", ""})), "GET /api/v1/objects/bn {}");
  EXPECT_EQ(Asked(c.Get({"job", "vision", "a/b"})),
            R"(GET /api/v1/objects/job/a%2Fb {"namespace":"vision"})");
  EXPECT_EQ(Asked(c.Delete({"bn", "", "x"}, true)),
            R"(DELETE /api/v1/objects/bn/x {"dryRun":"true"})");
  EXPECT_EQ(Asked(c.Delete({"bn", "", "x"})), "DELETE /api/v1/objects/bn/x {}");
  EXPECT_EQ(Asked(c.Events()), "GET /api/v1/events {}");
  EXPECT_EQ(Asked(c.Events({"pod", "vision", "x"})),
            R"(GET /api/v1/events {"name":"x","namespace":"vision","resource":"pod"})");
  EXPECT_EQ(Asked(c.Offers("p", "")), R"(GET /api/v1/offers {"policy":"p"})");
  EXPECT_EQ(Asked(c.Explain("vision/Job/sweep")),
            R"(GET /api/v1/explain {"workload":"vision/Job/sweep"})");
  EXPECT_EQ(Asked(c.Explain({"job", "", "x"})),
            R"(GET /api/v1/explain {"name":"x","resource":"job"})");
  EXPECT_EQ(Asked(c.Cost("node", "24h")), R"(GET /api/v1/cost {"by":"node","since":"24h"})");
}

TEST_F(ClientTest, SendsManifests) {
  const auto applied = client_->Apply("dir/a b.yaml", "kind: Job", "vision", true);
  EXPECT_EQ(Asked(applied),
            R"(POST /api/v1/apply {"dryRun":"true","file":"dir/a b.yaml","namespace":"vision"})");
  EXPECT_EQ(applied->at("body"), "kind: Job");
  EXPECT_EQ(Asked(client_->PlanWith("a", "x", "")), R"(POST /api/v1/plan {"file":"a"})");
}

TEST_F(ClientTest, KeepsEveryProblem) {
  const auto applied = client_->Apply("a.yaml", "bad", "", false);
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, Code::kInvalid);
  EXPECT_EQ(applied.error().message, "a.yaml:1:2: x: wrong: right\na.yaml:3: y");
}

TEST_F(ClientTest, ReadsTextsAndLists) {
  EXPECT_EQ(*client_->Certificate("a.json"), "certificate of a.json");
  EXPECT_THAT(*client_->Certificates(), ElementsAre("a.json", "b.json"));
  EXPECT_THAT(*client_->Ledger(), HasSubstr("/api/v1/ledger"));
  EXPECT_THAT(*client_->ApiDocument(), HasSubstr("/api/v1/openapi.yaml"));
  const auto log = client_->Logs("vision", "x", 7);
  ASSERT_TRUE(log);
  EXPECT_EQ(log->text, "hi");
  EXPECT_EQ(log->offset, 9);
  EXPECT_TRUE(log->finished);
}

TEST_F(ClientTest, ErrorsOfTheServerStayAsTheyAre) {
  const auto none = client_->Certificate("none");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_EQ(none.error().message, "no certificate");
  // It answers, so it need not be started.
  EXPECT_EQ(client_->Certificate("later").error().message, "try again");
}

TEST_F(ClientTest, WatchesFromTheLastRevision) {
  std::vector<std::int64_t> seen;
  const auto keep = [&](std::int64_t revision) {
    seen.push_back(revision);
    return true;
  };
  EXPECT_EQ(client_->Watch(keep).error().code, Code::kUnavailable);  // the server ended it
  EXPECT_THAT(seen, ElementsAre(7, 9));
  seen.clear();
  EXPECT_FALSE(client_->Watch(keep, 7));
  EXPECT_THAT(seen, ElementsAre(9));
  EXPECT_TRUE(client_->Watch([](std::int64_t) { return false; }));
}

TEST_F(ClientTest, SaysHowToStartADaemonThatIsNotThere) {
  server_->Stop();
  const auto status = client_->Status();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kUnavailable);
  EXPECT_THAT(status.error().message, HasSubstr("spillwayd is not reachable at " + directory_ +
                                                "/api.sock: start it with \"spillwayd\""));
  EXPECT_EQ(client_->Apply("a", "x", "", false).error().code, Code::kUnavailable);
  EXPECT_THAT(client_->Watch([](std::int64_t) { return true; }).error().message,
              HasSubstr("start it"));
}

}  // namespace
}  // namespace spillway::client
