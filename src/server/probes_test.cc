#include "server/probes.h"

#include <gmock/gmock.h>

#include "server/fake_backend.h"

namespace spillway::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

net::Response Get(const net::Router& router, const std::string& path) {
  net::Request request;
  request.method = "GET";
  request.path = path;
  return router.Handle(&request);
}

TEST(Probes, AReplicaThatStandsByIsHealthyAndReady) {
  Probes probes("kubernetes", [] { return std::optional<Duration>(); });
  const net::Router router = probes.MakeRouter();
  EXPECT_EQ(Get(router, "/healthz").status, 200);
  EXPECT_EQ(Get(router, "/readyz").status, 200);
  const net::Response metrics = Get(router, "/metrics");
  EXPECT_EQ(metrics.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(metrics.body, HasSubstr("\nspillway_leader 0\n"));
  EXPECT_THAT(metrics.body, HasSubstr("mode=\"kubernetes\"} 1\n"));
}

TEST(Probes, ALeaderIsReadyWhenItHasLookedAtEverything) {
  std::optional<Duration> right = 9s;
  Probes probes("kubernetes", [&] { return right; });
  const net::Router router = probes.MakeRouter();
  EXPECT_EQ(Get(router, "/readyz").status, 503);
  EXPECT_EQ(Get(router, "/healthz").status, 200);
  FakeBackend backend;
  probes.Serve(&backend);
  EXPECT_EQ(Get(router, "/readyz").status, 200);
  const std::string text = Get(router, "/metrics").body;
  EXPECT_THAT(text, HasSubstr("\nspillway_leader 1\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_lease_left_seconds 9\n"));
  EXPECT_THAT(text, HasSubstr("\nspillway_ledger_records 5\n"));
  probes.Serve(nullptr);
  EXPECT_EQ(Get(router, "/readyz").status, 503);
  right.reset();
  EXPECT_THAT(Get(router, "/readyz").body, StartsWith("ok"));
}

TEST(Probes, NothingElseIsServed) {
  Probes probes("embedded", [] { return std::optional(Duration::max()); });
  EXPECT_THAT(probes.MakeRouter().List(),
              testing::ElementsAre("GET /healthz", "GET /metrics", "GET /readyz"));
}

}  // namespace
}  // namespace spillway::server
