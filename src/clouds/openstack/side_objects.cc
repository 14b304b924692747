#include "clouds/openstack/side_objects.h"

#include <fmt/format.h>

#include <algorithm>

#include "clouds/openstack/api_error.h"
#include "clouds/openstack/marks.h"
#include "clouds/openstack/resources.h"
#include "net/http_message.h"
#include "schema/problem.h"

namespace spillway::openstack {
namespace {

constexpr std::size_t kVolumePage = 500;
constexpr std::size_t kMaxVolumePages = 20;

Call CallOf(Service service, std::string method, std::string path, json::value body = {}) {
  Call call;
  call.service = service;
  call.method = std::move(method);
  call.path = std::move(path);
  if (!body.is_null()) call.body = std::move(body);
  return call;
}

std::string GroupName(const std::string& cluster_mark) {
  return "spillway-" + cluster_mark;
}

bool LetsIn(const json::value& group) {
  const json::array* rules = FindArray(group, "security_group_rules");
  return rules != nullptr && std::any_of(rules->begin(), rules->end(), [](const json::value& rule) {
           return StringOr(rule, "direction", "") == "ingress";
         });
}

}  // namespace

Result<std::vector<FloatingIp>> FloatingIps(Session& session, const std::string& cluster_mark) {
  SPW_ASSIGN(const json::array all,
             ListOf(session, Service::kNetwork,
                    "/floatingips?fields=id&fields=description&fields=port_id", "floatingips"));
  std::vector<FloatingIp> ours;
  for (const json::value& ip : all) {
    std::string name = NameIn(StringOr(ip, "description", ""), cluster_mark);
    if (name.empty()) continue;
    ours.push_back({std::string(StringOr(ip, "id", "")), std::move(name),
                    std::string(StringOr(ip, "port_id", ""))});
  }
  return ours;
}

Status ConnectFloatingIp(Session& session, const std::string& network_id,
                         const std::string& cluster_mark, const std::string& name,
                         const std::string& port_id) {
  SPW_ASSIGN(const std::vector<FloatingIp> ips, FloatingIps(session, cluster_mark));
  const auto mine =
      std::find_if(ips.begin(), ips.end(), [&](const FloatingIp& ip) { return ip.name == name; });
  if (mine != ips.end() && mine->port_id == port_id) return Ok();
  json::object wanted{{"port_id", port_id}};
  if (mine != ips.end()) {
    const std::string path = "/floatingips/" + net::PercentEncode(mine->id);
    SPW_TRY(session.DoJson(
        CallOf(Service::kNetwork, "PUT", path, json::object{{"floatingip", std::move(wanted)}})));
    return Ok();
  }
  wanted["floating_network_id"] = network_id;
  wanted["description"] = Description(cluster_mark, name);
  SPW_TRY(session.DoJson(
      CallOf(Service::kNetwork, "POST", "/floatingips", json::object{{"floatingip", wanted}})));
  return Ok();
}

Status DeleteFloatingIp(Session& session, const std::string& id) {
  return Remove(session, Service::kNetwork, "/floatingips/" + net::PercentEncode(id));
}

Status MarkVolume(Session& session, const std::string& id, const std::string& cluster_mark,
                  const std::string& name) {
  const json::object marks{{std::string(kClusterKey), cluster_mark}, {std::string(kNodeKey), name}};
  SPW_TRY(session.DoJson(CallOf(Service::kVolume, "POST",
                                fmt::format("/volumes/{}/metadata", net::PercentEncode(id)),
                                json::object{{"metadata", marks}})));
  return Ok();
}

Result<std::vector<Volume>> MarkedVolumes(Session& session, const std::string& cluster_mark) {
  std::vector<Volume> ours;
  std::string path = fmt::format("/volumes/detail?limit={}", kVolumePage);
  for (std::size_t page = 0; page < kMaxVolumePages; ++page) {
    SPW_ASSIGN(const json::array volumes, ListOf(session, Service::kVolume, path, "volumes"));
    for (const json::value& volume : volumes) {
      const json::value* metadata = Find(volume, "metadata");
      if (metadata == nullptr || StringOr(*metadata, kClusterKey, "") != cluster_mark) continue;
      const std::string_view status = StringOr(volume, "status", "");
      ours.push_back({std::string(StringOr(volume, "id", "")),
                      std::string(StringOr(*metadata, kNodeKey, "")),
                      status == "available" || status.starts_with("error")});
    }
    // Some clouds have smaller pages: only an empty one is the last.
    if (volumes.empty()) return ours;
    path = fmt::format("/volumes/detail?limit={}&marker={}", kVolumePage,
                       net::PercentEncode(StringOr(volumes.back(), "id", "")));
  }
  return Fail(Code::kUnavailable,
              "Cinder: the project has too many volumes: give Spillway a project of its own");
}

Status DeleteVolume(Session& session, const std::string& id) {
  return Remove(session, Service::kVolume, "/volumes/" + net::PercentEncode(id));
}

Result<std::vector<std::string>> OwnGroups(Session& session, const std::string& cluster_mark) {
  const std::string name = GroupName(cluster_mark);
  SPW_ASSIGN(const json::array groups,
             ListOf(session, Service::kNetwork, "/security-groups?name=" + net::PercentEncode(name),
                    "security_groups"));
  std::vector<std::string> ids;
  for (const json::value& group : groups) {
    if (StringOr(group, "name", "") != name ||
        StringOr(group, "description", "") != Description(cluster_mark, ""))
      continue;
    if (LetsIn(group))
      return Fail(Code::kInvalid,
                  fmt::format("the security group {} ({}) has a rule for ingress, and machines of "
                              "Spillway take nothing in: delete that rule",
                              name, schema::Printable(StringOr(group, "id", ""))));
    ids.emplace_back(StringOr(group, "id", ""));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

Result<std::string> EnsureOwnGroup(Session& session, const std::string& cluster_mark) {
  SPW_ASSIGN(const std::vector<std::string> ids, OwnGroups(session, cluster_mark));
  if (!ids.empty()) return ids[0];
  const json::object group{{"name", GroupName(cluster_mark)},
                           {"description", Description(cluster_mark, "")}};
  Result<json::value> made = session.DoJson(CallOf(Service::kNetwork, "POST", "/security-groups",
                                                   json::object{{"security_group", group}}));
  if (!made) {
    // A group that may exist is found again by the next call; the machine certainly does not.
    if (made.error().code == Code::kMaybeApplied) made.error().code = Code::kUnavailable;
    return Fail(std::move(made.error()));
  }
  const json::value* inner = Find(*made, "security_group");
  std::string id(inner == nullptr ? "" : StringOr(*inner, "id", ""));
  if (id.empty()) return Fail(Code::kUnavailable, "Neutron: the new security group has no id");
  return id;
}

Status DeleteOwnGroups(Session& session, const std::string& cluster_mark) {
  SPW_ASSIGN(const std::vector<std::string> ids, OwnGroups(session, cluster_mark));
  for (const std::string& id : ids) {
    const Status removed =
        Remove(session, Service::kNetwork, "/security-groups/" + net::PercentEncode(id));
    // Neutron's 409: a port that still goes has it.
    if (!removed && removed.error().code != Code::kUnavailable) return removed;
  }
  return Ok();
}

}  // namespace spillway::openstack
