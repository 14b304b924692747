// What Prometheus and a kubelet ask of spillwayd, over TCP.
#include <gmock/gmock.h>

#include <regex>

#include "tests/integration/daemon_process.h"

namespace spillway::integration {
namespace {

using ::testing::HasSubstr;

TEST(Probes, AreServedOnTheirAddressAndNothingElseIs) {
  Daemon daemon({.extra = {"--metrics-listen", "127.0.0.1:0"}});
  daemon.Start();
  std::smatch port;
  const std::string log = daemon.Log();
  ASSERT_TRUE(std::regex_search(log, port, std::regex("\"metrics are served\",\"port\":(\\d+)")))
      << log;
  net::HttpClient client({.base_url = "http://127.0.0.1:" + port[1].str()});
  const auto get = [&](const std::string& path) {
    const auto response = client.Do(net::HttpRequest::Get(path));
    return response ? std::to_string(response->status) + " " + response->body
                    : response.error().message;
  };
  EXPECT_EQ(get("/healthz"), "200 ok\n");
  EXPECT_TRUE(daemon.WaitFor([&] { return get("/readyz") == "200 ok\n"; }, 20s)) << get("/readyz");
  const std::string metrics = get("/metrics");
  EXPECT_THAT(metrics, HasSubstr("\nspillway_leader 1\n"));
  EXPECT_THAT(metrics, HasSubstr("mode=\"embedded\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\nspillway_rounds_total{result=\"failed\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("\nspillway_ledger_records 0\n"));
  EXPECT_THAT(get("/api/v1/status"), HasSubstr("404"));
  EXPECT_THAT(get("/api/v1/ledger"), HasSubstr("404"));
  // The API has them too, with its own answer to /healthz.
  EXPECT_TRUE(daemon.Get("/healthz"));
}

}  // namespace
}  // namespace spillway::integration
