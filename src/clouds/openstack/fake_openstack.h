// A fake of Keystone, Nova, Neutron, Glance and Cinder for tests, in this process and in the time
// of a clock that tests move: the few calls that the adapter makes, as the real ones answer them.
// What it cannot show is shown by recorded traffic and by a real OpenStack.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "clouds/openstack/session.h"
#include "net/http_message.h"

namespace spillway::openstack {

// Set before the first request, or between two.
struct FakeSettings {
  int minor = 93;                 // newest microversion
  std::size_t page = 1000;        // largest page of a list
  std::int64_t instances = 1000;  // quota
  bool no_capacity = false;       // creates end in error
  bool leaves_ports = false;      // ports outlive their servers
  bool leaves_volumes = false;    // and so do volumes
  bool hides_extra_specs = false;
  int lose_creates = 0, lose_deletes = 0;  // replies, after the effect
  Duration lag{0};                         // listings are so old
  Duration token_life{1h};
  Duration build{30s}, deleting{15s};  // how long each takes
  std::string address;                 // of all services; empty: each has the port it has in life
  std::string password = "adapter-secret";
};

class FakeOpenStack {
 public:
  explicit FakeOpenStack(const Clock& clock, FakeSettings chosen = {})
      : settings(std::move(chosen)), clock_(clock) {}

  Send Sender() {
    return [this](const net::WebRequest& request) { return Handle(request); };
  }
  // The account that a clouds.yaml for it would describe.
  static CloudConfig Config() {
    CloudConfig config;
    config.name = "lab";
    config.file = "clouds.yaml";
    config.auth_url = "http://127.0.0.1:5000/v3";
    config.user = {"adapter", ""};
    config.user_domain = config.project_domain = {"", "default"};
    config.project = {"gpu-demo", ""};
    config.password = "adapter-secret";
    config.region_name = "RegionOne";
    return config;
  }
  // As an operator who ends all tokens does.
  void RevokeTokens() {
    const std::lock_guard lock(mutex_);
    tokens_.clear();
  }
  // Answers the next request whose "METHOD /path" starts with `call` so, in place of doing it.
  void AnswerOnce(const std::string& call, int status, std::string body,
                  net::Headers headers = {}) {
    const std::lock_guard lock(mutex_);
    canned_.emplace_back(call, net::HttpResponse{status, std::move(headers), std::move(body)});
  }
  // "GET /v2.1/servers/detail" of every request so far, without queries.
  std::vector<std::string> Calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  std::size_t Count(const std::string& call) {
    const std::vector<std::string> calls = Calls();
    return static_cast<std::size_t>(std::count(calls.begin(), calls.end(), call));
  }
  json::value LastBody() {
    const std::lock_guard lock(mutex_);
    return last_body_;
  }
  std::size_t Servers() {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(servers_.begin(), servers_.end(), [&](auto& s) { return !Gone(s.second); }));
  }
  std::size_t Groups() {
    const std::lock_guard lock(mutex_);
    return groups_.size();
  }
  std::size_t FloatingIps() {
    const std::lock_guard lock(mutex_);
    return floating_ips_.size();
  }
  // As a person with the console does.
  void OpenGroups() {
    const std::lock_guard lock(mutex_);
    for (auto& [id, group] : groups_)
      group["security_group_rules"] = json::array{json::object{{"direction", "ingress"}}};
  }
  // A server of somebody else in the same project.
  void AddForeignServer(const std::string& name) {
    const std::lock_guard lock(mutex_);
    Server server;
    server.name = name;
    server.created = clock_.Now();
    servers_.emplace(NewId(), std::move(server));
  }

  FakeSettings settings;
  std::string switched_off;  // id of a server that has no power any more

 private:
  struct Server {
    std::string name, flavor;
    Time created{};
    std::optional<Time> deleted;
    json::array tags;
    json::object metadata;
    bool fails = false;
    std::string port, volume, user_data;
  };
  struct Request {
    std::string method, path;
    std::map<std::string, std::string, std::less<>> query;
    int minor = 1;
    json::value body;
  };
  static constexpr const char* kImage = "47480d1b-32c6-4b90-9c57-e917e15bc56b";
  static constexpr const char* kNetwork = "08df97f6-3887-4ae5-977f-a19484eda456";
  static constexpr const char* kOutside = "a9cfa8b5-7eaf-4e28-8cbb-aa2994280b86";

