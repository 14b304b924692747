// A real OpenStack as its administrator and the project's user see it: what is there, what Nova
// recorded of servers, also of those that are gone, and servers made by hand.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "clouds/openstack/session.h"

namespace spillway::integration {

// Nova's own record of a server. Its times have whole seconds, by the cloud's clock.
struct ServerRecord {
  std::string id, flavor, status;
  Time asked{};               // the create call
  std::optional<Time> ended;  // it was destroyed
};

class RealOpenStack {
 public:
  // The directory that SPILLWAY_TEST_OPENSTACK names; nullopt: none.
  static std::optional<std::filesystem::path> Directory();
  // `clock` must outlive it.
  RealOpenStack(std::filesystem::path directory, const Clock& clock);

  std::filesystem::path clouds() const { return directory_ / "clouds.yaml"; }
  const std::filesystem::path& directory() const { return directory_; }
  const openstack::CloudConfig& admin() const { return admin_.config(); }

  // Everything that a rental could leave, as "kind id": servers, ports, floating IPs, security
  // groups and keypairs, as the user sees them; servers and ports of everybody, as the
  // administrator does; volumes if there is a Cinder.
  Result<std::set<std::string>> Existing();
  // Servers of all projects that were created or changed since, by id; also those that are gone.
  Result<std::map<std::string, ServerRecord>> Records(Time since);

  // A server of the project, as somebody makes one by hand. Returns its id at once.
  Result<std::string> MakeServer(const std::string& name, const json::object& metadata,
                                 const json::array& tags);
  Status DeleteServer(const std::string& id);
  // nullopt: there is none.
  Result<std::optional<std::string>> StatusOf(const std::string& id);

 private:
  Status Add(openstack::Session& session, openstack::Service service, const std::string& path,
             std::string_view kind, std::set<std::string>& found);

  const std::filesystem::path directory_;
  openstack::Session admin_, user_;
  json::value facts_;  // cloud.json
};

}  // namespace spillway::integration
