#include "server/probes.h"

#include <mutex>

#include "metrics/instruments.h"
#include "metrics/process.h"
#include "server/metrics_view.h"

namespace spillway::server {

using net::Request;
using net::Response;

Probes::Probes(std::string mode, std::function<std::optional<Duration>()> right)
    : mode_(std::move(mode)), right_(std::move(right)) {}

void Probes::Serve(Backend* backend) {
  const std::unique_lock lock(mutex_);
  backend_ = backend;
}

std::string Probes::Metrics() const {
  metrics::Page page;
  page.Add(metrics::kBuildInfo, {SPILLWAY_VERSION, mode_}, 1);
  const std::optional<Duration> right = right_();
  page.Add(metrics::kLeader, {}, right.has_value());
  if (right != Duration::max())
    page.Add(metrics::kLeaseLeft, {}, metrics::Value(right.value_or(0ms)));
  {
    const std::shared_lock lock(mutex_);
    if (const auto round = backend_ == nullptr ? nullptr : backend_->LastRound()) {
      const auto records = backend_->LedgerRecords();
      WriteMetrics(*round,
                   {backend_->Transfers(), records ? std::optional(*records) : std::nullopt,
                    backend_->Now()},
                   page);
    }
  }
  metrics::OfProcess().WriteTo(page);
  metrics::WriteProcess(page);
  return page.Text();
}

Response Probes::Ready() const {
  const std::shared_lock lock(mutex_);
  if (!right_()) return Response::Text("ok: another replica leads\n");
  if (backend_ != nullptr && backend_->LastRound() != nullptr) return Response::Text("ok\n");
  Response response = Response::Text("not everything was looked at yet; see the log\n");
  response.status = 503;
  return response;
}

void Probes::AddMetrics(net::Router* router) const {
  router->Add("GET", "/metrics", [this](const Request&) -> Result<Response> {
    return Response::Text(Metrics(), std::string(metrics::kContentType));
  });
}

net::Router Probes::MakeRouter() const {
  net::Router router;
  AddMetrics(&router);
  router.Add("GET", "/healthz",
             [](const Request&) -> Result<Response> { return Response::Text("ok\n"); });
  router.Add("GET", "/readyz", [this](const Request&) -> Result<Response> { return Ready(); });
  return router;
}

}  // namespace spillway::server
