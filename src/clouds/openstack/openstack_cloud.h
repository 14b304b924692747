// OpenStackCloud: the Cloud port for one project and one region of an OpenStack, by its public APIs
// alone: Keystone v3, Nova from microversion 2.26, Neutron, Glance, and Cinder where the root disk
// is a volume. docs/reference/openstack-provider.md says what people write.
//
// Ours is a server whose metadata, and from 2.52 on whose tags, carry the cluster id. Both are set
// by the one request that creates it, so a crash leaves none without. Nova has no unique names and
// no idempotency key: Create looks first, and never asks for one name twice at a time.
//
// With a floating IP a create has two phases: an active server without one shows kStopped, and
// Resume connects it.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "clouds/openstack/clouds_yaml.h"
#include "clouds/openstack/compute.h"
#include "clouds/openstack/offers.h"
#include "clouds/openstack/session.h"
#include "clouds/openstack/side_objects.h"
#include "ports/cloud.h"

namespace spillway::openstack {

struct OpenStackOptions {
  CloudConfig cloud;
  OfferRules offers;
  std::string image;    // name or id
  std::string network;  // name or id, or "auto"
  std::string availability_zone;
  std::vector<std::string> security_groups;
  bool own_group = false;        // one that Spillway makes, in place of security_groups
  std::string floating_network;  // name or id; empty: no floating IPs
  std::int64_t volume_gib = 0;   // more than 0: the root disk is a volume of this size
  std::string volume_type;
};

// The account that a CloudProvider object of type "openstack" describes. `clouds_file` is the
// clouds.yaml that may be used (empty: none). kInvalid names the field; kNotFound: no such
// catalogue entry or no such cloud in the file.
Result<OpenStackOptions> OpenStackOptionsFrom(const json::value& cloud_provider,
                                              const catalog::Catalog& catalog,
                                              const std::filesystem::path& clouds_file);

// Requests over the network, with the CA file and limits of this cloud.
Send SendOver(const CloudConfig& cloud);

// Thread-safe; calls run side by side.
class OpenStackCloud final : public ports::Cloud {
 public:
  // `clock` must outlive the cloud.
  OpenStackCloud(OpenStackOptions options, Send send, const Clock& clock);

  Result<std::vector<Offer>> Offers() override;
  // kDenied, kQuota; kInvalid: what the object names does not exist there.
  Status Preflight() override;
  Result<ports::Instance> Create(const ports::InstanceSpec& spec) override;
  Status Resume(const std::string& instance_id) override;
  Result<ports::Inventory> List(const std::string& cluster_id) override;
  Result<ports::DeleteProgress> Delete(const std::string& instance_id, const std::string& name,
                                       const std::string& cluster_id) override;

 private:
  class NameLock;  // one Create at a time for a name

  Status CheckSpec(const ports::InstanceSpec& spec) const;
  // Ids behind the configuration's names.
  struct Places {
    std::string image_id, network_id;
    Duration good_until{0};  // steady
  };
  // Looked up at most once a minute, by one call for all that wait.
  Result<Places> FindPlaces();
  void ForgetNames();  // of flavors too
  Result<ServerRequest> RequestFor(const ports::InstanceSpec& spec);
  Result<Flavor> FindFlavor(const std::string& name);
  Result<ports::Instance> CreateServer(const ServerRequest& request);
  Status Connect(const Server& server);
  // Those of `name`; empty: of the whole cluster. None where the configuration asks for none.
  Result<std::vector<FloatingIp>> Addresses(const std::string& cluster_id, const std::string& name);
  Status AddAddresses(const std::string& cluster_id, ports::Inventory& inventory);
  // A pass of Delete; `effect` says whether it has changed anything, also when it fails.
  Result<ports::DeleteProgress> DeletePass(const std::string& instance_id, const std::string& name,
                                           const std::string& cluster_id, bool& effect);
  Status DeleteAddresses(const std::string& cluster_id, const std::string& name,
                         std::vector<SideObject>& left, bool& effect);
  // The group of the cluster goes with its last server.
  Status DeleteGroupIfLast(const std::string& cluster_id);
  Result<std::vector<Server>> Owned(const std::string& cluster_id, const std::string& name);
  ports::Instance InstanceOf(const Server& server) const;
  // Nova forgets which volumes a server had together with the server.
  void MarkVolumes(const Server& server, const std::string& cluster_id);
  // Those of our machines; none where there was never a boot volume.
  Result<std::vector<Volume>> Volumes(const std::string& cluster_id);
  Status AddStrayVolumes(const std::string& cluster_id, ports::Inventory& inventory);
  Status DeleteVolumes(const std::string& cluster_id, const std::string& name,
                       std::vector<SideObject>& left, bool& effect);
  // What Nova left of a server that is gone: deletes it, and says it until a pass finds nothing.
  Status DeletePorts(const std::string& server_id, const std::string& name,
                     std::vector<SideObject>& left, bool& effect);

  // The parts of Preflight: what is missing is added as a sentence.
  Status CheckNames(std::vector<std::string>& missing);
  Status CheckOffers(std::vector<std::string>& missing, Assortment& assortment);
  Status CheckQuota(const Assortment& assortment);

  const OpenStackOptions options_;
  const Clock& clock_;
  Session session_;
  Compute compute_;

  std::mutex mutex_;
  std::condition_variable freed_;
  std::mutex places_mutex_;
  Places places_;
  std::mutex group_mutex_;                              // one makes or deletes the group
  std::set<std::string> creating_;                      // names
  std::map<std::string, Flavor, std::less<>> flavors_;  // by name, as last read
  std::set<std::string> marked_;                        // volumes, by this process
  std::vector<std::string> left_out_;                   // as last logged
};

}  // namespace spillway::openstack
