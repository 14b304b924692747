// What goes wrong between the OpenStack adapter and its services: a Send that passes requests on,
// spoils them, or answers in their place. Replies that are too long, too slow or torn come from a
// real server of that kind by the client that is used in earnest.
#pragma once

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "clouds/openstack/session.h"
#include "net/socket.h"
#include "tests/contract/cloud/cloud_under_test.h"

namespace spillway {

// Answers each connection with a text that ends in the middle, never ends, or is endless.
class BadServer {
 public:
  BadServer() {
    listener_ = std::move(*net::ListenLoopback("127.0.0.1", &port_));
    thread_ = std::thread([this] { Serve(); });
  }
  ~BadServer() {
    stopped_ = true;
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  BadServer(const BadServer&) = delete;
  BadServer& operator=(const BadServer&) = delete;

  void Answer(ports::Fault fault) { fault_ = fault; }
  std::string Url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  void Serve() {
    std::vector<Fd> kept;  // connections whose answer never ends
    while (!stopped_) {
      pollfd entry{listener_.get(), POLLIN, 0};
      poll(&entry, 1, -1);
      Fd fd(accept(listener_.get(), nullptr, nullptr));
      if (!fd.valid()) continue;
      std::array<char, 8192> head;
      if (recv(fd.get(), head.data(), head.size(), 0) <= 0) continue;
      Write(fd.get(),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            "Content-Length: 100000000\r\n\r\n{\"server\": {\"id\": \"");
      if (fault_ == ports::Fault::kHugeReply)
        while (Write(fd.get(), std::string(64 << 10, 'x'))) {
        }
      if (fault_ == ports::Fault::kSlowReply) kept.push_back(std::move(fd));
    }
  }
  static bool Write(int fd, std::string_view text) {
    return send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  int port_ = 0;
  Fd listener_;
  std::atomic<bool> stopped_ = false;
  std::atomic<ports::Fault> fault_{};
  std::thread thread_;
};

// Thread-safe.
class FaultyWay {
 public:
  // Answers in place of a service for a fault; nullopt: those made here.
  using Answers = std::function<std::optional<net::HttpResponse>(ports::Fault)>;

  explicit FaultyWay(openstack::Send inner, Answers answers = {})
      : inner_(std::move(inner)), answers_(std::move(answers)) {}

  openstack::Send Sender() {
    return [this](const net::WebRequest& request) { return Do(request); };
  }
  void Begin(ports::Fault fault, ports::Meets meets) {
    const std::lock_guard lock(mutex_);
    now_ = {fault, meets};
    refused_ = token_;
    server_.Answer(fault);
  }
  void End() {
    const std::lock_guard lock(mutex_);
    now_.reset();
  }
  int sign_ins() const { return sign_ins_; }

 private:
  using Fault = ports::Fault;
  using Response = Result<net::HttpResponse>;
  static constexpr int kAttempts = 100;
  struct Running {
    Fault fault;
    ports::Meets meets;
  };

  static bool IsSignIn(const net::WebRequest& request) {
    return request.url.ends_with("/auth/tokens") && request.method == "POST";
  }
  static bool IsFor(const net::WebRequest& request, std::string_view version) {
    return net::SplitUrl(request.url)->target.starts_with(version);
  }
  static net::HttpResponse Canned(int status, const std::string& message, bool retry = false) {
    net::HttpResponse response;
    response.status = status;
    response.headers.Add("X-Openstack-Request-Id", "req-00000000-0000-0000-0000-000000000bad");
    if (retry) response.headers.Add("Retry-After", "7");
    response.body = json::serialize(
        json::object{{"fault", json::object{{"code", status}, {"message", message}}}});
    return response;
  }

  Response Do(const net::WebRequest& request) {
    std::optional<Running> now;
    {
      const std::lock_guard lock(mutex_);
      now = now_;
    }
    if (IsSignIn(request)) return SignIn(request, now);
    if (!now) return inner_(request);
    if (SpoilsToken(now->fault)) return inner_(WithoutToken(request, *now));
    const bool effect = request.method != "GET";
    if (effect == (now->meets == ports::Meets::kEffects)) return Meet(request, now->fault);
    return inner_(request);
  }

  Response SignIn(net::WebRequest request, const std::optional<Running>& now) {
    ++sign_ins_;
    if (now && now->fault == Fault::kIdentityDown) return Unreachable(request);
    if (now && now->fault == Fault::kCredentialsWrong)
      for (const char* secret : {"adapter-secret", "\"password\":\"", "\"secret\":\""})
        if (const std::size_t at = request.body.find(secret); at != std::string::npos)
          request.body.insert(at + std::strlen(secret), "no");
    Response response = inner_(request);
    const std::lock_guard lock(mutex_);
    if (response) token_ = response->headers.Get("X-Subject-Token");
    return response;
  }

  static bool SpoilsToken(Fault fault) {
    return fault == Fault::kTokenRevoked || fault == Fault::kTokensRefused ||
           fault == Fault::kCredentialsWrong;
  }
  // The service itself says what it thinks of a token that is none.
  net::WebRequest WithoutToken(const net::WebRequest& request, const Running& now) {
    const std::lock_guard lock(mutex_);
    const bool all = now.fault == Fault::kTokensRefused;
    net::WebRequest other = request;
    other.headers = {};
    for (const auto& [name, value] : request.headers.all()) {
      const bool spoil = name == "X-Auth-Token" && (all || value == refused_);
      other.headers.Add(name, spoil ? "no-token" : value);
    }
    return other;
  }

  Response Meet(const net::WebRequest& request, Fault fault) {
    if (fault == Fault::kNetworkDown) return Outage(request, fault, "/v2.0");
    if (fault == Fault::kImagesDown) return Outage(request, fault, "/v2/");
    if (auto answer = answers_ ? answers_(fault) : std::nullopt) return std::move(*answer);
    switch (fault) {
      case Fault::kForbidden:
        return Canned(403, "Policy doesn't allow it to be performed.");
      case Fault::kNotFound:
        return Canned(404, "The resource could not be found.");
      case Fault::kConflict:
        return Canned(409, "Cannot do it while it is in another state.");
      case Fault::kTooLarge:
        return Canned(413, "Request Entity Too Large");
      case Fault::kThrottled:
        return Canned(429, "Too many requests", true);
      case Fault::kBusy:
        return Canned(413, "Over limit", true);
      case Fault::kServerError:
        return Canned(500, "Unexpected API Error.");
      case Fault::kOutOfService:
        return Canned(503, "Service Unavailable");
      case Fault::kUnreachable:
        return Unreachable(request);
      case Fault::kErrorAfterEffect:
        (void)inner_(request);
        return net::HttpResponse{502, {}, "<html><h1>502 Bad Gateway</h1></html>"};
      case Fault::kMalformedReply:
        return Cut(inner_(request));
      case Fault::kHugeReply:
      case Fault::kTornReply:
      case Fault::kSlowReply:
        (void)inner_(request);
        return FromBadServer(request);
      default:
        return inner_(request);
    }
  }
  // A part is out of order: Nova, which asks it, says so; without effect.
  Response Outage(const net::WebRequest& request, Fault part, std::string_view version) {
    if (IsFor(request, version)) return Unreachable(request);
    if (request.method != "POST") return inner_(request);
    auto answer = answers_ ? answers_(part) : std::nullopt;
    return answer ? std::move(*answer) : Canned(500, "Unexpected API Error.");
  }
  static Response Cut(Response response) {
    if (response && !response->body.empty()) response->body.pop_back();
    if (response && response->status == 204) *response = {200, {}, "{"};
    return response;
  }
  static Response Unreachable(net::WebRequest request) {
    request.url = "http://127.0.0.1:1/";
    return net::WebClient().Do(request);
  }
  Response FromBadServer(net::WebRequest request) {
    net::WebOptions options;
    options.response_bytes = 1 << 20;
    request.url = server_.Url();
    request.timeout = 300ms;
    net::WebClient client(options);
    // On a busy machine the time may be over before an effect is even asked for: then again.
    for (int attempt = 1;; ++attempt) {
      Response response = client.Do(request);
      const bool unsent =
          request.method != "GET" && !response && response.error().code == Code::kUnavailable;
      if (!unsent || attempt == kAttempts) return response;
    }
  }

  const openstack::Send inner_;
  const Answers answers_;
  BadServer server_;
  std::atomic<int> sign_ins_ = 0;
  std::mutex mutex_;
  std::optional<Running> now_;
  std::string token_, refused_;  // the last one given, and the last before the fault
};

}  // namespace spillway
