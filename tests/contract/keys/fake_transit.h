// A transit engine as OpenBao 2.4 and Vault speak it, as far as a key service of Spillway needs it:
// simulated, over real HTTP. Its ciphertext only names what it keeps.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "base/encoding.h"
#include "gateway/files.h"
#include "net/http_server.h"

namespace spillway::contract {

class FakeTransit {
 public:
  FakeTransit() { SetDown(false); }

  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  // Nobody listens while it is down; the keys stay.
  void SetDown(bool down) {
    server_.reset();
    if (down) return;
    net::ServerOptions options;
    options.tcp_host = "127.0.0.1";
    options.tcp_port = port_;
    options.tcp_token_required = false;
    server_ = std::make_unique<net::HttpServer>(options, MakeRouter());
    SPW_CHECK(server_->Start().has_value(), "the port is taken");
    port_ = server_->tcp_port();
  }

  // What goes wrong from now on.
  std::atomic<bool> sealed = false;         // answers 503, as one that waits for its unsealing
  std::atomic<bool> keeps_deleted = false;  // says 204 to a deletion and does nothing
  std::atomic<bool> loses_answers = false;  // does what it is asked and answers 502
  std::atomic<bool> makes_exportable = false;
  std::atomic<bool> answers_nonsense = false;

  void SetToken(const std::string& token) {
    const std::lock_guard lock(mutex_);
    token_ = token;
  }
  bool Has(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return keys_.contains(key);
  }

  // 2026-11-24T08:15:30Z, whatever the time is.
  static constexpr const char* kDate = "Tue, 24 Nov 2026 08:15:30 GMT";
  static constexpr std::int64_t kCreatedSeconds = 1'795'500'000;

 private:
  struct Key {
    bool exportable = false, deletion_allowed = false;
    std::map<std::string, std::string> wrapped;  // ciphertext -> plaintext, base64
  };

  static net::Response Errors(int status, const std::string& error) {
    json::array errors;
    if (!error.empty()) errors.emplace_back(error);
    return Dated(net::Response::Json(json::object{{"errors", std::move(errors)}}, status));
  }
  static net::Response Data(json::object data) {
    return Dated(net::Response::Json(json::object{{"data", std::move(data)}}));
  }
  static net::Response Done() {
    net::Response response;
    response.status = 204;
    return Dated(std::move(response));
  }
  static net::Response Dated(net::Response response) {
    response.headers.Add("Date", kDate);
    return response;
  }

  using Handler = std::function<net::Response(const net::Request&, Key*, const json::value& body)>;

  net::Router MakeRouter() {
    net::Router router;
    const auto add = [&](const char* method, const std::string& path, Handler handler) {
      router.Add(method, path, [this, handler](const net::Request& request) {
        return Result<net::Response>(Answer(request, handler));
      });
    };
    add("GET", "/v1/auth/token/lookup-self",
        [](const auto&, Key*, const auto&) { return Data({{"ttl", 3600}}); });
    add("POST", "/v1/transit/keys/{key}", [this](const net::Request& r, Key*, const auto& body) {
      const auto [it, made] = keys_.try_emplace(r.Param("key"));
      if (made) it->second.exportable = makes_exportable || BoolOr(body, "exportable", false);
      return Describe(it->second);
    });
    add("GET", "/v1/transit/keys/{key}", [](const auto&, Key* key, const auto&) {
      return key == nullptr ? Errors(404, "") : Describe(*key);
    });
    add("POST", "/v1/transit/keys/{key}/config", [](const auto&, Key* key, const auto& body) {
      if (key == nullptr) return Errors(400, "no existing key named that could be found");
      key->deletion_allowed = BoolOr(body, "deletion_allowed", false);
      return Describe(*key);
    });
    add("DELETE", "/v1/transit/keys/{key}", [this](const net::Request& r, Key* key, const auto&) {
      if (key == nullptr || !key->deletion_allowed)
        return Errors(400, "error deleting policy: deletion is not allowed for this key");
      if (!keeps_deleted) keys_.erase(r.Param("key"));
      return Done();
    });
    add("POST", "/v1/transit/datakey/plaintext/{key}",
        [this](const net::Request& r, Key* key, const auto& body) {
          if (key == nullptr) return Errors(400, "encryption key not found");
          if (IntOr(body, "bits", 0) != 256) return Errors(400, "invalid bit length");
          const std::string wrapped =
              fmt::format("vault:v1:{}{}", Hex(AsBytes(r.Param("key"))), ++made_);
          key->wrapped[wrapped] = Base64(gateway::RandomBytes(32));
          return Data(
              {{"ciphertext", wrapped}, {"plaintext", key->wrapped[wrapped]}, {"key_version", 1}});
        });
    add("POST", "/v1/transit/decrypt/{key}", [](const auto&, Key* key, const auto& body) {
      if (key == nullptr) return Errors(400, "encryption key not found");
      const auto it = key->wrapped.find(std::string(StringOr(body, "ciphertext", "")));
      if (it == key->wrapped.end()) return Errors(400, "cipher: message authentication failed");
      return Data({{"plaintext", it->second}});
    });
    return router;
  }

  static net::Response Describe(const Key& key) {
    return Data({{"type", "aes256-gcm96"},
                 {"exportable", key.exportable},
                 {"allow_plaintext_backup", false},
                 {"deletion_allowed", key.deletion_allowed},
                 {"latest_version", 1},
                 {"keys", json::object{{"1", kCreatedSeconds}}}});
  }

  net::Response Answer(const net::Request& request, const Handler& handler) {
    const std::lock_guard lock(mutex_);
    if (sealed) return Errors(503, "Vault is sealed");
    if (answers_nonsense) return Dated(net::Response::Text("<html>it works</html>"));
    if (request.headers.Get("X-Vault-Token") != token_) return Errors(403, "permission denied");
    const auto body = ParseJson(request.body);
    const auto it = request.params.contains("key") ? keys_.find(request.Param("key")) : keys_.end();
    net::Response response = handler(request, it == keys_.end() ? nullptr : &it->second,
                                     body ? *body : json::value(nullptr));
    if (loses_answers && request.method != "GET") return Errors(502, "");
    return response;
  }

  int port_ = 0;
  std::mutex mutex_;
  std::string token_;
  std::map<std::string, Key> keys_;
  int made_ = 0;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace spillway::contract
