#include "clouds/openstack/marks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"

namespace spillway::openstack {

std::string ClusterMark(const std::string& cluster_id) {
  constexpr std::size_t kLongest = 40;
  const bool plain = !cluster_id.empty() && cluster_id.size() <= kLongest &&
                     std::all_of(cluster_id.begin(), cluster_id.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
                     });
  return plain ? cluster_id : Sha256Hex(cluster_id).substr(0, kLongest);
}

std::string ClusterTag(const std::string& cluster_id) {
  return fmt::format("{}-{}", kClusterKey, ClusterMark(cluster_id));
}

std::string NodeTag(const std::string& name) {
  return fmt::format("{}-{}", kNodeKey, name);
}

std::string Description(const std::string& cluster_mark, const std::string& name) {
  std::string text = fmt::format("{}={}", kClusterKey, cluster_mark);
  if (!name.empty()) text += fmt::format(" {}={}", kNodeKey, name);
  return text;
}

std::string NameIn(std::string_view description, const std::string& cluster_mark) {
  const std::string start = fmt::format("{} {}=", Description(cluster_mark, ""), kNodeKey);
  return std::string(description.starts_with(start) ? description.substr(start.size()) : "");
}

}  // namespace spillway::openstack
