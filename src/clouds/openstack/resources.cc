#include "clouds/openstack/resources.h"

#include <fmt/format.h>

#include <algorithm>

#include "clouds/openstack/api_error.h"
#include "net/http_message.h"
#include "schema/problem.h"

namespace spillway::openstack {
namespace {

constexpr std::size_t kMaxPorts = 64;  // of one server

Call Get(Service service, std::string path) {
  Call call;
  call.service = service;
  call.path = std::move(path);
  return call;
}

Error Absent(std::string_view what, const std::string& name) {
  return {Code::kNotFound,
          fmt::format("there is no {} \"{}\" for this project", what, schema::Printable(name)),
          std::nullopt};
}

std::string FilterOf(const std::string& name_or_id) {
  return (IsUuid(name_or_id) ? "id=" : "name=") + net::PercentEncode(name_or_id);
}

}  // namespace

Result<json::array> ListOf(Session& session, Service service, std::string path,
                           std::string_view member) {
  const Call call = Get(service, std::move(path));
  const Result<json::value> body = Standing(session.DoJson(call));
  if (!body) return Fail(body.error());
  const json::array* list = FindArray(*body, member);
  if (list == nullptr)
    return Fail(Code::kUnavailable, fmt::format("{}: {} cannot be read", Name(service), member));
  return *list;
}

Status Remove(Session& session, Service service, std::string path) {
  Call call = Get(service, std::move(path));
  call.method = "DELETE";
  SPW_ASSIGN(const Answer answer, session.Do(call));
  if (answer.ok() || answer.status == 404) return Ok();
  return Fail(ErrorOf(call, answer));
}

namespace {

Result<std::string> NetworkOf(Session& session, const std::string& name_or_id,
                              std::string_view what, std::string_view filter) {
  SPW_ASSIGN(const json::array networks,
             ListOf(session, Service::kNetwork,
                    fmt::format("/networks?{}{}", filter, FilterOf(name_or_id)), "networks"));
  std::vector<std::string> ids;
  for (const json::value& network : networks)
    if (StringOr(network, "id", "") == name_or_id || StringOr(network, "name", "") == name_or_id)
      ids.emplace_back(StringOr(network, "id", ""));
  if (ids.empty()) return Fail(Absent(what, name_or_id));
  if (ids.size() > 1) {
    const std::vector<std::string_view> views(ids.begin(), ids.end());
    return Fail(Code::kInvalid,
                fmt::format("{} networks are called \"{}\": write one of the ids {}", ids.size(),
                            schema::Printable(name_or_id), schema::Join(views, 4)));
  }
  return ids[0];
}

}  // namespace

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

Result<std::string> FindImage(Session& session, const std::string& name_or_id) {
  SPW_ASSIGN(const json::array images,
             ListOf(session, Service::kImage,
                    fmt::format("/images?{}&status=active&sort=created_at:desc&limit=25",
                                FilterOf(name_or_id)),
                    "images"));
  const json::value* newest = nullptr;
  for (const json::value& image : images) {
    const bool same =
        StringOr(image, "id", "") == name_or_id || StringOr(image, "name", "") == name_or_id;
    if (!same || StringOr(image, "status", "") != "active") continue;
    if (newest == nullptr ||
        StringOr(image, "created_at", "") > StringOr(*newest, "created_at", ""))
      newest = &image;
  }
  if (newest == nullptr) return Fail(Absent("active image", name_or_id));
  return std::string(StringOr(*newest, "id", ""));
}

Result<std::string> FindNetwork(Session& session, const std::string& name_or_id) {
  return NetworkOf(session, name_or_id, "network", "");
}

Result<std::string> FindExternalNetwork(Session& session, const std::string& name_or_id) {
  return NetworkOf(session, name_or_id, "external network", "router:external=true&");
}

Status FindSecurityGroup(Session& session, const std::string& name_or_id) {
  SPW_ASSIGN(
      const json::array groups,
      ListOf(session, Service::kNetwork,
             "/security-groups?fields=id&fields=name&" + FilterOf(name_or_id), "security_groups"));
  const bool found = std::any_of(groups.begin(), groups.end(), [&](const json::value& group) {
    return StringOr(group, "id", "") == name_or_id || StringOr(group, "name", "") == name_or_id;
  });
  if (!found) return Fail(Absent("security group", name_or_id));
  return Ok();
}

Result<std::vector<std::string>> PortsOf(Session& session, const std::string& server_id) {
  SPW_ASSIGN(const json::array ports,
             ListOf(session, Service::kNetwork, "/ports?device_id=" + net::PercentEncode(server_id),
                    "ports"));
  std::vector<std::string> ids;
  for (const json::value& port : ports)
    // A filter that is not understood must not make us delete the ports of others.
    if (StringOr(port, "device_id", "") == server_id &&
        StringOr(port, "device_owner", "").starts_with("compute:"))
      ids.emplace_back(StringOr(port, "id", ""));
  if (ids.size() > kMaxPorts) ids.resize(kMaxPorts);  // the next pass sees the others
  return ids;
}

Status DeletePort(Session& session, const std::string& id) {
  return Remove(session, Service::kNetwork, "/ports/" + net::PercentEncode(id));
}

}  // namespace spillway::openstack
