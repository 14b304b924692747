// HTTP to one API server over libcurl: calls of all threads share one HTTP/2 connection where the
// server offers it; leases and watches have connections of their own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "kube/credentials.h"
#include "kube/kubeconfig.h"
#include "net/http_client.h"

namespace spillway::kube {

struct TransportOptions {
  Duration connect_timeout = 5s;
  // Sent data that nobody acknowledges ends a connection after so long (TCP_USER_TIMEOUT), so that
  // a server that vanished does not hold the shared connection for a quarter of an hour.
  Duration dead_peer_timeout = 15s;
  std::string user_agent = "spillway";
};

struct WireRequest {
  std::string method = "GET";
  std::string target;  // path and query
  std::string body;    // of every method but GET
  std::string content_type = "application/json";
  std::string accept = "application/json";
  Duration timeout = 30s;
  std::int64_t response_bytes = 32 << 20;
  bool own_connection = false;  // HTTP/1.1, not held up by anything on the shared connection
  std::shared_ptr<const Credentials> credentials;
};

// Thread-safe. One thread of its own drives the shared connections. Real time throughout.
class Transport {
 public:
  explicit Transport(const Access& access, TransportOptions options = {});
  ~Transport();  // no call may be running

  // Any HTTP status is a response. A request is on the wire at most once, also when a kept
  // connection turns out to be dead. Errors: kUnavailable if it certainly had no effect (or a GET
  // failed), kMaybeApplied if another request was sent and its answer was lost or too long,
  // kInternal for a GET whose response is too long, kUnavailable or kMaybeApplied when `stop` cuts.
  Result<net::HttpResponse> Do(const WireRequest& request, const std::stop_token& stop);

  // Takes the next piece of a body, in pieces of any size; an error ends the stream.
  using OnBytes = std::function<Status(std::string_view)>;

  // A GET whose 2xx body goes to `on_bytes`, on this thread and on a connection of its own; slow
  // consumption slows the server. Any other status is a response with a body of at most 64 KiB. No
  // total timeout; kUnavailable when nothing arrives for `idle`, the connection breaks or `stop` is
  // requested. `on_bytes`'s own error comes back as it is.
  Result<net::HttpResponse> Stream(const WireRequest& request, Duration idle,
                                   const OnBytes& on_bytes, const std::stop_token& stop);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spillway::kube
