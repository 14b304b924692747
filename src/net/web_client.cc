#include "net/web_client.h"

#include <utility>

namespace spillway::net {
namespace {

constexpr std::size_t kMaxOrigins = 32;

}  // namespace

Result<UrlParts> SplitUrl(std::string_view url) {
  const auto wrong = [&] {
    return Fail(Code::kInvalid, "'" + std::string(url.substr(0, url.find('?'))) +
                                    "' is not an address; write https://host[:port]/path");
  };
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return wrong();
  const std::string_view name = url.substr(0, scheme);
  if ((name != "http" && name != "https") || !IsHeaderSafe(url)) return wrong();
  const std::size_t end = std::min(url.find_first_of("/?#", scheme + 3), url.size());
  const std::string_view host = url.substr(scheme + 3, end - scheme - 3);
  if (host.empty() || host.find('@') != std::string_view::npos) return wrong();
  std::string target(url.substr(end));
  if (target.find_first_of("# ") != std::string::npos) return wrong();
  if (!target.starts_with('/')) target.insert(0, "/");
  return UrlParts{std::string(url.substr(0, end)), std::move(target)};
}

bool IsPrivateUrl(std::string_view url) {
  const Result<UrlParts> parts = SplitUrl(url);
  if (!parts) return false;
  if (parts->origin.starts_with("https://")) return true;
  std::string_view host = std::string_view(parts->origin).substr(7);
  if (host.starts_with("[::1]")) return true;
  host = host.substr(0, host.find(':'));
  return host == "localhost" || host == "127.0.0.1";
}

WebClient::WebClient(WebOptions options) : options_(std::move(options)) {}

std::unique_ptr<HttpClient> WebClient::Take(const std::string& origin) {
  {
    const std::lock_guard lock(mutex_);
    if (auto& idle = idle_[origin]; !idle.empty()) {
      std::unique_ptr<HttpClient> client = std::move(idle.back());
      idle.pop_back();
      return client;
    }
  }
  ClientOptions options;
  options.connect_timeout = options_.connect_timeout;
  options.response_bytes = options_.response_bytes;
  options.ca_file = options_.ca_file;
  options.verify = options_.verify;
  return std::make_unique<HttpClient>(Endpoint{.base_url = origin}, std::move(options));
}

void WebClient::GiveBack(const std::string& origin, std::unique_ptr<HttpClient> client) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() > kMaxOrigins) idle_.clear();
  if (auto& idle = idle_[origin]; idle.size() < options_.idle_connections)
    idle.push_back(std::move(client));
}

Result<HttpResponse> WebClient::Do(WebRequest request) {
  SPW_ASSIGN(UrlParts parts, SplitUrl(request.url));
  HttpRequest http;
  http.method = request.method;
  http.target = std::move(parts.target);
  http.headers = std::move(request.headers);
  http.body = std::move(request.body);
  http.content_type = std::move(request.content_type);
  http.timeout = request.timeout;
  http.stall_timeout = request.stall_timeout;
  http.stop = request.stop;
  std::unique_ptr<HttpClient> client = Take(parts.origin);
  Result<HttpResponse> response = client->Do(http);
  if (response) GiveBack(parts.origin, std::move(client));
  return response;
}

}  // namespace spillway::net