  static net::HttpResponse Json(int status, const json::value& body) {
    net::Headers headers;
    headers.Add("X-Openstack-Request-Id", "req-00000000-0000-0000-0000-00000000000f");
    return {status, std::move(headers), json::serialize(body)};
  }
  static net::HttpResponse Fault(int status, const std::string& kind, const std::string& message) {
    return Json(status, json::object{{kind, json::object{{"code", status}, {"message", message}}}});
  }
  std::string NewId() { return fmt::format("{:08x}-0000-4000-8000-000000000000", ++next_id_); }
  bool Gone(const Server& server) const {
    return server.deleted && clock_.Now() - *server.deleted >= settings.deleting;
  }

  Result<net::HttpResponse> Handle(const net::WebRequest& web) {
    const std::lock_guard lock(mutex_);
    const net::UrlParts parts = *net::SplitUrl(web.url);
    Request request;
    request.method = web.method;
    request.path = parts.target.substr(0, parts.target.find('?'));
    if (const std::size_t at = parts.target.find('?'); at != std::string::npos)
      for (auto& [key, value] : ParseLoosely(std::string_view(parts.target).substr(at + 1)))
        request.query[key] = std::move(value);
    const std::string_view version = web.headers.Get("X-OpenStack-Nova-API-Version");
    if (version.starts_with("2.")) request.minor = std::stoi(std::string(version.substr(2)));
    if (!web.body.empty()) request.body = *ParseJson(web.body);
    const std::string call = request.method + " " + request.path;
    calls_.push_back(call);
    for (auto it = canned_.begin(); it != canned_.end(); ++it) {
      if (!call.starts_with(it->first)) continue;
      net::HttpResponse response = std::move(it->second);
      canned_.erase(it);
      return response;
    }
    if (request.path == "/v3/auth/tokens") return Authenticate(request);
    const auto token = tokens_.find(std::string(web.headers.Get("X-Auth-Token")));
    if (token == tokens_.end() || token->second <= clock_.Now())
      return Fault(401, "error", "The request you have made requires authentication.");
    if (request.method == "POST") last_body_ = request.body;
    if (request.path.starts_with("/v2.1/servers") && request.method != "GET")
      return Changed(request, Nova(request));
    if (request.path.starts_with("/v2.1")) return Nova(request);
    if (request.path.starts_with("/v2.0")) return Neutron(request);
    if (request.path.starts_with("/v3/volumes")) return Cinder(request);
    const auto named = request.query.find("name");
    if (named != request.query.end() && named->second != "ubuntu-cuda")
      return Json(200, json::object{{"images", json::array{}}});
    return Json(200, json::object{{"images", json::array{json::object{
                                                 {"id", kImage},
                                                 {"name", "ubuntu-cuda"},
                                                 {"status", "active"},
                                                 {"created_at", "2026-11-23T16:25:22Z"}}}}});
  }

