#include "clouds/openstack/openstack_cloud.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "clouds/openstack/marks.h"
#include "clouds/openstack/resources.h"
#include "schema/problem.h"

namespace spillway::openstack {
namespace {

using ports::InstanceState;

constexpr std::size_t kMaxMarked = 1000;  // volumes that are known to be marked
constexpr Duration kPlacesHold = 1min;
constexpr std::size_t kMaxFaults = 20;  // asked for with one listing

std::string_view Text(const Texts& texts, std::string_view key) {
  const auto it = texts.find(key);
  return it == texts.end() ? std::string_view() : std::string_view(it->second);
}

bool IsOwned(const Server& server, const std::string& cluster_id) {
  return Text(server.metadata, kClusterKey) == ClusterMark(cluster_id) ||
         std::find(server.tags.begin(), server.tags.end(), ClusterTag(cluster_id)) !=
             server.tags.end();
}

// The name it was created with; the one it shows can be changed by anybody.
std::string NodeName(const Server& server) {
  const std::string_view name = Text(server.metadata, kNodeKey);
  return std::string(name.empty() ? std::string_view(server.name) : name);
}

InstanceState StateOf(const Server& server) {
  if (server.task_state == "deleting" || server.task_state == "soft-deleting" ||
      server.status == "DELETED" || server.status == "SOFT_DELETED")
    return InstanceState::kDeleting;
  if (server.status == "ERROR") return InstanceState::kError;
  if (server.status == "BUILD") return InstanceState::kCreating;
  if (server.status == "SHUTOFF" || server.status == "SHELVED" ||
      server.status == "SHELVED_OFFLOADED")
    return InstanceState::kOff;
  // Paused and suspended ones as well: they have their memory, and a silent node is noticed by its
  // heartbeat.
  return InstanceState::kRunning;
}

// Side objects are known by the name of their instance and their own id.
SideObject SideOf(std::string_view kind, const std::string& name, const std::string& id) {
  SideObject object;
  object.kind = kind;
  object.id = fmt::format("{}/{}", name, id);
  return object;
}

// A server in error says why in words only; the texts are those of nova/exception.py.
Error FaultOf(const Server& server) {
  const Fault fault = server.fault.value_or(Fault{0, "the cloud shows it in error"});
  const auto says = [&](std::string_view words) {
    return fault.message.find(words) != std::string::npos;
  };
  Code code = Code::kInternal;
  if (fault.code == 413 || says("Quota exceeded") || says("quota"))
    code = Code::kQuota;
  else if (says("No valid host") || says("Exhausted all hosts") || says("Insufficient") ||
           says("Exceeded maximum number of retries"))
    code = Code::kCapacity;
  return {code, schema::Printable(fault.message, 400), std::nullopt};
}

}  // namespace

Send SendOver(const CloudConfig& cloud) {
  net::WebOptions options;
  options.ca_file = cloud.ca_file;
  options.verify = cloud.verify;
  return [client = std::make_shared<net::WebClient>(options)](const net::WebRequest& request) {
    return client->Do(request);
  };
}

// Two Creates for one name at a time would both look, find nothing, and create.
class OpenStackCloud::NameLock {
 public:
  NameLock(OpenStackCloud& cloud, std::string name) : cloud_(cloud), name_(std::move(name)) {
    std::unique_lock lock(cloud_.mutex_);
    cloud_.freed_.wait(lock, [&] { return !cloud_.creating_.contains(name_); });
    cloud_.creating_.insert(name_);
  }
  ~NameLock() {
    {
      const std::lock_guard lock(cloud_.mutex_);
      cloud_.creating_.erase(name_);
    }
    cloud_.freed_.notify_all();
  }
  NameLock(const NameLock&) = delete;
  NameLock& operator=(const NameLock&) = delete;

