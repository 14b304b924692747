// Nova: flavors, servers and limits of one project, in the few fields that are used here.
// https://docs.openstack.org/api-ref/compute/
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "clouds/openstack/session.h"

namespace spillway::openstack {

using Texts = std::map<std::string, std::string, std::less<>>;

struct Flavor {
  std::string id, name;
  std::int64_t vcpus = 0, ram_mib = 0;
  std::int64_t disk_gib = 0;  // root and ephemeral disk together
  Texts extra_specs;
};

struct Fault {
  std::int64_t code = 0;
  std::string message;
};

struct Server {
  std::string id, name;
  std::string status;      // "BUILD", "ACTIVE", "ERROR", ...
  std::string task_state;  // "deleting", ...; empty: none
  Time created{};          // by the cloud's clock
  std::optional<Fault> fault;
  std::vector<std::string> tags;
  Texts metadata;
  std::vector<std::string> volumes;  // ids of attached ones that are to end with it
};

// Negative: no limit.
struct Limit {
  std::int64_t most = -1, used = 0;
  std::int64_t Left() const { return most < 0 ? std::int64_t{1} << 40 : most - used; }
};
struct Limits {
  Limit instances, cores, ram_mib;
};

// What POST /servers is told; empty texts and lists are left out.
struct ServerRequest {
  std::string name, flavor_id, image_id;
  std::string network_id;  // empty: Nova finds or makes one ("auto")
  std::string user_data;   // as it is, not encoded
  std::string availability_zone;
  std::vector<std::string> security_groups;  // names or ids
  std::vector<std::string> tags;
  Texts metadata;
  std::int64_t volume_gib = 0;  // more than 0: the root disk is a volume of this size
  std::string volume_type;
};

// Features by microversion:
// https://docs.openstack.org/nova/latest/reference/api-microversion-history.html
inline constexpr int kLeastMinor = 26;        // server tags
inline constexpr int kMinorAutoNetwork = 37;  // `networks` must be said, "auto" may
inline constexpr int kMinorTagsInCreate = 52;
inline constexpr int kMinorExtraSpecs = 61;  // with the list of flavors
inline constexpr int kMinorVolumeType = 67;
inline constexpr int kMostMinor = 90;  // the newest that this code was written for

// Thread-safe. Errors are those of Session::DoJson. Lists have a limit; one that is longer is
// kUnavailable, never cut, since what is missing in a list counts as gone.
class Compute {
 public:
  explicit Compute(Session& session) : session_(session) {}

  // The minor microversion in use, 26 to 90. kInvalid if Nova is older than 2.26.
  Result<int> Minor();

  // Those that are not disabled, with extra specs.
  Result<std::vector<Flavor>> Flavors();

  // Servers that have all these tags. Below 2.52 servers are not created with tags, and all of the
  // project come back: the caller looks at metadata.
  Result<std::vector<Server>> Servers(const std::vector<std::string>& tags);
  // nullopt: there is none.
  Result<std::optional<Server>> FindServer(const std::string& id);

  // A server that is accepted and no more.
  struct Accepted {
    std::string id, request_id;
  };
  Result<Accepted> Create(const ServerRequest& request);
  // False: there is none.
  Result<bool> Delete(const std::string& id);

  Result<Limits> ReadLimits();
  Result<std::vector<std::string>> AvailabilityZones();

 private:
  Result<Call> Prepare(std::string method, std::string path);
  // Sends; a version that Nova has no more is forgotten, and the call had no effect.
  Result<Answer> Do(const Call& call);
  Result<json::value> Read(std::string path);
  // Of an address that every Nova has: its 404 is kUnavailable, since it tells of nothing that it
  // is gone.
  Result<json::value> ReadFixed(std::string path);
  // All items of a list that comes in pages.
  Result<json::array> Pages(const std::string& path, std::string_view member);
  Result<Texts> ExtraSpecs(const std::string& flavor_id);

  Session& session_;
  std::mutex mutex_;
  int minor_ = 0;  // 0: not negotiated
};

// The body of POST /servers at this microversion.
json::value BodyOf(const ServerRequest& request, int minor);

Result<Server> ReadServer(const json::value& value);
Result<Flavor> ReadFlavor(const json::value& value);

}  // namespace spillway::openstack
