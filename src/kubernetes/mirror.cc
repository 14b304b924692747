#include "kubernetes/mirror.h"

#include <algorithm>

#include "model/scheduling.h"
#include "site/pod_index.h"

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
                  "nominatedNodeName", "startTime"});
  if (kind == "Node") Keep(status, {"capacity", "allocatable", "conditions", "addresses"});
}

// Whether a container has been given something else than its spec asks for: resized in place.
bool Resized(const json::value& pod) {
  const json::value* status = Find(pod, "status");
  const json::array* statuses =
      status == nullptr ? nullptr : FindArray(*status, "containerStatuses");
  const json::array* containers = FindArray(*Find(pod, "spec"), "containers");
  if (statuses == nullptr || containers == nullptr) return false;
  return std::ranges::any_of(*statuses, [&](const json::value& one) {
    const json::value* given = Find(one, "allocatedResources");
    return given != nullptr && std::ranges::any_of(*containers, [&](const json::value& container) {
             const json::value* asked = FindPath(container, {"resources", "requests"});
             return StringOr(container, "name", "") == StringOr(one, "name", "-") &&
                    (asked == nullptr || *asked != *given);
           });
  });
}

// Whether the pod runs on a node that nobody rented for it, and nothing more is decided about it.
bool RunsElsewhere(const json::value& pod) {
  const json::value* spec = Find(pod, "spec");
  if (spec == nullptr) return false;
  const std::string_view node = StringOr(*spec, "nodeName", "");
  if (node.empty() || site::IsOfInterest(pod) || Resized(pod)) return false;
  const json::array* tolerations = FindArray(*spec, "tolerations");
  return tolerations == nullptr ||
         std::none_of(tolerations->begin(), tolerations->end(), [&](const json::value& t) {
           return StringOr(t, "key", "") == kBurstTaint && StringOr(t, "value", "") == node;
         });
}

void TrimContainers(json::object& spec, std::string_view list) {
  json::value* containers = spec.if_contains(list);
  if (containers == nullptr || !containers->is_array()) return;
  for (json::value& container : containers->get_array()) {
    if (!container.is_object()) continue;
    Keep(container.get_object(), {"name", "resources", "restartPolicy", "ports"});
    json::value* resources = container.get_object().if_contains("resources");
    if (resources == nullptr || !resources->is_object()) continue;
    // The API server has filled in the requests that follow from limits.
    if (resources->get_object().contains("requests")) Keep(resources->get_object(), {"requests"});
    if (resources->get_object().empty()) container.get_object().erase("resources");
  }
}

// A pod that runs takes room, and rules name it by its labels. What it runs and how it was chosen
// for its node nobody asks any more. Large clusters have very many of these.
void TrimRunning(json::object& pod) {
  if (json::value* metadata = pod.if_contains("metadata"); metadata && metadata->is_object()) {
    json::object& all = metadata->get_object();
    Keep(all, {"name", "namespace", "uid", "labels", "deletionTimestamp", "ownerReferences"});
    if (json::value* owners = all.if_contains("ownerReferences"); owners && owners->is_array())
      for (json::value& owner : owners->get_array())
        if (owner.is_object()) Keep(owner.get_object(), {"kind", "name"});
  }
  if (json::value* status = pod.if_contains("status"); status && status->is_object())
    Keep(status->get_object(), {"phase"});
  json::value* spec = pod.if_contains("spec");
  if (spec == nullptr || !spec->is_object()) return;
  json::object& all = spec->get_object();
  Keep(all, {"nodeName", "containers", "initContainers", "overhead", "resources", "priority",
             "activeDeadlineSeconds", "affinity", "volumes", "hostNetwork", "resourceClaims"});
  TrimContainers(all, "containers");
  TrimContainers(all, "initContainers");
  json::value* volumes = all.if_contains("volumes");
  if (volumes == nullptr || !volumes->is_array()) return;
  json::array claims;
  for (json::value& volume : volumes->get_array())
    if (Find(volume, "persistentVolumeClaim") != nullptr || Find(volume, "ephemeral") != nullptr ||
        Find(volume, "csi") != nullptr)
      claims.push_back(std::move(volume));
  if (claims.empty())
    all.erase("volumes");
  else
    *volumes = std::move(claims);
}

// Of the site's own nodes, what decides where pods fit, and the addresses, which no other node may
// claim.
void TrimSiteNode(json::object& node) {
  if (json::value* metadata = node.if_contains("metadata"); metadata && metadata->is_object())
    Keep(metadata->get_object(), {"name", "uid", "labels", "deletionTimestamp"});
  json::value* status = node.if_contains("status");
  if (status == nullptr || !status->is_object()) return;
  json::object& all = status->get_object();
  if (all.contains("allocatable")) Keep(all, {"allocatable", "conditions", "addresses"});
  if (json::value* conditions = all.if_contains("conditions"); conditions && conditions->is_array())
    for (json::value& condition : conditions->get_array())
      if (condition.is_object()) Keep(condition.get_object(), {"type", "status"});
}

bool IsRented(const json::value& node) {
  if (const json::value* labels = FindPath(node, {"metadata", "labels"}))
    if (Find(*labels, kBurstTaint) != nullptr) return true;
  const json::value* spec = Find(node, "spec");
  const json::array* taints = spec == nullptr ? nullptr : FindArray(*spec, "taints");
  return taints != nullptr && std::ranges::any_of(*taints, [](const json::value& taint) {
           return StringOr(taint, "key", "").starts_with("spillway.dev/");
         });
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
  if (kind == "Pod" && RunsElsewhere(object)) TrimRunning(root);
  if (kind == "Node" && !IsRented(object)) TrimSiteNode(root);
  // A copy takes no more memory than it needs.
  return json::value(static_cast<const json::value&>(object));
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
