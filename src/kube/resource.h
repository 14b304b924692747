// Kinds of objects and their addresses.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "kube/object.h"

namespace spillway::kube {

struct Resource {
  std::string group;    // empty: the core group
  std::string version;  // "v1"
  std::string plural;   // "pods"
  bool namespaced = true;

  std::string ApiVersion() const { return group.empty() ? version : group + "/" + version; }
  bool operator==(const Resource&) const = default;
};

// Where one object is; `name_space` is empty for a cluster-scoped one.
struct ObjectName {
  std::string name_space;
  std::string name;

  bool operator==(const ObjectName&) const = default;
};

// The name in an object's metadata.
ObjectName NameOf(const json::object& object);
// "namespace/name", or "name" for a cluster-scoped object: the key of informers.
std::string KeyOf(const json::object& object);
std::string KeyOf(const ObjectName& name);

// "/api/v1/namespaces/a/pods"; an empty name space means all of them.
std::string CollectionPath(const Resource& resource, std::string_view name_space);
// "/apis/batch/v1/namespaces/a/jobs/b/status". A namespaced resource without a name space, or the
// other way round, is a bug of the caller.
std::string ObjectPath(const Resource& resource, const ObjectName& name,
                       std::string_view subresource = "");

// "?a=1&b=x%3Dy", empty for no fields; fields with an empty value are left out.
std::string Query(const std::vector<std::pair<std::string_view, std::string>>& fields);

}  // namespace spillway::kube
