#include "server/probes.h"

#include <mutex>

#include "metrics/instruments.h"
#include "metrics/process.h"

namespace spillway::server {

using net::Request;
using net::Response;

Probes::Probes(std::string mode, std::function<bool()> leads)
    : mode_(std::move(mode)), leads_(std::move(leads)) {}

void Probes::Serve(Backend* backend) {
  const std::unique_lock lock(mutex_);
  backend_ = backend;
}

std::string Probes::Metrics() const {
  metrics::Page page;
  page.Add(metrics::kBuildInfo, {SPILLWAY_VERSION, mode_}, 1);
  page.Add(metrics::kLeader, {}, leads_());
  metrics::OfProcess().WriteTo(page);
  metrics::WriteProcess(page);
  return page.Text();
}

Response Probes::Ready() const {
  const std::shared_lock lock(mutex_);
  if (!leads_()) return Response::Text("ok: another replica leads\n");
  if (backend_ != nullptr && backend_->LastRound() != nullptr) return Response::Text("ok\n");
  Response response = Response::Text("not everything was looked at yet; see the log\n");
  response.status = 503;
  return response;
}

net::Router Probes::MakeRouter() const {
  net::Router router;
  router.Add("GET", "/metrics", [this](const Request&) -> Result<Response> {
    return Response::Text(Metrics(), std::string(metrics::kContentType));
  });
  router.Add("GET", "/healthz",
             [](const Request&) -> Result<Response> { return Response::Text("ok\n"); });
  router.Add("GET", "/readyz", [this](const Request&) -> Result<Response> { return Ready(); });
  return router;
}

}  // namespace spillway::server