  static std::vector<std::pair<std::string, std::string>> ParseLoosely(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> pairs;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('&'), text.size());
      const std::string_view pair = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      const std::size_t equals = std::min(pair.find('='), pair.size() - 1);
      pairs.emplace_back(pair.substr(0, equals), *net::PercentDecode(pair.substr(equals + 1)));
    }
    return pairs;
  }

  net::HttpResponse Authenticate(const Request& request) {
    const json::value* password =
        FindPath(request.body, {"auth", "identity", "password", "user", "password"});
    const json::value* secret =
        FindPath(request.body, {"auth", "identity", "application_credential", "secret"});
    const json::value* given = password != nullptr ? password : secret;
    if (given == nullptr || View(given->as_string()) != settings.password)
      return Fault(401, "error", "The request you have made requires authentication.");
    const std::string token = fmt::format("token-{}", tokens_given_++);
    tokens_[token] = clock_.Now() + settings.token_life;
    json::array catalog;
    const auto at = [&](int port) {
      return settings.address.empty() ? fmt::format("http://127.0.0.1:{}", port) : settings.address;
    };
    for (const auto& [type, url] : {std::pair("compute", at(8774) + "/v2.1/0123abcd"),
                                    {"network", at(9696)},
                                    {"image", at(9292)},
                                    {"volumev3", at(8776) + "/v3"}})
      for (const char* interface : {"admin", "public"})
        catalog.push_back(json::object{
            {"type", type},
            {"endpoints", json::array{json::object{
                              {"interface", interface},
                              {"region_id", "RegionOne"},
                              {"url", std::string(interface) == "public" ? url : "http://x/"}}}}});
    net::HttpResponse response =
        Json(201, json::object{{"token", json::object{{"issued_at", FormatTime(clock_.Now())},
                                                      {"expires_at", FormatTime(tokens_[token])},
                                                      {"catalog", std::move(catalog)}}}});
    response.headers.Add("X-Subject-Token", token);
    return response;
  }

  json::array Flavors(bool specs) const {
    json::array flavors;
    const auto add = [&](const char* name, int vcpus, int ram, int disk, json::object extra) {
      json::object flavor{{"id", std::string("id-") + name},
                          {"name", name},
                          {"vcpus", vcpus},
                          {"ram", ram},
                          {"disk", disk}};
      if (specs && !settings.hides_extra_specs) flavor["extra_specs"] = std::move(extra);
      flavors.push_back(std::move(flavor));
    };
    add("cpu.small", 2, 4096, 20, {});
    add("gpu.a100.1", 12, 122880, 200, {{"pci_passthrough:alias", "a100:1"}});
    add("gpu.a100.8", 96, 983040, 1600, {{"pci_passthrough:alias", "a100:8"}});
    add("gpu.h100.1", 26, 230400, 300,
        {{"resources:CUSTOM_GPU_H100", "1"}, {"trait:CUSTOM_GPU_H100", "required"}});
    return flavors;
  }

  // One page of the items, and a link if there are more.
  net::HttpResponse Page(const Request& request, const std::string& member,
                         const json::array& items) const {
    const auto marker = request.query.find("marker");
    const auto limit = request.query.find("limit");
    std::size_t from = 0;
    if (marker != request.query.end())
      while (from < items.size() && items[from++].at("id").as_string() != marker->second) {
      }
    std::size_t count = settings.page;
    if (limit != request.query.end())
      count = std::min<std::size_t>(count, std::stoul(limit->second));
    const std::size_t end = std::min(items.size(), from + count);
    json::object page;
    page[member] = json::array(items.begin() + static_cast<std::ptrdiff_t>(from),
                               items.begin() + static_cast<std::ptrdiff_t>(end));
    if (end < items.size())
      page[member + "_links"] = json::array{json::object{{"rel", "next"}, {"href", "http://x/"}}};
    return Json(200, page);
  }

  json::object Show(const std::string& id, const Server& server, bool alone) const {
    const bool built = clock_.Now() - server.created >= settings.build;
    const char* status = !built               ? "BUILD"
                         : server.fails       ? "ERROR"
                         : switched_off == id ? "SHUTOFF"
                                              : "ACTIVE";
    json::object shown{
        {"id", id},
        {"name", server.name},
        {"status", status},
        {"created", FormatTime(server.created)},
        {"metadata", server.metadata},
        {"OS-EXT-STS:task_state", server.deleted ? json::value("deleting") : nullptr},
        {"tags", server.tags},
        {"flavor", json::object{{"original_name", server.flavor}}},
        {"OS-EXT-SRV-ATTR:user_data", server.user_data}};
    json::array& volumes = shown["os-extended-volumes:volumes_attached"].emplace_array();
    if (!server.volume.empty()) volumes.push_back(json::object{{"id", server.volume}});
    if (server.fails && built && alone)  // lists leave it out, as Nova's do for these
      shown["fault"] = json::object{{"code", 500}, {"message", "No valid host was found. "}};
    return shown;
  }

  net::HttpResponse Nova(const Request& request) {
    const std::string path = request.path.substr(std::string_view("/v2.1").size());
    if (request.minor > settings.minor)
      return Fault(406, "computeFault", "Version is not supported by the API.");
    if (path == "/")
      return Json(200, json::object{{"version",
                                     json::object{{"version", fmt::format("2.{}", settings.minor)},
                                                  {"min_version", "2.1"}}}});
    if (path == "/flavors/detail") return Page(request, "flavors", Flavors(request.minor >= 61));
    if (path.starts_with("/flavors/id-")) return ExtraSpecs(path);
    if (path == "/servers/detail") return List(request);
    if (path == "/servers") return Create(request);
    if (path.starts_with("/servers/")) return One(request, path.substr(9));
    if (path == "/os-availability-zone")
      return Json(200, json::object{{"availabilityZoneInfo",
                                     json::array{json::object{
                                         {"zoneName", "nova"},
                                         {"zoneState", json::object{{"available", true}}}}}}});
    if (path == "/limits")
      return Json(200, json::object{{"limits", json::object{{"absolute", Limits()}}}});
    return Fault(404, "itemNotFound", "The resource could not be found.");
  }

  net::HttpResponse ExtraSpecs(const std::string& path) const {
    if (settings.hides_extra_specs)
      return Fault(403, "forbidden", "Policy doesn't allow it to be performed.");
    for (const json::value& flavor : Flavors(true))
      if (path == "/flavors/" + std::string(StringOr(flavor, "id", "")) + "/os-extra_specs")
        return Json(200, json::object{{"extra_specs", flavor.at("extra_specs")}});
    return Fault(404, "itemNotFound", "Flavor could not be found.");
  }

  json::object Limits() {
    std::int64_t used = 0;
    for (const auto& [id, server] : servers_) used += Gone(server) ? 0 : 1;
    return {{"maxTotalInstances", settings.instances},
            {"totalInstancesUsed", used},
            {"maxTotalCores", -1},
            {"totalCoresUsed", 0},
            {"maxTotalRAMSize", -1},
            {"totalRAMUsed", 0}};
  }

  net::HttpResponse List(const Request& request) {
    const auto wanted = request.query.find("tags");
    json::array items;
    for (const auto& [id, server] : servers_) {
      const Time now = clock_.Now();
      if (now - server.created < settings.lag) continue;
      if (server.deleted && now - *server.deleted >= settings.deleting + settings.lag) continue;
      // Before 2.26 the filter is ignored in silence.
      bool fits = true;
      if (wanted != request.query.end() && request.minor >= 26)
        for (std::string_view rest = wanted->second; !rest.empty();) {
          const std::size_t end = std::min(rest.find(','), rest.size());
          const json::value tag(rest.substr(0, end));
          rest.remove_prefix(std::min(end + 1, rest.size()));
          fits =
              fits && std::find(server.tags.begin(), server.tags.end(), tag) != server.tags.end();
        }
      if (fits) items.push_back(Show(id, server, false));
    }
    return Page(request, "servers", items);
  }

  Result<net::HttpResponse> Lost(int& times, net::HttpResponse response) {
    if (times <= 0) return response;
    --times;
    return Fail(Code::kMaybeApplied, "the connection broke before the answer");
  }

  net::HttpResponse Create(const Request& request) {
    const json::value& asked = request.body.at("server");
    if (asked.as_object().contains("tags") && request.minor < 52)
      return Fault(400, "badRequest", "Additional properties are not allowed ('tags')");
    if (request.minor >= 37 && !asked.as_object().contains("networks"))
      return Fault(400, "badRequest", "'networks' is a required property");
    const json::array flavors = Flavors(false);
    if (std::none_of(flavors.begin(), flavors.end(), [&](const json::value& flavor) {
          return flavor.at("id") == asked.at("flavorRef");
        }))
      return Fault(400, "badRequest", "Flavor could not be found.");
    const json::object limits = Limits();
    if (IntOr(limits, "totalInstancesUsed", 0) >= settings.instances)
      return Fault(403, "forbidden",
                   fmt::format("Quota exceeded for instances: Requested 1, but already used {} of "
                               "{} instances",
                               IntOr(limits, "totalInstancesUsed", 0), settings.instances));
    Server server;
    server.name = StringOr(asked, "name", "");
    server.flavor = StringOr(asked, "flavorRef", "").substr(std::string_view("id-").size());
    server.created = clock_.Now();
    if (const json::array* tags = FindArray(asked, "tags")) server.tags = *tags;
    if (const json::object* metadata = FindObject(asked, "metadata")) server.metadata = *metadata;
    server.user_data = StringOr(asked, "user_data", "");
    server.fails = settings.no_capacity;
    const std::string id = NewId();
    server.port = NewId();
    ports_[server.port] = id;
    if (asked.as_object().contains("block_device_mapping_v2")) {
      server.volume = NewId();
      volumes_[server.volume];
    }
    servers_.emplace(id, std::move(server));
    return Json(202, json::object{{"server", json::object{{"id", id}, {"adminPass", "x"}}}});
  }

  Result<net::HttpResponse> Changed(const Request& request, net::HttpResponse response) {
    return Lost(request.method == "POST" ? settings.lose_creates : settings.lose_deletes,
                std::move(response));
  }

  net::HttpResponse One(const Request& request, const std::string& id) {
    const auto it = servers_.find(id);
    if (it == servers_.end() || Gone(it->second))
      return Fault(404, "itemNotFound", fmt::format("Instance {} could not be found.", id));
    if (request.method == "GET")
      return Json(200, json::object{{"server", Show(id, it->second, true)}});
    if (!it->second.deleted) it->second.deleted = clock_.Now();
    return {204, {}, ""};
  }

  // What goes with a server.
  void Collect() {
    for (const auto& [id, server] : servers_) {
      if (!Gone(server)) continue;
      if (!settings.leaves_ports) ports_.erase(server.port);
      if (!settings.leaves_volumes) volumes_.erase(server.volume);
    }
  }

  net::HttpResponse Neutron(const Request& request) {
    Collect();
    if (request.path.starts_with("/v2.0/networks")) return Networks(request);
    if (request.path.starts_with("/v2.0/security-groups"))
      return Things(request, groups_, "security_group");
    if (request.path.starts_with("/v2.0/floatingips"))
      return Things(request, floating_ips_, "floatingip");
    if (request.method == "DELETE")
      return ports_.erase(request.path.substr(std::string_view("/v2.0/ports/").size())) > 0
                 ? net::HttpResponse{204, {}, ""}
                 : Fault(404, "NeutronError", "Port could not be found.");
    json::array ports;  // of everybody: as if the filter were not understood
    for (const auto& [id, server] : ports_)
      ports.push_back(
          json::object{{"id", id}, {"device_id", server}, {"device_owner", "compute:nova"}});
    return Json(200, json::object{{"ports", std::move(ports)}});
  }

  net::HttpResponse Networks(const Request& request) const {
    const bool outside = request.query.contains("router:external");
    json::array networks{json::object{{"id", outside ? kOutside : kNetwork},
                                      {"name", outside ? "public" : "private"}}};
    return Json(200, json::object{{"networks", std::move(networks)}});
  }

  // What is made by POST, shown in one list, changed by PUT and gone at once.
  net::HttpResponse Things(const Request& request, std::map<std::string, json::object>& things,
                           const std::string& kind) {
    const std::size_t slash = request.path.find('/', std::string_view("/v2.0/").size());
    const std::string id = slash == std::string::npos ? "" : request.path.substr(slash + 1);
    if (request.method == "GET") {
      json::array list;
      for (const auto& [one, thing] : things) list.push_back(thing);
      return Json(200, json::object{{kind + "s", std::move(list)}});
    }
    if (request.method == "POST") {
      json::object thing = request.body.at(kind).as_object();
      thing["id"] = NewId();
      const std::string made(View(thing["id"].as_string()));
      const json::object& kept = things[made] = std::move(thing);
      return Json(201, json::object{{kind, kept}});
    }
    const auto it = things.find(id);
    if (it == things.end()) return Fault(404, "NeutronError", kind + " could not be found.");
    if (request.method == "DELETE") {
      things.erase(it);
      return {204, {}, ""};
    }
    for (const auto& member : request.body.at(kind).as_object())
      it->second[member.key()] = member.value();
    return Json(200, json::object{{kind, it->second}});
  }

  net::HttpResponse Cinder(const Request& request) {
    Collect();
    if (request.path == "/v3/volumes/detail") return Volumes(request);
    std::string id = request.path.substr(std::string_view("/v3/volumes/").size());
    id.resize(std::min(id.find('/'), id.size()));
    if (!volumes_.contains(id)) return Fault(404, "itemNotFound", "Volume could not be found.");
    if (request.method == "POST") {
      volumes_[id] = request.body.at("metadata").as_object();
      return Json(200, request.body);
    }
    volumes_.erase(id);
    return {202, {}, ""};
  }

  net::HttpResponse Volumes(const Request& request) {
    json::array volumes;
    if (!request.query.contains("marker"))
      for (const auto& [id, metadata] : volumes_) {
        const bool held = std::any_of(servers_.begin(), servers_.end(), [&](const auto& server) {
          return server.second.volume == id && !Gone(server.second);
        });
        volumes.push_back(json::object{
            {"id", id}, {"metadata", metadata}, {"status", held ? "in-use" : "available"}});
      }
    return Json(200, json::object{{"volumes", std::move(volumes)}});
  }

  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Time> tokens_;  // and when they end
  int tokens_given_ = 0;
  unsigned next_id_ = 0;
  std::map<std::string, Server> servers_;        // by id
  std::map<std::string, std::string> ports_;     // id of port -> of server
  std::map<std::string, json::object> volumes_;  // id -> metadata
  std::map<std::string, json::object> groups_ = {{"sg-1", {{"id", "sg-1"}, {"name", "workers"}}}};
  std::map<std::string, json::object> floating_ips_;
  std::vector<std::pair<std::string, net::HttpResponse>> canned_;
  std::vector<std::string> calls_;
  json::value last_body_;
};

}  // namespace spillway::openstack