 private:
  OpenStackCloud& cloud_;
  const std::string name_;
};

OpenStackCloud::OpenStackCloud(OpenStackOptions options, Send send, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      session_(options_.cloud, std::move(send), clock),
      compute_(session_) {}

Result<std::vector<Offer>> OpenStackCloud::Offers() {
  SPW_ASSIGN(std::vector<Flavor> flavors, compute_.Flavors());
  Assortment assortment = OffersFrom(flavors, options_.offers, clock_.Now());
  const std::lock_guard lock(mutex_);
  flavors_.clear();
  for (Flavor& flavor : flavors) flavors_.emplace(flavor.name, std::move(flavor));
  if (assortment.left_out != left_out_) {
    for (const std::string& why : assortment.left_out)
      log::Info("a flavor with GPUs is not offered",
                {{"provider", options_.offers.provider}, {"flavor", why}});
    left_out_ = assortment.left_out;
  }
  return std::move(assortment.offers);
}

Result<Flavor> OpenStackCloud::FindFlavor(const std::string& name) {
  const auto known = [&]() -> std::optional<Flavor> {
    const std::lock_guard lock(mutex_);
    const auto it = flavors_.find(name);
    return it == flavors_.end() ? std::nullopt : std::optional(it->second);
  };
  if (std::optional<Flavor> flavor = known()) return *flavor;
  SPW_TRY(Offers());
  if (std::optional<Flavor> flavor = known()) return *flavor;
  return Fail(Code::kInvalid, fmt::format("{} has no flavor \"{}\"", options_.offers.provider,
                                          schema::Printable(name)));
}

Status OpenStackCloud::CheckSpec(const ports::InstanceSpec& spec) const {
  SPW_TRY(ports::CheckSpec(spec));
  if (spec.region != options_.offers.region.id)
    return Fail(Code::kInvalid,
                fmt::format("{} rents in region {}, not in \"{}\"", options_.offers.provider,
                            options_.offers.region.id, schema::Printable(spec.region)));
  if (spec.spot) return Fail(Code::kInvalid, options_.offers.provider + " has no spot capacity");
  return Ok();
}

// Many creates at a time must not ask a busy Glance and Neutron for the same two names each.
Result<OpenStackCloud::Places> OpenStackCloud::FindPlaces() {
  const std::lock_guard lock(places_mutex_);
  const Duration now = clock_.SteadyNow();
  if (now < places_.good_until) return places_;
  Places found;
  SPW_ASSIGN(found.image_id, FindImage(session_, options_.image));
  if (options_.network != "auto") {
    SPW_ASSIGN(found.network_id, FindNetwork(session_, options_.network));
  }
  found.good_until = now + kPlacesHold;
  places_ = found;
  return found;
}

void OpenStackCloud::ForgetNames() {
  {
    const std::lock_guard lock(places_mutex_);
    places_ = {};
  }
  const std::lock_guard lock(mutex_);
  flavors_.clear();
}

Result<ServerRequest> OpenStackCloud::RequestFor(const ports::InstanceSpec& spec) {
  SPW_ASSIGN(const Flavor flavor, FindFlavor(spec.instance_type));
  ServerRequest request;
  request.name = spec.name;
  request.flavor_id = flavor.id;
  SPW_ASSIGN(Places places, FindPlaces());
  request.image_id = std::move(places.image_id);
  request.network_id = std::move(places.network_id);
  request.user_data = spec.user_data;
  request.availability_zone = options_.availability_zone;
  request.security_groups = options_.security_groups;
  if (options_.own_group) {
    const std::lock_guard lock(group_mutex_);
    SPW_ASSIGN(std::string group, EnsureOwnGroup(session_, ClusterMark(spec.cluster_id)));
    request.security_groups = {std::move(group)};
  }
  request.tags = {ClusterTag(spec.cluster_id), NodeTag(spec.name)};
  request.metadata = {{std::string(kClusterKey), ClusterMark(spec.cluster_id)},
                      {std::string(kNodeKey), spec.name}};
  request.volume_gib = options_.volume_gib;
  request.volume_type = options_.volume_type;
  return request;
}

Result<ports::Instance> OpenStackCloud::Create(const ports::InstanceSpec& spec) {
  SPW_TRY(CheckSpec(spec));
  const NameLock lock(*this, ClusterMark(spec.cluster_id) + "/" + spec.name);
  SPW_ASSIGN(const std::vector<Server> existing, Owned(spec.cluster_id, spec.name));
  if (!existing.empty())
    return Fail(Code::kConflict,
                fmt::format("{} exists already as server {}", spec.name, existing[0].id));
  Result<ServerRequest> request = RequestFor(spec);
  if (!request) {
    if (request.error().code == Code::kNotFound) request.error().code = Code::kInvalid;
    return Fail(std::move(request.error()));
  }
  return CreateServer(*request);
}

Result<ports::Instance> OpenStackCloud::CreateServer(const ServerRequest& request) {
  const Time asked = clock_.Now();
  Result<Compute::Accepted> accepted = compute_.Create(request);
  if (!accepted) {
    Error error = std::move(accepted.error());
    if (error.code == Code::kNotFound) error.code = Code::kInvalid;
    // Flavor or image may have been replaced under their names: they are read again next time.
    if (error.code == Code::kInvalid) ForgetNames();
    return Fail(std::move(error));
  }
  log::Info("a server was accepted", {{"provider", options_.offers.provider},
                                      {"node", request.name},
                                      {"server", accepted->id},
                                      {"request", schema::Printable(accepted->request_id)}});
  ports::Instance instance;
  instance.id = std::move(accepted->id);
  instance.name = request.name;
  instance.created = asked;  // List shows the cloud's own time
  return instance;
}

Status OpenStackCloud::Resume(const std::string& instance_id) {
  SPW_ASSIGN(const std::optional<Server> server, compute_.FindServer(instance_id));
  if (server) return options_.floating_network.empty() ? Ok() : Connect(*server);
  return Fail(Code::kNotFound,
              fmt::format("there is no server {}", schema::Printable(instance_id)));
}

Status OpenStackCloud::Connect(const Server& server) {
  const std::string cluster(Text(server.metadata, kClusterKey)), name = NodeName(server);
  if (cluster.empty()) return Ok();  // not ours
  const NameLock lock(*this, cluster + "/" + name);
  Result<std::string> network = FindExternalNetwork(session_, options_.floating_network);
  Result<std::vector<std::string>> ports = PortsOf(session_, server.id);
  Status done;
  if (!network)
    done = Fail(network.error());
  else if (!ports)
    done = Fail(ports.error());
  else if (ports->empty())
    done = Fail(Code::kUnavailable, fmt::format("server {} has no port yet", server.id));
  else
    done = ConnectFloatingIp(session_, *network, cluster, name, ports->front());
  if (done) return done;
  Error error = done.error().In("spec.openstack.floatingNetwork");
  // That the server is gone is said by Nova alone.
  if (error.code != Code::kDenied && error.code != Code::kThrottled &&
      error.code != Code::kMaybeApplied)
    error.code = Code::kUnavailable;
  return Fail(std::move(error));
}

Result<std::vector<FloatingIp>> OpenStackCloud::Addresses(const std::string& cluster_id,
                                                          const std::string& name) {
  if (options_.floating_network.empty()) return std::vector<FloatingIp>();
  SPW_ASSIGN(std::vector<FloatingIp> ips, FloatingIps(session_, ClusterMark(cluster_id)));
  if (!name.empty()) std::erase_if(ips, [&](const FloatingIp& ip) { return ip.name != name; });
  return ips;
}

Status OpenStackCloud::AddAddresses(const std::string& cluster_id, ports::Inventory& inventory) {
  if (options_.floating_network.empty()) return Ok();
  SPW_ASSIGN(const std::vector<FloatingIp> ips, Addresses(cluster_id, ""));
  std::set<std::string> connected;
  for (const FloatingIp& ip : ips) {
    const auto owner =
        std::find_if(inventory.instances.begin(), inventory.instances.end(),
                     [&](const ports::Instance& one) { return one.name == ip.name; });
    std::vector<SideObject>& where =
        owner == inventory.instances.end() ? inventory.stray : owner->side_objects;
    where.push_back(SideOf("address", ip.name, ip.id));
    if (!ip.port_id.empty()) connected.insert(ip.name);
  }
  for (ports::Instance& instance : inventory.instances)
    if (instance.state == InstanceState::kRunning && !connected.contains(instance.name))
      instance.state = InstanceState::kStopped;
  return Ok();
}

Status OpenStackCloud::DeleteAddresses(const std::string& cluster_id, const std::string& name,
                                       std::vector<SideObject>& left, bool& effect) {
  SPW_ASSIGN(const std::vector<FloatingIp> ips, Addresses(cluster_id, name));
  for (const FloatingIp& ip : ips) {
    SPW_TRY(DeleteFloatingIp(session_, ip.id));
    effect = true;
    left.push_back(SideOf("address", name, ip.id));  // until a pass does not find it
  }
  return Ok();
}

Status OpenStackCloud::DeleteGroupIfLast(const std::string& cluster_id) {
  if (!options_.own_group) return Ok();
  const std::lock_guard lock(group_mutex_);
  {
    // A create that has the group's id already must still find it.
    const std::lock_guard guard(mutex_);
    if (!creating_.empty()) return Ok();
  }
  SPW_ASSIGN(const std::vector<Server> servers, Owned(cluster_id, ""));
  if (!servers.empty()) return Ok();
  return DeleteOwnGroups(session_, ClusterMark(cluster_id));
}

Result<std::vector<Server>> OpenStackCloud::Owned(const std::string& cluster_id,
                                                  const std::string& name) {
  std::vector<std::string> tags = {ClusterTag(cluster_id)};
  if (!name.empty()) tags.push_back(NodeTag(name));
  SPW_ASSIGN(std::vector<Server> servers, compute_.Servers(tags));
  std::erase_if(servers, [&](const Server& server) {
    return !IsOwned(server, cluster_id) || (!name.empty() && NodeName(server) != name);
  });
  return servers;
}

ports::Instance OpenStackCloud::InstanceOf(const Server& server) const {
  ports::Instance instance;
  instance.id = server.id;
  instance.name = NodeName(server);
  instance.state = StateOf(server);
  instance.created = server.created;
  if (instance.state == InstanceState::kError) instance.fault = FaultOf(server);
  for (const std::string& volume : server.volumes)
    instance.side_objects.push_back(SideOf("disk", instance.name, volume));
  return instance;
}

void OpenStackCloud::MarkVolumes(const Server& server, const std::string& cluster_id) {
  for (const std::string& volume : server.volumes) {
    {
      const std::lock_guard lock(mutex_);
      if (marked_.contains(volume)) continue;
    }
    const Status marked = MarkVolume(session_, volume, ClusterMark(cluster_id), NodeName(server));
    const std::lock_guard lock(mutex_);
    if (!marked)  // neither a listing nor a deletion waits for it: the next of them tries again
      log::Warn("a boot volume could not be marked",
                {{"provider", options_.offers.provider}, {"error", marked.error().message}});
    else if (marked_.size() < kMaxMarked)
      marked_.insert(volume);
  }
}

Result<std::vector<Volume>> OpenStackCloud::Volumes(const std::string& cluster_id) {
  {
    const std::lock_guard lock(mutex_);
    if (options_.volume_gib == 0 && marked_.empty()) return std::vector<Volume>();
  }
  return MarkedVolumes(session_, ClusterMark(cluster_id));
}

Status OpenStackCloud::AddStrayVolumes(const std::string& cluster_id, ports::Inventory& inventory) {
  SPW_ASSIGN(const std::vector<Volume> volumes, Volumes(cluster_id));
  for (const Volume& volume : volumes) {
    const bool owned = std::any_of(inventory.instances.begin(), inventory.instances.end(),
                                   [&](const auto& one) { return one.name == volume.name; });
    if (!owned) inventory.stray.push_back(SideOf("disk", volume.name, volume.id));
  }
  return Ok();
}

Result<ports::Inventory> OpenStackCloud::List(const std::string& cluster_id) {
  ports::Inventory inventory;
  inventory.read_at = clock_.Now();
  SPW_ASSIGN(std::vector<Server> servers, Owned(cluster_id, ""));
  std::size_t asked = 0;
  for (Server& server : servers) {
    // Nova's lists leave the fault out for servers that no host took (they are in a cell of their
    // own); asked for alone, each has it.
    if (server.status == "ERROR" && !server.fault && asked++ < kMaxFaults) {
      SPW_ASSIGN(const std::optional<Server> alone, compute_.FindServer(server.id));
      if (alone) server.fault = alone->fault;
    }
    MarkVolumes(server, cluster_id);
    inventory.instances.push_back(InstanceOf(server));
  }
  SPW_TRY(AddAddresses(cluster_id, inventory));
  SPW_TRY(AddStrayVolumes(cluster_id, inventory));
  std::sort(inventory.instances.begin(), inventory.instances.end(),
            [](const ports::Instance& a, const ports::Instance& b) { return a.id < b.id; });
  return inventory;
}

Status OpenStackCloud::DeletePorts(const std::string& server_id, const std::string& name,
                                   std::vector<SideObject>& left, bool& effect) {
  SPW_ASSIGN(const std::vector<std::string> ports, PortsOf(session_, server_id));
  for (const std::string& port : ports) {
    SPW_TRY(DeletePort(session_, port));
    effect = true;
    left.push_back(SideOf("port", name, port));
  }
  return Ok();
}

Status OpenStackCloud::DeleteVolumes(const std::string& cluster_id, const std::string& name,
                                     std::vector<SideObject>& left, bool& effect) {
  SPW_ASSIGN(const std::vector<Volume> volumes, Volumes(cluster_id));
  for (const Volume& volume : volumes) {
    if (volume.name != name) continue;
    left.push_back(SideOf("disk", name, volume.id));
    if (!volume.free) continue;
    SPW_TRY(DeleteVolume(session_, volume.id));
    effect = true;
  }
  return Ok();
}

Result<ports::DeleteProgress> OpenStackCloud::Delete(const std::string& instance_id,
                                                     const std::string& name,
                                                     const std::string& cluster_id) {
  bool effect = false;
  Result<ports::DeleteProgress> progress = DeletePass(instance_id, name, cluster_id, effect);
  // Some of it is done: no code may say that nothing is.
  if (!progress && effect) progress.error().code = Code::kMaybeApplied;
  return progress;
}

Result<ports::DeleteProgress> OpenStackCloud::DeletePass(const std::string& instance_id,
                                                         const std::string& name,
                                                         const std::string& cluster_id,
                                                         bool& effect) {
  SPW_ASSIGN(std::vector<Server> servers, Owned(cluster_id, name));
  const bool listed = instance_id.empty() ||
                      std::any_of(servers.begin(), servers.end(),
                                  [&](const Server& server) { return server.id == instance_id; });
  if (!listed) {
    // A listing may lag, and tags can be taken off.
    SPW_ASSIGN(std::optional<Server> server, compute_.FindServer(instance_id));
    if (server && !IsOwned(*server, cluster_id))
      return Fail(Code::kInvalid,
                  fmt::format("server {} carries neither tag nor metadata of this cluster: it is "
                              "not deleted",
                              server->id));
    if (server) servers.push_back(std::move(*server));
  }
  ports::DeleteProgress progress;
  progress.instance_gone = true;
  for (const Server& server : servers) {
    MarkVolumes(server, cluster_id);
    // Asked again with every pass: a delete that was lost inside the cloud is taken up so.
    SPW_ASSIGN(const bool exists, compute_.Delete(server.id));
    if (!exists) {
      // A 404 to a delete may come from something in between; only Nova's own view ends a meter.
      SPW_ASSIGN(const std::optional<Server> shown, compute_.FindServer(server.id));
      if (!shown) continue;
    }
    effect = effect || exists;
    progress.instance_gone = false;
    for (const std::string& volume : server.volumes)
      progress.left.push_back(SideOf("disk", name, volume));
  }
  progress.accepted = true;
  if (progress.instance_gone) {
    if (!instance_id.empty()) SPW_TRY(DeletePorts(instance_id, name, progress.left, effect));
    SPW_TRY(DeleteVolumes(cluster_id, name, progress.left, effect));
  }
  SPW_TRY(DeleteAddresses(cluster_id, name, progress.left, effect));
  if (progress.Complete()) SPW_TRY(DeleteGroupIfLast(cluster_id));
  return progress;
}

}  // namespace spillway::openstack
