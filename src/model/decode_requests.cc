// Requests of a pod: KEP-753 (sidecars), KEP-1287 (resize in place), KEP-2837 (pod-level
// resources), and the API server's defaults.
#include <algorithm>

#include "model/decode.h"
#include "model/decode_parts.h"

namespace spillway {
namespace {

Resources Larger(const Resources& a, const Resources& b) {
  Resources out{std::max(a.cpu_milli, b.cpu_milli), std::max(a.memory_bytes, b.memory_bytes),
                std::max(a.ephemeral_bytes, b.ephemeral_bytes), std::max(a.gpus, b.gpus),
                a.extended};
  for (const auto& [name, amount] : b.extended) {
    const auto it = std::find_if(out.extended.begin(), out.extended.end(),
                                 [&](const auto& p) { return p.first == name; });
    if (it == out.extended.end())
      out.extended.emplace_back(name, amount);
    else
      it->second = std::max(it->second, amount);
  }
  std::sort(out.extended.begin(), out.extended.end());
  return out;
}

// The entry of `list` for the container of this name.
const json::value* StatusOf(const json::value* status, std::string_view list,
                            const json::value& container) {
  const json::array* entries = status == nullptr ? nullptr : FindArray(*status, list);
  if (entries == nullptr) return nullptr;
  for (const json::value& entry : *entries)
    if (StringOr(entry, "name", "") == StringOr(container, "name", "")) return &entry;
  return nullptr;
}

// limits stand in for missing requests, resource by resource; what a resize in place has given or
// promised counts when it is more.
Result<Resources> ContainerRequests(const json::value& container, const json::value* status) {
  json::object merged;
  if (const json::value* limits = FindPath(container, {"resources", "limits"});
      limits && limits->is_object())
    merged = limits->get_object();
  if (const json::value* requests = FindPath(container, {"resources", "requests"});
      requests && requests->is_object())
    for (const auto& member : requests->get_object()) merged[member.key()] = member.value();
  const json::value list(std::move(merged));
  SPW_ASSIGN(Resources out, DecodeResourceList(&list));
  if (status == nullptr || Find(*status, "resources") == nullptr) return out;
  SPW_ASSIGN(const Resources given,
             DecodeResourceList(FindPath(*status, {"resources", "requests"})));
  SPW_ASSIGN(const Resources promised, DecodeResourceList(Find(*status, "allocatedResources")));
  return Larger(Larger(out, given), promised);
}

// The containers that run together, or the most that is needed while starting them, if that is
// more: an init container runs beside the sidecars before it.
Result<Resources> OfContainers(const json::value& pod_spec, const json::value* status) {
  Resources sum, sidecars, starting;
  if (const json::array* containers = FindArray(pod_spec, "containers"))
    for (const json::value& container : *containers) {
      SPW_ASSIGN(const Resources r,
                 ContainerRequests(container, StatusOf(status, "containerStatuses", container)));
      sum += r;
    }
  if (const json::array* containers = FindArray(pod_spec, "initContainers"))
    for (const json::value& container : *containers) {
      const bool sidecar = StringOr(container, "restartPolicy", "") == "Always";
      SPW_ASSIGN(
          Resources r,
          ContainerRequests(
              container, sidecar ? StatusOf(status, "initContainerStatuses", container) : nullptr));
      if (sidecar) {
        sum += r;
        sidecars += r;
        r = sidecars;
      } else {
        r += sidecars;
      }
      starting = Larger(starting, r);
    }
  return Larger(sum, starting);
}

std::int64_t* Slot(Resources& resources, std::string_view name) {
  if (name == "cpu") return &resources.cpu_milli;
  if (name == "memory") return &resources.memory_bytes;
  if (!name.starts_with("hugepages-")) return nullptr;
  auto& list = resources.extended;
  auto it = std::find_if(list.begin(), list.end(), [&](const auto& p) { return p.first == name; });
  if (it == list.end()) it = list.insert(it, {std::string(name), 0});
  return &it->second;
}

// Even for nothing.
bool SomeContainerAsks(const json::value& pod_spec, std::string_view resource) {
  for (const std::string_view list : {"containers", "initContainers"})
    if (const json::array* containers = FindArray(pod_spec, list))
      for (const json::value& container : *containers)
        for (const std::string_view kind : {"requests", "limits"})
          if (FindPath(container, {"resources", kind, resource}) != nullptr) return true;
  return false;
}

// Requests of the pod as a whole replace those of its containers. Where it has limits, the API
// server fills in the requests that it has not: what its containers ask for in their specification
// (`specified`), or the limit where none of them asks.
Status ApplyPodLevel(const json::value& pod_spec, Resources specified, Resources& total) {
  const json::value* requests = FindPath(pod_spec, {"resources", "requests"});
  const json::value* limits = FindPath(pod_spec, {"resources", "limits"});
  SPW_ASSIGN(Resources asked, DecodeResourceList(requests));
  SPW_ASSIGN(Resources allowed, DecodeResourceList(limits));
  auto in = [](const json::value* list, std::string_view name) {
    return list != nullptr && Find(*list, name) != nullptr;
  };
  const bool limited = limits != nullptr && limits->is_object() && !limits->get_object().empty();
  std::vector<std::string> names = {"cpu", "memory"};
  for (const Resources* list : {&asked, &allowed})
    for (const auto& [name, amount] : list->extended)
      if (name.starts_with("hugepages-")) names.push_back(name);
  for (const std::string& name : names) {
    std::int64_t* slot = Slot(total, name);
    if (in(requests, name))
      *slot = *Slot(asked, name);
    else if (limited && !name.starts_with("hugepages-") && SomeContainerAsks(pod_spec, name))
      *slot = *Slot(specified, name);
    else if (in(limits, name))
      *slot = *Slot(allowed, name);
  }
  std::erase_if(total.extended, [](const auto& pair) { return pair.second == 0; });
  std::sort(total.extended.begin(), total.extended.end());
  return Ok();
}

}  // namespace

Result<Resources> DecodePodRequests(const json::value& pod_spec, const json::value* status) {
  SPW_ASSIGN(Resources total, OfContainers(pod_spec, status));
  if (Find(pod_spec, "resources") != nullptr) {
    SPW_ASSIGN(Resources specified, OfContainers(pod_spec, nullptr));
    SPW_TRY(ApplyPodLevel(pod_spec, std::move(specified), total));
  }
  SPW_ASSIGN(const Resources overhead, DecodeResourceList(Find(pod_spec, "overhead")));
  total += overhead;
  return total;
}

Result<Resources> DecodePodRequests(const json::value& pod_spec) {
  return DecodePodRequests(pod_spec, nullptr);
}

}  // namespace spillway
