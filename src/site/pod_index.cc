#include "site/pod_index.h"

#include <algorithm>

#include "model/decode.h"
#include "site/groups.h"
#include "site/objects.h"
#include "site/promises.h"

namespace spillway::site {
namespace {

// What a pod's object alone says.
struct Facts final : store::Memo::Answer {
  bool plain = false;
  bool kept = false;  // its owner makes it anew when it ends
  Resources requests;
};

bool HasClaims(const json::value& spec) {
  const json::array* volumes = FindArray(spec, "volumes");
  return volumes != nullptr && std::ranges::any_of(*volumes, [](const json::value& volume) {
           return Find(volume, "persistentVolumeClaim") != nullptr ||
                  Find(volume, "ephemeral") != nullptr || Find(volume, "csi") != nullptr;
         });
}

bool HasHostPorts(const json::value& spec) {
  if (BoolOr(spec, "hostNetwork", false)) return true;
  for (const std::string_view list : {"containers", "initContainers"})
    if (const json::array* containers = FindArray(spec, list))
      for (const json::value& container : *containers)
        if (const json::array* ports = FindArray(container, "ports"))
          if (std::ranges::any_of(*ports,
                                  [](const json::value& p) { return IntOr(p, "hostPort", 0) > 0; }))
            return true;
  return false;
}

bool IsKeeper(std::string_view kind) {
  return kind == "ReplicaSet" || kind == "DaemonSet" || kind == "StatefulSet" ||
         kind == "ReplicationController" || kind == "Node";
}

const json::array* OwnersOf(const json::value& pod) {
  const json::value* metadata = Find(pod, "metadata");
  return metadata == nullptr ? nullptr : FindArray(*metadata, "ownerReferences");
}

bool IsKept(const json::value& pod) {
  const json::array* owners = OwnersOf(pod);
  return owners != nullptr && std::ranges::any_of(*owners, [](const json::value& owner) {
           return IsKeeper(StringOr(owner, "kind", ""));
         });
}

// One with a limit in time makes room some day.
std::unique_ptr<Facts> FactsOf(const json::value& pod) {
  auto facts = std::make_unique<Facts>();
  const json::value& spec = SpecOf(pod);
  if (NodeOf(pod).empty() || Finished(pod) || IsOfInterest(pod)) return facts;
  if (Find(spec, "activeDeadlineSeconds") != nullptr || Find(spec, "resourceClaims") != nullptr)
    return facts;
  if (FindPath(spec, {"affinity", "podAntiAffinity",
                      "requiredDuringSchedulingIgnoredDuringExecution"}) != nullptr)
    return facts;
  if (HasClaims(spec) || HasHostPorts(spec)) return facts;
  // What a resize in place has given it so far, if its status is there, is in it.
  if (const json::value* status = Find(pod, "status");
      status != nullptr && Find(*status, "containerStatuses") != nullptr)
    return facts;
  Result<Resources> requests = DecodePodRequests(spec);
  if (!requests) return facts;
  facts->requests = std::move(*requests);
  facts->kept = IsKept(pod);
  facts->plain = true;
  return facts;
}

const Facts& FactsOf(const store::StoredObject& pod) {
  return pod.memo.Get<Facts>([&] { return FactsOf(pod.body); });
}

void Take(std::vector<store::ObjectPtr>& from, const store::ObjectPtr& pod) {
  const auto it = std::ranges::find(from, pod);
  if (it == from.end()) return;
  *it = std::move(from.back());
  from.pop_back();
}

}  // namespace

bool IsOfInterest(const json::value& pod) {
  if (const json::array* owners = OwnersOf(pod))
    if (std::ranges::any_of(*owners, [](const json::value& owner) {
          return !IsKeeper(StringOr(owner, "kind", ""));
        }))
      return true;
  if (Find(SpecOf(pod), "schedulingGroup") != nullptr || !LabelOf(pod, kPodGroupLabel).empty() ||
      !RequestOf(pod).empty())
    return true;
  const json::value* annotations = FindPath(pod, {"metadata", "annotations"});
  return annotations != nullptr && annotations->is_object() &&
         std::ranges::any_of(annotations->get_object(), [](const auto& member) {
           return std::string_view(member.key()).starts_with("spillway.dev/");
         });
}

bool IsPlain(const store::StoredObject& pod) {
  return FactsOf(pod).plain;
}

const Resources& RequestsOfPlain(const store::StoredObject& pod) {
  return FactsOf(pod).requests;
}

void PodIndex::Add(const store::ObjectPtr& pod) {
  const Facts& facts = FactsOf(*pod);
  const std::string_view node = NodeOf(pod->body);
  if (!node.empty()) {
    Room& room = rooms_[std::string(node)];
    room.pods.push_back(pod);
    room.plain += facts.plain;
    room.taken += facts.requests;
  }
  if (facts.plain) {
    Space& space = spaces_[pod->key.ns];
    space.gpus += facts.requests.gpus;
    ++space.plain;
    if (!facts.kept) space.passing.push_back(pod);
  } else if (node.empty() || !Finished(pod->body)) {
    others_.insert(pod);
  }
}

void PodIndex::Remove(const store::ObjectPtr& pod) {
  const Facts& facts = FactsOf(*pod);
  others_.erase(pod);
  if (const auto room = rooms_.find(NodeOf(pod->body)); room != rooms_.end()) {
    Take(room->second.pods, pod);
    room->second.plain -= facts.plain;
    room->second.taken -= facts.requests;
    if (room->second.pods.empty()) rooms_.erase(room);
  }
  if (const auto space = spaces_.find(pod->key.ns); facts.plain && space != spaces_.end()) {
    space->second.gpus -= facts.requests.gpus;
    if (!facts.kept) Take(space->second.passing, pod);
    if (--space->second.plain == 0) spaces_.erase(space);
  }
}

}  // namespace spillway::site
