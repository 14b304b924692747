#include "clouds/openstack/compute.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "clouds/openstack/api_error.h"
#include "net/http_message.h"

namespace spillway::openstack {
namespace {

constexpr int kPage = 200;
constexpr std::size_t kMaxPages = 100;
constexpr std::size_t kMaxItems = 10'000;
constexpr std::size_t kMaxSingleReads = 300;  // of extra specs, one request each
constexpr Duration kCreateTimeout = 2min;

Error Unreadable(std::string_view what) {
  return {Code::kUnavailable, fmt::format("Nova: {} cannot be read", what), std::nullopt};
}

Texts ReadTexts(const json::value& value, std::string_view key) {
  Texts texts;
  if (const json::object* object = FindObject(value, key))
    for (const auto& member : *object)
      if (member.value().is_string())
        texts.emplace(member.key(), View(member.value().get_string()));
  return texts;
}

// "2.93" -> 93; -1 for anything else.
int MinorOf(std::string_view version) {
  if (!version.starts_with("2.")) return -1;
  version.remove_prefix(2);
  int minor = -1;
  const auto [end, failed] =
      std::from_chars(version.data(), version.data() + version.size(), minor);
  return failed == std::errc{} && end == version.data() + version.size() ? minor : -1;
}

bool HasNext(const json::value& page, std::string_view member) {
  const json::array* links = FindArray(page, std::string(member) + "_links");
  if (links == nullptr) return false;
  return std::any_of(links->begin(), links->end(),
                     [](const json::value& link) { return StringOr(link, "rel", "") == "next"; });
}

Limit ReadLimit(const json::value& absolute, std::string_view most, std::string_view used) {
  return {IntOr(absolute, most, -1), IntOr(absolute, used, 0)};
}

}  // namespace

Result<Server> ReadServer(const json::value& value) {
  Server server;
  server.id = StringOr(value, "id", "");
  server.name = StringOr(value, "name", "");
  server.status = StringOr(value, "status", "");
  server.task_state = StringOr(value, "OS-EXT-STS:task_state", "");
  if (server.id.empty() || server.status.empty()) return Fail(Unreadable("a server"));
  server.created = ParseTime(StringOr(value, "created", "")).value_or(Time{});
  if (const json::value* fault = Find(value, "fault"); fault != nullptr && fault->is_object())
    server.fault = Fault{IntOr(*fault, "code", 0), std::string(StringOr(*fault, "message", ""))};
  if (const json::array* tags = FindArray(value, "tags"))
    for (const json::value& tag : *tags)
      if (tag.is_string()) server.tags.emplace_back(View(tag.get_string()));
  server.metadata = ReadTexts(value, "metadata");
  if (const json::array* volumes = FindArray(value, "os-extended-volumes:volumes_attached"))
    for (const json::value& volume : *volumes)
      if (const std::string_view id = StringOr(volume, "id", "");
          !id.empty() && BoolOr(volume, "delete_on_termination", true))
        server.volumes.emplace_back(id);
  return server;
}

Result<Flavor> ReadFlavor(const json::value& value) {
  Flavor flavor;
  flavor.id = StringOr(value, "id", "");
  flavor.name = StringOr(value, "name", "");
  flavor.vcpus = IntOr(value, "vcpus", 0);
  flavor.ram_mib = IntOr(value, "ram", 0);
  flavor.disk_gib = IntOr(value, "disk", 0) + IntOr(value, "OS-FLV-EXT-DATA:ephemeral", 0);
  flavor.extra_specs = ReadTexts(value, "extra_specs");
  if (flavor.id.empty() || flavor.name.empty()) return Fail(Unreadable("a flavor"));
  return flavor;
}

json::value BodyOf(const ServerRequest& request, int minor) {
  json::object server{{"name", request.name},
                      {"flavorRef", request.flavor_id},
                      {"user_data", Base64(AsBytes(request.user_data))},
                      // User data must arrive where no metadata service does.
                      {"config_drive", true}};
  json::object metadata;
  for (const auto& [key, value] : request.metadata) metadata[key] = value;
  server["metadata"] = std::move(metadata);
  if (minor >= kMinorTagsInCreate)
    server["tags"] = json::array(request.tags.begin(), request.tags.end());
  if (!request.network_id.empty())
    server["networks"] = json::array{json::object{{"uuid", request.network_id}}};
  else if (minor >= kMinorAutoNetwork)
    server["networks"] = "auto";
  if (!request.availability_zone.empty()) server["availability_zone"] = request.availability_zone;
  if (!request.security_groups.empty()) {
    json::array& groups = server["security_groups"].emplace_array();
    for (const std::string& name : request.security_groups)
      groups.emplace_back(json::object{{"name", name}});
  }
  if (request.volume_gib == 0) {
    server["imageRef"] = request.image_id;
    return json::object{{"server", std::move(server)}};
  }
  json::object disk{{"uuid", request.image_id},          {"source_type", "image"},
                    {"destination_type", "volume"},      {"boot_index", 0},
                    {"volume_size", request.volume_gib}, {"delete_on_termination", true}};
  if (!request.volume_type.empty() && minor >= kMinorVolumeType)
    disk["volume_type"] = request.volume_type;
  server["block_device_mapping_v2"] = json::array{std::move(disk)};
  return json::object{{"server", std::move(server)}};
}

Result<int> Compute::Minor() {
  {
    const std::lock_guard lock(mutex_);
    if (minor_ != 0) return minor_;
  }
  Call call;
  call.path = "/";
  const Result<json::value> body = Standing(session_.DoJson(call));
  if (!body) return Fail(body.error());
  const json::value* version = Find(*body, "version");
  const int most = version == nullptr ? -1 : MinorOf(StringOr(*version, "version", ""));
  const int least = version == nullptr ? -1 : MinorOf(StringOr(*version, "min_version", ""));
  if (most < kLeastMinor || least > kMostMinor)
    return Fail(Code::kInvalid,
                fmt::format("Nova offers microversions 2.{} to 2.{}; 2.{} to 2.{} are needed",
                            std::max(least, 0), std::max(most, 0), kLeastMinor, kMostMinor));
  const std::lock_guard lock(mutex_);
  minor_ = std::min(most, kMostMinor);
  return minor_;
}

Result<Call> Compute::Prepare(std::string method, std::string path) {
  SPW_ASSIGN(const int minor, Minor());
  Call call;
  call.method = std::move(method);
  call.path = std::move(path);
  call.microversion = fmt::format("2.{}", minor);
  return call;
}

Result<Answer> Compute::Do(const Call& call) {
  SPW_ASSIGN(Answer answer, session_.Do(call));
  if (answer.status != 406) return answer;
  const std::lock_guard lock(mutex_);
  minor_ = 0;
  return Fail(Code::kUnavailable,
              fmt::format("Nova does not know microversion {} any more", call.microversion));
}

Result<json::value> Compute::Read(std::string path) {
  SPW_ASSIGN(const Call call, Prepare("GET", std::move(path)));
  SPW_ASSIGN(const Answer answer, Do(call));
  return JsonOf(call, answer);
}

Result<json::value> Compute::ReadFixed(std::string path) {
  return Standing(Read(std::move(path)));
}

Result<json::array> Compute::Pages(const std::string& path, std::string_view member) {
  json::array items;
  std::string marker;
  const char join = path.find('?') == std::string::npos ? '?' : '&';
  for (std::size_t pages = 0; pages < kMaxPages && items.size() < kMaxItems; ++pages) {
    std::string target = fmt::format("{}{}limit={}", path, join, kPage);
    if (!marker.empty()) target += "&marker=" + net::PercentEncode(marker);
    SPW_ASSIGN(const json::value page, ReadFixed(target));
    const json::array* list = FindArray(page, member);
    if (list == nullptr) return Fail(Unreadable(path));
    items.insert(items.end(), list->begin(), list->end());
    if (list->empty() || !HasNext(page, member)) return items;
    marker = StringOr(list->back(), "id", "");
    if (marker.empty()) return Fail(Unreadable(path));
  }
  return Fail(Code::kUnavailable,
              fmt::format("Nova: {} has more than {} items or {} pages: give Spillway a project of "
                          "its own",
                          path.substr(0, path.find('?')), kMaxItems, kMaxPages));
}

Result<Texts> Compute::ExtraSpecs(const std::string& flavor_id) {
  SPW_ASSIGN(const json::value body,
             Read("/flavors/" + net::PercentEncode(flavor_id) + "/os-extra_specs"));
  return ReadTexts(body, "extra_specs");
}

Result<std::vector<Flavor>> Compute::Flavors() {
  SPW_ASSIGN(const json::array items, Pages("/flavors/detail", "flavors"));
  SPW_ASSIGN(const int minor, Minor());
  std::vector<Flavor> flavors;
  for (const json::value& item : items) {
    if (BoolOr(item, "OS-FLV-DISABLED:disabled", false)) continue;
    SPW_ASSIGN(Flavor flavor, ReadFlavor(item));
    if (minor < kMinorExtraSpecs && flavors.size() < kMaxSingleReads) {
      Result<Texts> specs = ExtraSpecs(flavor.id);
      // Many clouds hide them from their users; what a flavor has must then be configured.
      if (specs)
        flavor.extra_specs = std::move(*specs);
      else if (specs.error().code != Code::kDenied && specs.error().code != Code::kNotFound)
        return Fail(std::move(specs.error()));
    }
    flavors.push_back(std::move(flavor));
  }
  return flavors;
}

Result<std::vector<Server>> Compute::Servers(const std::vector<std::string>& tags) {
  SPW_ASSIGN(const int minor, Minor());
  std::string path = "/servers/detail";
  if (minor >= kMinorTagsInCreate && !tags.empty()) {
    std::vector<std::string> encoded;
    for (const std::string& tag : tags) encoded.push_back(net::PercentEncode(tag));
    path += fmt::format("?tags={}", fmt::join(encoded, ","));
  }
  SPW_ASSIGN(const json::array items, Pages(path, "servers"));
  std::vector<Server> servers;
  for (const json::value& item : items) {
    SPW_ASSIGN(Server server, ReadServer(item));
    // A filter that is not known is ignored in silence, and then all servers come back.
    const bool all =
        minor < kMinorTagsInCreate ||
        std::all_of(
            tags.begin(), tags.end(),
            [&](const auto& tag) {
              return std::find(server.tags.begin(), server.tags.end(), tag) != server.tags.end();
            });
    if (all) servers.push_back(std::move(server));
  }
  return servers;
}

Result<std::optional<Server>> Compute::FindServer(const std::string& id) {
  const Result<json::value> body = Read("/servers/" + net::PercentEncode(id));
  if (!body && body.error().code == Code::kNotFound) return std::optional<Server>();
  if (!body) return Fail(body.error());
  const json::value* inner = Find(*body, "server");
  if (inner == nullptr) return Fail(Unreadable("a server"));
  SPW_ASSIGN(Server server, ReadServer(*inner));
  return std::optional<Server>(std::move(server));
}

Result<Compute::Accepted> Compute::Create(const ServerRequest& request) {
  SPW_ASSIGN(Call call, Prepare("POST", "/servers"));
  SPW_ASSIGN(const int minor, Minor());
  call.body = BodyOf(request, minor);
  call.timeout = kCreateTimeout;
  SPW_ASSIGN(const Answer answer, Do(call));
  SPW_ASSIGN(const json::value body, JsonOf(call, answer));
  const json::value* server = Find(body, "server");
  Accepted accepted{std::string(server == nullptr ? "" : StringOr(*server, "id", "")),
                    std::string(answer.headers.Get("X-Openstack-Request-Id"))};
  if (accepted.id.empty())
    return Fail(Code::kMaybeApplied, "Nova: POST /servers: the answer names no server");
  return accepted;
}

Result<bool> Compute::Delete(const std::string& id) {
  SPW_ASSIGN(const Call call, Prepare("DELETE", "/servers/" + net::PercentEncode(id)));
  SPW_ASSIGN(const Answer answer, Do(call));
  if (answer.status == 404) return false;
  if (!answer.ok()) return Fail(ErrorOf(call, answer));
  return true;
}

Result<Limits> Compute::ReadLimits() {
  SPW_ASSIGN(const json::value body, ReadFixed("/limits"));
  const json::value* absolute = FindPath(body, {"limits", "absolute"});
  if (absolute == nullptr) return Fail(Unreadable("/limits"));
  return Limits{ReadLimit(*absolute, "maxTotalInstances", "totalInstancesUsed"),
                ReadLimit(*absolute, "maxTotalCores", "totalCoresUsed"),
                ReadLimit(*absolute, "maxTotalRAMSize", "totalRAMUsed")};
}

Result<std::vector<std::string>> Compute::AvailabilityZones() {
  SPW_ASSIGN(const json::value body, ReadFixed("/os-availability-zone"));
  const json::array* list = FindArray(body, "availabilityZoneInfo");
  if (list == nullptr) return Fail(Unreadable("/os-availability-zone"));
  std::vector<std::string> names;
  for (const json::value& zone : *list) {
    const json::value* available = FindPath(zone, {"zoneState", "available"});
    if (available != nullptr && available->is_bool() && available->get_bool())
      names.emplace_back(StringOr(zone, "zoneName", ""));
  }
  return names;
}

}  // namespace spillway::openstack
