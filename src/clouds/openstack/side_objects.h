// What is made for our servers beside them. In Neutron, by Spillway itself: a floating IP for a
// machine, only when the configuration asks for it, and a security group for all machines of a
// cluster that opens nothing inbound. Both carry our marks as description from the request on that
// makes them, so that a crash leaves nothing that is not found again. In Cinder, by Nova: boot
// volumes, which get our marks as metadata when they are first seen, at the latest before the
// server is deleted.
// https://docs.openstack.org/api-ref/network/v2/#floating-ips-floatingips
#pragma once

#include <string>
#include <vector>

#include "clouds/openstack/session.h"

namespace spillway::openstack {

struct FloatingIp {
  std::string id;
  std::string name;     // of the machine that it is for
  std::string port_id;  // empty: it leads nowhere yet
};

// Those of this cluster in the whole project.
Result<std::vector<FloatingIp>> FloatingIps(Session& session, const std::string& cluster_mark);

// Makes that of the machine `name`, or connects the one that is there already, to this port.
Status ConnectFloatingIp(Session& session, const std::string& network_id,
                         const std::string& cluster_mark, const std::string& name,
                         const std::string& port_id);
Status DeleteFloatingIp(Session& session, const std::string& id);  // Ok if there is none

struct Volume {
  std::string id;
  std::string name;   // of the machine that it is for
  bool free = false;  // nothing holds it: it can be deleted
};

Status MarkVolume(Session& session, const std::string& id, const std::string& cluster_mark,
                  const std::string& name);

// The marked ones of this cluster in the whole project.
Result<std::vector<Volume>> MarkedVolumes(Session& session, const std::string& cluster_mark);
Status DeleteVolume(Session& session, const std::string& id);  // Ok if there is none

// Ids of the groups of this cluster: one, unless two processes made it at the same time. kInvalid
// if somebody gave one a rule that lets something in.
Result<std::vector<std::string>> OwnGroups(Session& session, const std::string& cluster_mark);

// The id of the group, which is made if there is none. Egress is what Neutron allows a new group.
Result<std::string> EnsureOwnGroup(Session& session, const std::string& cluster_mark);

// Deletes the groups of the cluster; one that is still in use stays.
Status DeleteOwnGroups(Session& session, const std::string& cluster_mark);

}  // namespace spillway::openstack
