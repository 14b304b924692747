#include "kube/resource.h"

#include "net/http_message.h"

namespace spillway::kube {

ObjectName NameOf(const json::object& object) {
  const json::object* metadata = FindObject(object, "metadata");
  if (metadata == nullptr) return {};
  return {std::string(StringOr(*metadata, "namespace", "")),
          std::string(StringOr(*metadata, "name", ""))};
}

std::string KeyOf(const ObjectName& name) {
  return name.name_space.empty() ? name.name : name.name_space + "/" + name.name;
}

std::string KeyOf(const json::object& object) {
  return KeyOf(NameOf(object));
}

std::string CollectionPath(const Resource& resource, std::string_view name_space) {
  std::string path = resource.group.empty() ? "/api/" : "/apis/" + resource.group + "/";
  path += resource.version;
  if (!name_space.empty()) {
    SPW_CHECK(resource.namespaced, resource.plural);
    path += "/namespaces/" + net::PercentEncode(name_space);
  }
  return path + "/" + resource.plural;
}

std::string ObjectPath(const Resource& resource, const ObjectName& name,
                       std::string_view subresource) {
  SPW_CHECK(resource.namespaced != name.name_space.empty(), resource.plural);
  SPW_CHECK(!name.name.empty(), resource.plural);
  std::string path =
      CollectionPath(resource, name.name_space) + "/" + net::PercentEncode(name.name);
  if (!subresource.empty()) path += "/" + std::string(subresource);
  return path;
}

std::string Query(const std::vector<std::pair<std::string_view, std::string>>& fields) {
  std::string query;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    query += query.empty() ? '?' : '&';
    query += std::string(name) + "=" + net::PercentEncode(value);
  }
  return query;
}

}  // namespace spillway::kube
