#include "tests/integration/openstack_records.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "clouds/openstack/clouds_yaml.h"
#include "clouds/openstack/openstack_cloud.h"
#include "net/http_message.h"

namespace spillway::integration {
namespace {

namespace fs = std::filesystem;
using openstack::Call;
using openstack::Service;
using openstack::Session;

constexpr std::string_view kVersion = "2.90";

Call Asking(std::string method, std::string path) {
  Call call;
  call.method = std::move(method);
  call.path = std::move(path);
  call.microversion = kVersion;
  return call;
}

Session SessionOf(const fs::path& directory, const std::string& entry, const Clock& clock) {
  openstack::CloudConfig config = openstack::LoadClouds(directory / "clouds.yaml", entry).value();
  openstack::Send send = openstack::SendOver(config);
  return Session(std::move(config), std::move(send), clock);
}

json::value FactsIn(const fs::path& directory) {
  std::ifstream file(directory / "cloud.json");
  return ParseJson(std::string(std::istreambuf_iterator<char>(file), {})).value();
}

// Nova writes "2026-11-30T00:16:35.000000" here, always in UTC.
std::optional<Time> TimeOf(const json::value& value, std::string_view key) {
  const std::string_view text = StringOr(value, key, "");
  const Result<Time> time = ParseTime(std::string(text.substr(0, text.find_first_of(".Z"))) + "Z");
  return time ? std::optional(*time) : std::nullopt;
}

// The create call as Nova wrote it down: `created` is of when a host was looked for.
Result<Time> AskedAt(Session& session, const std::string& id) {
  SPW_ASSIGN(const json::value body,
             session.DoJson(Asking("GET", fmt::format("/servers/{}/os-instance-actions", id))));
  for (const json::value& action : body.at("instanceActions").as_array())
    if (StringOr(action, "action", "") == "create")
      if (const std::optional<Time> at = TimeOf(action, "start_time")) return *at;
  return Fail(Code::kNotFound, "no action says when " + id + " was created");
}

}  // namespace

std::optional<fs::path> RealOpenStack::Directory() {
  const char* named = std::getenv("SPILLWAY_TEST_OPENSTACK");
  return named == nullptr ? std::nullopt : std::optional<fs::path>(named);
}

RealOpenStack::RealOpenStack(fs::path directory, const Clock& clock)
    : directory_(std::move(directory)),
      admin_(SessionOf(directory_, "admin", clock)),
      user_(SessionOf(directory_, "lab", clock)),
      facts_(FactsIn(directory_)) {}

Status RealOpenStack::Add(Session& session, Service service, const std::string& path,
                          std::string_view kind, std::set<std::string>& found) {
  Call call = Asking("GET", path);
  call.service = service;
  if (service != Service::kCompute) call.microversion.clear();
  SPW_ASSIGN(const json::value body, session.DoJson(call));
  for (const auto& member : body.as_object()) {
    if (!member.value().is_array() || std::string_view(member.key()).ends_with("_links")) continue;
    for (const json::value& item : member.value().get_array())
      found.insert(fmt::format("{} {}", kind, StringOr(item, "id", json::serialize(item))));
  }
  return Ok();
}

Result<std::set<std::string>> RealOpenStack::Existing() {
  std::set<std::string> found;
  SPW_TRY(Add(user_, Service::kCompute, "/servers", "server", found));
  SPW_TRY(Add(user_, Service::kCompute, "/os-keypairs", "keypair", found));
  SPW_TRY(Add(user_, Service::kNetwork, "/ports", "port", found));
  SPW_TRY(Add(user_, Service::kNetwork, "/floatingips", "floating IP", found));
  SPW_TRY(Add(user_, Service::kNetwork, "/security-groups", "security group", found));
  SPW_TRY(Add(admin_, Service::kCompute, "/servers?all_tenants=1", "server", found));
  SPW_TRY(Add(admin_, Service::kNetwork, "/ports", "port", found));
  SPW_ASSIGN(const bool volumes, user_.Has(Service::kVolume));
  if (volumes) SPW_TRY(Add(user_, Service::kVolume, "/volumes", "volume", found));
  return found;
}

Result<std::map<std::string, ServerRecord>> RealOpenStack::Records(Time since) {
  std::map<std::string, ServerRecord> records;
  // With changes-since, those that are gone come as well.
  SPW_ASSIGN(const json::value body,
             admin_.DoJson(Asking("GET", "/servers/detail?all_tenants=1&changes-since=" +
                                             net::PercentEncode(FormatTime(since)))));
  for (const json::value& server : body.at("servers").as_array()) {
    ServerRecord record;
    record.id = StringOr(server, "id", "");
    record.flavor = StringOr(server.at("flavor"), "original_name", "");
    record.status = StringOr(server, "status", "");
    SPW_ASSIGN(record.asked, AskedAt(admin_, record.id));
    record.ended = TimeOf(server, "OS-SRV-USG:terminated_at");
    if (!record.ended && record.status == "DELETED") record.ended = TimeOf(server, "updated");
    records.emplace(record.id, std::move(record));
  }
  return records;
}

Result<std::string> RealOpenStack::MakeServer(const std::string& name, const json::object& metadata,
                                              const json::array& tags) {
  Call call = Asking("POST", "/servers");
  call.body = json::object{
      {"server",
       json::object{{"name", name},
                    {"flavorRef", facts_.at("flavors").at("cpu.small")},
                    {"imageRef", facts_.at("images").at("debian-12")},
                    {"networks", json::array{json::object{{"uuid", facts_.at("network_id")}}}},
                    {"metadata", metadata},
                    {"tags", tags}}}};
  SPW_ASSIGN(const json::value body, user_.DoJson(call));
  return std::string(StringOr(body.at("server"), "id", ""));
}

Status RealOpenStack::DeleteServer(const std::string& id) {
  SPW_ASSIGN(const openstack::Answer answer, user_.Do(Asking("DELETE", "/servers/" + id)));
  return answer.ok() || answer.status == 404
             ? Ok()
             : Fail(Code::kInternal, fmt::format("DELETE: HTTP {}", answer.status));
}

Result<std::optional<std::string>> RealOpenStack::StatusOf(const std::string& id) {
  SPW_ASSIGN(const openstack::Answer answer, user_.Do(Asking("GET", "/servers/" + id)));
  if (answer.status == 404) return std::optional<std::string>();
  SPW_ASSIGN(const json::value body, ParseJson(answer.body));
  return std::optional(std::string(StringOr(body.at("server"), "status", "")));
}

}  // namespace spillway::integration
