// What marks a thing in the cloud as ours: the cluster that it belongs to and the machine that it
// is for. A server has both as metadata and as tags, what lies beside it as description, each set
// by the one request that makes it.
#pragma once

#include <string>
#include <string_view>

namespace spillway::openstack {

inline constexpr std::string_view kClusterKey = "spillway-cluster", kNodeKey = "spillway-node";

// A cluster id as tag, metadata and description can hold it: tags have at most 60 characters, and
// none of "/,".
std::string ClusterMark(const std::string& cluster_id);

std::string ClusterTag(const std::string& cluster_id);
std::string NodeTag(const std::string& name);

// The description of what belongs to the machine `name`; empty: to the whole cluster. It begins
// with that of the whole cluster and a space.
std::string Description(const std::string& cluster_mark, const std::string& name);

// The name in a description of this cluster; empty: it is none, or of no machine.
std::string NameIn(std::string_view description, const std::string& cluster_mark);

}  // namespace spillway::openstack
