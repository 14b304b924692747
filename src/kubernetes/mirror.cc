#include "kubernetes/mirror.h"

namespace spillway::kubernetes {
namespace {

void Keep(json::object& object, std::initializer_list<std::string_view> keys) {
  json::object kept;
  for (const std::string_view key : keys)
    if (json::value* value = object.if_contains(key)) kept[key] = std::move(*value);
  object = std::move(kept);
}

void DropHeartbeats(json::object& status) {
  json::value* conditions = status.if_contains("conditions");
  if (conditions == nullptr || !conditions->is_array()) return;
  for (json::value& condition : conditions->get_array())
    if (condition.is_object()) condition.get_object().erase("lastHeartbeatTime");
}

void TrimStatus(std::string_view kind, json::object& status) {
  if (kind == "Pod")
    Keep(status, {"phase", "reason", "conditions", "containerStatuses", "initContainerStatuses",
                  "nominatedNodeName"});
  if (kind == "Node") Keep(status, {"capacity", "allocatable", "conditions", "addresses"});
}

// "2026-11-24T08:00:00Z" and with fractions; everything else stays as it is.
void ConvertTimes(json::value& value, const std::function<Time(Time)>& from_real) {
  if (json::string* text = value.if_string()) {
    if (text->size() < 20 || text->size() > 30 || (*text)[10] != 'T') return;
    if (const auto time = ParseTime(View(*text))) *text = FormatTime(from_real(*time));
  } else if (json::array* array = value.if_array()) {
    for (json::value& item : *array) ConvertTimes(item, from_real);
  } else if (json::object* object = value.if_object()) {
    for (auto& member : *object) ConvertTimes(member.value(), from_real);
  }
}

}  // namespace

json::value Trimmed(json::value object, const std::function<Time(Time)>& from_real) {
  json::object& root = object.get_object();
  const std::string kind(StringOr(object, "kind", ""));
  if (json::value* metadata = root.if_contains("metadata"); metadata && metadata->is_object()) {
    metadata->get_object().erase("managedFields");
    // A heartbeat alone changes nothing that anybody looks at.
    metadata->get_object().erase("resourceVersion");
    for (const char* moment : {"creationTimestamp", "deletionTimestamp"})
      if (json::value* time = metadata->get_object().if_contains(moment))
        ConvertTimes(*time, from_real);
    if (json::value* annotations = metadata->get_object().if_contains("annotations");
        annotations && annotations->is_object())
      annotations->get_object().erase("kubectl.kubernetes.io/last-applied-configuration");
  }
  if (json::value* status = root.if_contains("status"); status && status->is_object()) {
    TrimStatus(kind, status->get_object());
    DropHeartbeats(status->get_object());
    // Our own kinds' status was written by our clock.
    if (!StringOr(object, "apiVersion", "").starts_with("spillway.dev/"))
      ConvertTimes(*status, from_real);
  }
  return object;
}

std::string MetadataText(const json::value& object, std::string_view key) {
  const json::value* metadata = Find(object, "metadata");
  return metadata == nullptr ? "" : std::string(StringOr(*metadata, key, ""));
}

store::ObjectKey KeyOf(const Resource& resource, const json::value& object) {
  return {StoreKind(resource), resource.namespaced ? MetadataText(object, "namespace") : "",
          MetadataText(object, "name")};
}

}  // namespace spillway::kubernetes
