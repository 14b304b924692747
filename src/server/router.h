// The routes of api/openapi.yaml.
#pragma once

#include "net/router.h"
#include "server/backend.h"

namespace spillway::server {

// The largest body of a request with manifests; a larger one is answered with 413.
inline constexpr std::int64_t kManifestBytes = 8 << 20;

// Handlers are called by several threads; `backend` must outlive the server.
net::Router MakeRouter(Backend& backend);

}  // namespace spillway::server
