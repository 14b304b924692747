#include "clouds/openstack/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "clouds/openstack/api_error.h"
#include "schema/problem.h"

namespace spillway::openstack {
namespace {

constexpr Duration kKeystoneTimeout = 30s;
// A token is renewed so long before it ends: a request that was begun with it must reach every
// service behind the one that is asked. Short-lived tokens are used for half their life.
constexpr Duration kMargin = 5min;
constexpr Duration kShortestLife = 2s;
// Wrong credentials are not tried again at once: many accounts are locked after a few failures.
constexpr Duration kDenialHolds = 1min;
constexpr std::size_t kMaxServices = 500;
constexpr std::size_t kMaxTokenBytes = 64u << 10;

// Types in the catalogue, the present one first.
struct ServiceType {
  Service service;
  std::string_view type;
};
constexpr std::array<ServiceType, 7> kTypes = {{{Service::kCompute, "compute"},
                                                {Service::kNetwork, "network"},
                                                {Service::kImage, "image"},
                                                {Service::kVolume, "block-storage"},
                                                {Service::kVolume, "volumev3"},
                                                {Service::kVolume, "block-store"},
                                                {Service::kVolume, "volume"}}};

json::object Named(const NameOrId& which) {
  if (!which.id.empty()) return {{"id", which.id}};
  return {{"name", which.name}};
}

json::object WithDomain(const NameOrId& which, const NameOrId& domain) {
  json::object object = Named(which);
  if (which.id.empty()) object["domain"] = Named(domain);
  return object;
}

json::value AuthBody(const CloudConfig& config) {
  json::object identity, auth;
  if (config.auth_type == AuthType::kPassword) {
    json::object user = WithDomain(config.user, config.user_domain);
    user["password"] = config.password;
    identity["methods"] = json::array{"password"};
    identity["password"] = json::object{{"user", std::move(user)}};
    auth["scope"] = json::object{{"project", WithDomain(config.project, config.project_domain)}};
  } else {
    // It belongs to a project: naming one here would be an error.
    json::object credential = Named(config.credential);
    if (config.credential.id.empty())
      credential["user"] = WithDomain(config.user, config.user_domain);
    credential["secret"] = config.secret;
    identity["methods"] = json::array{"application_credential"};
    identity["application_credential"] = std::move(credential);
  }
  auth["identity"] = std::move(identity);
  return json::object{{"auth", std::move(auth)}};
}

// Some clouds list Neutron and Glance with their version in the address, most do not. Some list
// Nova with the project behind it, which it does not need.
std::string WithVersion(Service service, std::string url) {
  while (url.ends_with('/')) url.pop_back();
  if (const std::size_t at = url.find("/v2.1/");
      service == Service::kCompute && at != std::string::npos)
    url.resize(at + std::string_view("/v2.1").size());
  const std::string_view version = service == Service::kNetwork ? "/v2.0"
                                   : service == Service::kImage ? "/v2"
                                                                : "";
  if (!version.empty() && !url.ends_with(version)) url += version;
  return url;
}

// Token lives are measured on our steady clock: the difference of Keystone's two times counts, so
// that clocks that disagree do no harm.
Result<Duration> LifeOf(const json::value& token) {
  const Result<Time> issued = ParseTime(StringOr(token, "issued_at", ""));
  const Result<Time> expires = ParseTime(StringOr(token, "expires_at", ""));
  if (!issued || !expires || *expires <= *issued)
    return Fail(Code::kUnavailable, "Keystone's token has no time of issue and of end");
  return *expires - *issued;
}

}  // namespace

std::string_view Name(Service service) {
  switch (service) {
    case Service::kCompute:
      return "Nova";
    case Service::kNetwork:
      return "Neutron";
    case Service::kImage:
      return "Glance";
    case Service::kVolume:
      return "Cinder";
  }
  return "";
}

Session::Session(CloudConfig config, Send send, const Clock& clock)
    : config_(std::move(config)), send_(std::move(send)), clock_(clock) {}

Result<std::map<Service, std::string>> Session::ReadCatalog(const json::value& token) const {
  std::map<Service, std::string> endpoints;
  std::set<std::string, std::less<>> regions;
  const json::array* catalog = FindArray(token, "catalog");
  if (catalog == nullptr || catalog->size() > kMaxServices)
    return Fail(Code::kUnavailable, "Keystone's token has no service catalogue");
  for (const ServiceType& wanted : kTypes) {
    for (const json::value& service : *catalog) {
      const json::array* list = FindArray(service, "endpoints");
      if (StringOr(service, "type", "") != wanted.type || list == nullptr) continue;
      for (const json::value& endpoint : *list) {
        const std::string_view region =
            StringOr(endpoint, "region_id", StringOr(endpoint, "region", ""));
        if (StringOr(endpoint, "interface", "") != config_.interface) continue;
        if (wanted.service == Service::kCompute) regions.emplace(region);
        if (!config_.region_name.empty() && region != config_.region_name) continue;
        endpoints.emplace(wanted.service,
                          WithVersion(wanted.service, std::string(StringOr(endpoint, "url", ""))));
      }
    }
  }
  const std::vector<std::string_view> names(regions.begin(), regions.end());
  const std::string where = fmt::format("{}: clouds.{}.region_name", config_.file, config_.name);
  if (config_.region_name.empty() && regions.size() > 1)
    return Fail(Code::kInvalid,
                fmt::format("{}: is missing: one of {}", where, schema::Join(names)));
  if (!config_.region_name.empty() && !regions.contains(config_.region_name))
    return Fail(
        Code::kInvalid,
        fmt::format("{}: \"{}\" has no {} endpoint of Nova: {}", where, config_.region_name,
                    config_.interface, schema::Suggest(config_.region_name, names, "there is ")));
  return endpoints;
}

Result<Session::Token> Session::ReadToken(const net::HttpResponse& response) const {
  Token token;
  token.text = response.headers.Get("X-Subject-Token");
  const Result<json::value> body = ParseJson(response.body);
  const json::value* inner = body ? Find(*body, "token") : nullptr;
  if (inner == nullptr || token.text.empty() || token.text.size() > kMaxTokenBytes)
    return Fail(Code::kUnavailable,
                fmt::format("{}/auth/tokens: the answer is not one of Keystone v3: is "
                            "clouds.{}.auth.auth_url of {} right?",
                            config_.auth_url, config_.name, config_.file));
  SPW_ASSIGN(token.endpoints, ReadCatalog(*inner));
  SPW_ASSIGN(const Duration life, LifeOf(*inner));
  const Duration used =
      std::max<Duration>(life > 2 * kMargin ? life - kMargin : life / 2, kShortestLife);
  token.good_until = clock_.SteadyNow() + used;
  return token;
}

Result<Session::Token> Session::Ask() {
  net::WebRequest request;
  request.method = "POST";
  request.url = config_.auth_url + "/auth/tokens";
  request.headers.Add("Accept", "application/json");
  request.body = json::serialize(AuthBody(config_));
  request.timeout = kKeystoneTimeout;
  Result<net::HttpResponse> response = send_(request);
  if (!response) {
    // A token that nobody received has no effect.
    const Code code = response.error().code == Code::kInvalid ? Code::kInvalid : Code::kUnavailable;
    return Fail(code, "Keystone: " + response.error().message);
  }
  if (response->status / 100 == 2) return ReadToken(*response);
  const Answer answer{response->status, response->headers, response->body};
  Error error = ErrorOf(Call{}, answer);  // of a read: nothing changed
  const std::string said = MessageOf(answer.body);
  const std::string id(answer.headers.Get("X-Openstack-Request-Id"));
  error.message = fmt::format("Keystone: HTTP {}{}{}{}", answer.status, said.empty() ? "" : ": ",
                              said, id.empty() ? "" : " (" + schema::Printable(id) + ")");
  if (error.code == Code::kDenied || error.code == Code::kNotFound ||
      error.code == Code::kInvalid) {
    error.code = Code::kDenied;
    error.message += fmt::format(
        "; the credentials of clouds.{} in {} are wrong, expired or of an unknown project",
        config_.name, config_.file);
  } else if (error.code != Code::kThrottled) {
    error.code = Code::kUnavailable;
  }
  return Fail(std::move(error));
}

Result<Session::Token> Session::Get(std::uint64_t refused) {
  const std::lock_guard lock(mutex_);
  const Duration now = clock_.SteadyNow();
  if (token_.number > refused && now < token_.good_until) return token_;
  if (denial_ && now < denied_until_) return Fail(*denial_);
  denial_.reset();
  Result<Token> fresh = Ask();
  if (!fresh) {
    if (fresh.error().code == Code::kDenied) {
      denial_ = fresh.error();
      denied_until_ = now + kDenialHolds;
    }
    return fresh;
  }
  fresh->number = token_.number + 1;
  token_ = *fresh;
  return fresh;
}

Result<Answer> Session::Do(const Call& call) {
  std::uint64_t refused = 0;
  for (int attempt = 0;; ++attempt) {
    SPW_ASSIGN(const Token token, Get(refused));
    const auto endpoint = token.endpoints.find(call.service);
    if (endpoint == token.endpoints.end())
      return Fail(Code::kInvalid,
                  fmt::format("{}: the service catalogue has no {} in region {}", config_.name,
                              Name(call.service), config_.region_name));
    if (!net::IsPrivateUrl(endpoint->second))
      return Fail(Code::kDenied,
                  fmt::format("{} is at {}, which is not https: the token would be sent without "
                              "encryption",
                              Name(call.service), schema::Printable(endpoint->second)));
    net::WebRequest request;
    request.method = call.method;
    request.url = endpoint->second + call.path;
    request.headers.Add("X-Auth-Token", token.text);
    request.headers.Add("Accept", "application/json");
    if (!call.microversion.empty()) {
      request.headers.Add("OpenStack-API-Version", "compute " + call.microversion);
      request.headers.Add("X-OpenStack-Nova-API-Version", call.microversion);  // before 2.27
    }
    if (call.body) request.body = json::serialize(*call.body);
    request.timeout = call.timeout;
    Result<net::HttpResponse> response = send_(request);
    if (!response) {
      Error error = std::move(response.error());
      if (!call.effect() && error.code == Code::kInternal) error.code = Code::kUnavailable;
      return Fail(error.In(Name(call.service)));
    }
    if (response->status != 401)
      return Answer{response->status, std::move(response->headers), std::move(response->body)};
    if (attempt > 0)
      return Fail(ErrorOf(call, {response->status, response->headers, response->body})
                      .In("a new token is refused as well"));
    refused = token.number;
  }
}

Result<json::value> Session::DoJson(const Call& call) {
  SPW_ASSIGN(const Answer answer, Do(call));
  return JsonOf(call, answer);
}

Result<bool> Session::Has(Service service) {
  SPW_ASSIGN(const Token token, Get(0));
  return token.endpoints.contains(service);
}

}  // namespace spillway::openstack
