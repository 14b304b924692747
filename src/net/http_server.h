// HTTP/1.1 server on a Unix socket and/or TCP, with a limit on everything a client can
// make it hold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "net/http_message.h"
#include "net/router.h"
#include "net/sse.h"
#include "net/tls.h"

namespace spillway::net {

// Durations are real time. Bytes are counted as they arrive.
struct ServerOptions {
  std::string unix_path;  // empty: no Unix socket. Mode 0600; needs no token
  std::string tcp_host;   // empty: no TCP
  int tcp_port = 0;       // 0: any free port, see HttpServer::tcp_port()
  // False: any address, for a router that tells everybody the same, or asks who it is itself.
  bool tcp_loopback_only = true;
  // Without a token, TCP requests on loopback must at least name a loopback host, which stops web
  // pages that reach loopback through a name of their own (DNS rebinding).
  bool tcp_token_required = true;
  std::string token;  // the bearer token for TCP; never logged
  // Both sockets speak TLS; event streams are not served then.
  std::shared_ptr<const TlsServer> tls;

  int max_connections = 64;  // one more is answered 503 and closed
  int worker_threads = 8;    // handlers running at once
  int max_streams = 16;      // event streams, each with a thread; one more is answered 503
  std::int64_t header_bytes = 16 << 10;            // 431 beyond
  std::int64_t body_bytes = 4 << 20;               // 413 beyond; a route can have its own
  std::int64_t buffered_body_bytes = 256LL << 20;  // bodies of all connections; 503 beyond

  Duration receive_timeout = 10s;  // from first to last byte of a request; 408 beyond
  Duration idle_timeout = 15s;     // between requests, and for the handshake
  Duration send_timeout = 30s;     // for a whole response or one event
  // A long body may take longer than these two: so long as this rate gives it.
  std::int64_t slowest_bytes_per_s = 32 << 10;
  Duration heartbeat = 15s;  // comment on a silent event stream
  Duration stop_grace = 5s;  // Stop() lets running requests finish for so long
};

// Serves a router. One thread accepts and receives, `worker_threads` run handlers and send. All
// methods are thread-safe. Owns its threads, sockets and the socket file.
class HttpServer {
 public:
  HttpServer(ServerOptions options, Router router);
  ~HttpServer();  // stops

  // kConflict if another server has the socket or port; kInvalid for options that cannot work. A
  // server starts once.
  Status Start();

  // Accepts no more, ends event streams and idle connections at once, lets running requests
  // finish for `stop_grace`, then cuts their connections and joins all threads. A handler that
  // never returns is waited for: handlers that wait must look at Stopping().
  void Stop();
  bool Stopping() const;

  // The port taken after Start(), 0 without TCP.
  int tcp_port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spillway::net
