// Session: one account at one OpenStack. Asks Keystone for a token, finds the services in the
// catalogue that comes with it, and sends requests to them.
// https://docs.openstack.org/api-ref/identity/v3/#password-authentication-with-scoped-authorization
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "clouds/openstack/clouds_yaml.h"
#include "net/web_client.h"

namespace spillway::openstack {

// How requests travel: WebClient::Do, or something that tests make. Thread-safe.
using Send = std::function<Result<net::HttpResponse>(const net::WebRequest&)>;

enum class Service { kCompute, kNetwork, kImage, kVolume };
std::string_view Name(Service service);  // "Nova", "Neutron", "Glance", "Cinder"

// One request to a service. Everything but a GET may have an effect.
struct Call {
  Service service = Service::kCompute;
  std::string method = "GET";
  std::string path;  // below the service's address: "/servers/detail?limit=100"
  std::optional<json::value> body;
  std::string microversion;  // of Nova: "2.52"; empty: none is asked for
  Duration timeout = 30s;

  bool effect() const { return method != "GET"; }
};

// What a service answered, whatever the status.
struct Answer {
  int status = 0;
  net::Headers headers;
  std::string body;

  bool ok() const { return status / 100 == 2; }
};

// Thread-safe; calls run side by side, one of them at a time asks for a token.
class Session {
 public:
  // `clock` must outlive the session; its steady time says how old a token is.
  Session(CloudConfig config, Send send, const Clock& clock);

  // Sends with a token that is good for a while yet; after a 401 once more with a new one, since a
  // request that is not authenticated had no effect. Errors: kDenied if Keystone refuses the
  // credentials or a service refuses a new token; kUnavailable if Keystone or a service of a read
  // cannot be reached; kMaybeApplied if the answer to a call with an effect was lost; kInvalid if
  // the region has no such service.
  Result<Answer> Do(const Call& call);

  // The body of a 2xx as a JSON object; every other status as the error it stands for (JsonOf).
  Result<json::value> DoJson(const Call& call);

  // True if the catalogue has the service. Errors as above.
  Result<bool> Has(Service service);

  const CloudConfig& config() const { return config_; }

 private:
  struct Token {
    std::string text;
    std::map<Service, std::string> endpoints;
    Duration good_until{0};  // steady
    std::uint64_t number = 0;
  };
  // The token in use, or a new one if it is too old or has the number `refused`.
  Result<Token> Get(std::uint64_t refused);
  Result<Token> Ask();
  Result<Token> ReadToken(const net::HttpResponse& response) const;
  Result<std::map<Service, std::string>> ReadCatalog(const json::value& token) const;

  const CloudConfig config_;
  const Send send_;
  const Clock& clock_;
  std::mutex mutex_;
  Token token_;
  std::optional<Error> denial_;  // Keystone's last answer was no
  Duration denied_until_{0};
};

}  // namespace spillway::openstack
