#include "door/user_data.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/json.h"
#include "data/record.h"

namespace spillway::door {
namespace {

using data::FieldReader;

constexpr std::size_t kMaxNetworks = 64, kMaxFiles = 64, kMaxServers = 8, kMaxLabels = 64;
constexpr std::size_t kPinCharacters = 44;
constexpr std::int64_t kMaxFileBytes = std::int64_t{1} << 30;

json::array Texts(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(json::string(text));
  return array;
}

json::object Encode(const KubernetesJoin& join) {
  return {{"server", join.server}, {"ca", join.ca}, {"bootstrapToken", join.bootstrap_token}};
}

json::object Encode(const TunnelGrant& tunnel) {
  return {{"endpoint", tunnel.endpoint},        {"hubKey", tunnel.hub_key},
          {"hubAddress", tunnel.hub_address},   {"privateKey", tunnel.private_key},
          {"bootAddress", tunnel.boot_address}, {"nodeAddress", tunnel.node_address},
          {"networks", Texts(tunnel.networks)}};
}

json::object Encode(const MachineSetup& machine) {
  json::array files;
  for (const MachineFile& file : machine.files)
    files.push_back(
        json::object{{"name", file.name}, {"sha256", file.sha256}, {"bytes", file.bytes}});
  json::object labels;
  for (const auto& [key, value] : machine.labels) labels[key] = value;
  return {{"files", std::move(files)},
          {"labels", std::move(labels)},
          {"providerId", machine.provider_id},
          {"podNetwork", machine.pod_network},
          {"hosts", Texts(machine.hosts)},
          {"clusterDns", Texts(machine.cluster_dns)},
          {"clusterDomain", machine.cluster_domain}};
}

KubernetesJoin ReadJoin(const json::value& value, std::optional<Error>& error) {
  FieldReader reader(value, "kubernetes", error);
  KubernetesJoin join{reader.Text("server"), reader.Text("ca", kMaxUserDataBytes),
                      reader.Text("bootstrapToken")};
  reader.Done();
  return join;
}

TunnelGrant ReadTunnel(const json::value& value, std::optional<Error>& error) {
  FieldReader reader(value, "tunnel", error);
  TunnelGrant tunnel;
  tunnel.endpoint = reader.Text("endpoint");
  tunnel.hub_key = reader.Text("hubKey", 44);
  tunnel.hub_address = reader.Text("hubAddress", 15);
  tunnel.private_key = reader.Text("privateKey", 44);
  tunnel.boot_address = reader.Text("bootAddress", 15);
  tunnel.node_address = reader.Text("nodeAddress", 15);
  tunnel.networks = reader.Texts("networks", kMaxNetworks);
  reader.Done();
  return tunnel;
}

MachineFile ReadFile(const json::value& value, std::string where, std::optional<Error>& error) {
  FieldReader reader(value, std::move(where), error);
  MachineFile file;
  file.name = reader.Text("name", 64);
  file.sha256 = Hex(reader.Hash("sha256"));
  file.bytes = reader.Int("bytes", 1, kMaxFileBytes);
  reader.Done();
  return file;
}

MachineSetup ReadMachine(const json::value& value, std::optional<Error>& error) {
  FieldReader reader(value, "machine", error);
  MachineSetup machine;
  for (const json::value& item : reader.Array("files", kMaxFiles))
    machine.files.push_back(
        ReadFile(item, fmt::format("machine.files[{}]", machine.files.size()), error));
  if (const json::object* labels = reader.Object("labels").if_object()) {
    if (labels->size() > kMaxLabels) reader.Complain("labels", "has too many members");
    for (const auto& member : *labels) {
      if (!member.value().is_string()) reader.Complain("labels", "must hold texts");
      machine.labels.emplace(member.key(),
                             member.value().is_string() ? View(member.value().get_string()) : "");
    }
  } else {
    reader.Complain("labels", "must be an object");
  }
  machine.provider_id = reader.TextOrEmpty("providerId");
  machine.pod_network = reader.TextOrEmpty("podNetwork", 18);
  machine.hosts = reader.Texts("hosts", kMaxServers);
  machine.cluster_dns = reader.Texts("clusterDns", kMaxServers);
  machine.cluster_domain = reader.TextOrEmpty("clusterDomain");
  reader.Done();
  return machine;
}

}  // namespace

std::string EncodeUserData(const UserData& data) {
  json::object object{{"name", data.name},
                      {"door", data.door},
                      {"token", data.token},
                      {"sitePublicKey", data.site_public_key},
                      {"doorKey", data.door_key}};
  if (data.kubernetes) object["kubernetes"] = Encode(*data.kubernetes);
  if (data.tunnel) object["tunnel"] = Encode(*data.tunnel);
  if (data.machine) object["machine"] = Encode(*data.machine);
  return CanonicalJson(object);
}

Result<UserData> DecodeUserData(std::string_view text) {
  if (text.size() > kMaxUserDataBytes) return Fail(Code::kInvalid, "user data: more than 16 KiB");
  auto parsed = ParseJson(text);
  if (!parsed) return Fail(parsed.error().In("user data"));
  std::optional<Error> error;
  FieldReader reader(*parsed, "", error);
  UserData data;
  data.name = reader.Text("name");
  data.door = reader.Text("door");
  data.token = reader.Text("token");
  data.site_public_key = Hex(reader.Hash("sitePublicKey"));
  data.door_key = reader.Text("doorKey", kPinCharacters);
  if (const auto pin = ParseBase64(data.door_key); !pin || pin->size() != sizeof(Digest))
    reader.Complain("doorKey", "must be the Base64 of a SHA-256");
  const json::object* object = parsed->if_object();
  const auto has = [&](std::string_view key) { return object && object->contains(key); };
  if (has("kubernetes")) data.kubernetes = ReadJoin(reader.Object("kubernetes"), error);
  if (has("tunnel")) data.tunnel = ReadTunnel(reader.Object("tunnel"), error);
  if (has("machine")) data.machine = ReadMachine(reader.Object("machine"), error);
  reader.Done();
  if (error) return Fail(error->In("user data"));
  return data;
}

}  // namespace spillway::door
