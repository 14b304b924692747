// HTTP client over libcurl: one connection kept alive, errors that say whether the request may
// have had an effect, JSON in and out, server-sent events.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "net/http_message.h"
#include "net/socket.h"
#include "net/sse.h"
#include "net/tls.h"

namespace spillway::net {

// Makes the connections of a client that reaches its server in a way of its own, such as through
// another program. Thread-safe.
class Dialer {
 public:
  virtual ~Dialer() = default;
  // A new connected stream socket; ownership passes to the caller. May block. Its error is what the
  // client gives to its caller, so it says what to do; nothing was sent then.
  virtual Result<Fd> Dial() = 0;
  // Where its connections lead, for messages.
  virtual std::string Name() const = 0;
  // What is known of why a connection broke; empty if nothing is.
  virtual std::string Complaint() { return {}; }
};

// Where the server is: a Unix socket, or a base URL such as "http://127.0.0.1:8080" (no path), or
// whatever the dialer reaches. A token over plain http goes to loopback only; to other hosts it
// needs https, or a tunnel of which the caller knows that it encrypts and leads to the server.
struct Endpoint {
  std::string unix_path;
  std::string base_url;
  std::string token;  // bearer token or empty; never logged
  std::shared_ptr<Dialer> dialer;
  bool tunnelled = false;  // base_url is inside such a tunnel

  // For messages.
  std::string Name() const {
    return dialer != nullptr ? dialer->Name() : unix_path.empty() ? base_url : unix_path;
  }
};

struct ClientOptions {
  Duration connect_timeout = 5s;
  Duration total_timeout = 30s;           // of one request; event streams have none
  Duration stream_idle_timeout = 45s;     // whole seconds; three missed heartbeats
  std::int64_t response_bytes = 4 << 20;  // a longer body fails
  std::string ca_file;                    // certificates to trust (PEM); empty: the system's
  bool verify = true;                     // false: whoever answers is believed to be the server
  // Base64 of the SHA-256 of the server's public key (DER, RFC 5280 SubjectPublicKeyInfo). With it
  // everything is TLS 1.3, to a Unix socket as well, and that key alone is the server, whatever its
  // certificate says.
  std::string pinned_key;
  // Who the client is, asked for at each request: another one than before gets a connection of its
  // own. Null, or answering null: nobody.
  std::function<std::shared_ptr<const TlsIdentity>()> identity;
};

// Takes the body of a 2xx response as it comes; false ends the transfer. Must not throw: libcurl is
// C.
using BodySink = std::function<bool(std::string_view)>;

struct HttpRequest {
  std::string method = "GET";
  std::string target;  // path and query as on the wire; build segments with PercentEncode()
  Headers headers;
  std::string body;
  std::string content_type = "application/json";  // sent with a body only
  std::optional<Duration> timeout;                // instead of ClientOptions::total_timeout
  // Carried out twice it does what it does once, as the methods GET and HEAD do anyway: it goes
  // over the kept connection and may be sent again.
  bool repeatable = false;
  // Nothing came or went for so long: given up, within a second. nullopt: only the timeout counts.
  std::optional<Duration> stall_timeout;
  BodySink sink;  // instead of HttpResponse::body, with no limit to its length
  const std::atomic<bool>* stop = nullptr;  // true: given up, within a second

  static HttpRequest Get(std::string target);
  static HttpRequest Json(std::string method, std::string target, const json::value& body);
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

// Not thread-safe: one per thread. GET, HEAD and what is repeatable reuse the kept connection.
// libcurl silently sends a request again when a reused connection dies, and the first copy may have
// been carried out: so a request that changes something opens a new connection, or, where a dialer
// makes that dear, reuses it and gets no second one once it has been sent.
class HttpClient {
 public:
  explicit HttpClient(Endpoint endpoint, ClientOptions options = {});
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  // Any HTTP status is a response. Errors: kUnavailable if nothing was sent, or if a GET or HEAD
  // failed or timed out; kMaybeApplied if another request was sent and its answer was lost;
  // kInvalid for a bad endpoint, target or header; kInternal for a GET whose response is too long.
  Result<HttpResponse> Do(const HttpRequest& request);

  // The same, with the body of a 2xx as JSON (null if empty), and every other status as the Error
  // the server put into it.
  Result<json::value> DoJson(const HttpRequest& request);

  // Called for each event; false ends the stream. Must not throw: libcurl is C.
  using EventCallback = std::function<bool(const SseEvent&)>;

  // Follows an event stream. Ok when the callback ends it or `stop` becomes true (looked at every
  // 100 ms); kUnavailable when the server ends it or falls silent: connect again with the header
  // Last-Event-ID.
  Status Stream(const HttpRequest& request, const EventCallback& callback,
                const std::atomic<bool>* stop = nullptr);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace spillway::net
