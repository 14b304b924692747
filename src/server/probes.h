// What machines ask of spillwayd: GET /metrics, /healthz and /readyz, also of a replica that does
// not lead and has opened nothing yet.
#pragma once

#include <functional>
#include <optional>
#include <shared_mutex>
#include <string>

#include "net/router.h"
#include "server/backend.h"

namespace spillway::server {

// Thread-safe. Must outlive the servers that use its routes.
class Probes {
 public:
  // `mode` is "embedded" or "kubernetes". `right` says for how long this process may act if nothing
  // renews its right: Duration::max() for ever, nullopt if it does not lead.
  Probes(std::string mode, std::function<std::optional<Duration>()> right);

  // From now on answers are those of `backend`. nullptr: there is none any more; returns when no
  // answer uses it.
  void Serve(Backend* backend);

  // GET /metrics alone, for a server that has other routes too.
  void AddMetrics(net::Router* router) const;
  // /metrics, /healthz, /readyz. Healthy: it answers. Ready: it stands by, or it leads and has
  // looked at everything once.
  net::Router MakeRouter() const;
  std::string Metrics() const;

 private:
  net::Response Ready() const;

  const std::string mode_;
  const std::function<std::optional<Duration>()> right_;
  mutable std::shared_mutex mutex_;
  Backend* backend_ = nullptr;
};

}  // namespace spillway::server
