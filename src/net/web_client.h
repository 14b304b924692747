// Requests by URL to servers of others, such as the API of a cloud: blocking, from any thread, with
// a limit on time and on the size of the answer. Real time throughout.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "net/http_client.h"
#include "net/http_message.h"

namespace spillway::net {

struct WebOptions {
  Duration connect_timeout = 10s;
  std::int64_t response_bytes = 8 << 20;  // a longer body fails
  std::string ca_file;                    // certificates to trust (PEM); empty: the system's
  bool verify = true;                     // false: whoever answers is believed to be the server
  std::size_t idle_connections = 4;       // kept to one server
};

struct WebRequest {
  std::string method = "GET";
  std::string url;  // "https://host:8774/v2.1/servers?limit=10", percent-encoded, no fragment
  Headers headers;
  std::string body;
  std::string content_type = "application/json";  // sent with a body only
  Duration timeout = 30s;                         // of the whole request
  // As HttpRequest has them.
  std::optional<Duration> stall_timeout;
  const std::atomic<bool>* stop = nullptr;
};

// The parts of a URL: "https://host:8774" and "/v2.1/servers?limit=10".
struct UrlParts {
  std::string origin, target;
};
// kInvalid unless it is http or https with a host and without user and fragment.
Result<UrlParts> SplitUrl(std::string_view url);

// True if what is sent to this URL can be read by nobody on the way: https, or this machine.
bool IsPrivateUrl(std::string_view url);

// Thread-safe. Connections are kept for reads; a request that may change something is on the wire
// at most once and has a connection of its own (see HttpClient). Follows no redirect.
class WebClient {
 public:
  explicit WebClient(WebOptions options = {});

  // Any HTTP status is a response. Errors: kUnavailable if nothing was sent, or if a GET or HEAD
  // failed; kMaybeApplied if another request was sent and its answer was lost or too long;
  // kInvalid for a bad URL or header; kInternal for a GET whose response is too long.
  Result<HttpResponse> Do(WebRequest request);

 private:
  std::unique_ptr<HttpClient> Take(const std::string& origin);
  void GiveBack(const std::string& origin, std::unique_ptr<HttpClient> client);

  const WebOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::vector<std::unique_ptr<HttpClient>>> idle_;  // by origin
};

}  // namespace spillway::net
