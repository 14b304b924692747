#include "site/strangers.h"

#include <algorithm>
#include <unordered_map>

#include "model/decode.h"
#include "site/groups.h"
#include "site/objects.h"
#include "site/promises.h"

namespace spillway::site {
namespace {

// What a pod's object alone says.
struct Facts final : store::Memo::Answer {
  bool plain = false;  // it takes room where it is bound, and nothing else
  bool kept = false;   // its owner makes it anew when it ends
  bool finished = false;
  Resources requests;
  HashedName node;  // of the object
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
  facts->node = HashedName::Of(NodeOf(pod));
  facts->finished = Finished(pod);
  if (facts->node.text.empty() || IsOfInterest(pod)) return facts;
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

bool Matches(const PodSelector& selector, const store::StoredObject& pod) {
  if (selector.nothing) return false;
  if (!selector.all_namespaces && !std::ranges::binary_search(selector.namespaces, pod.key.ns))
    return false;
  return spillway::Matches(selector, pod.key.ns,
                           DecodeLabels(FindPath(pod.body, {"metadata", "labels"})));
}

}  // namespace

Strangers::Strangers(const std::vector<BurstNode>& burst_nodes,
                     const std::vector<Policy>& policies) {
  for (const BurstNode& node : burst_nodes) rented_.insert(HashedName::Of(node.name));
  for (const Policy& policy : policies)
    namespaces_.insert(namespaces_.end(), policy.namespaces.begin(), policy.namespaces.end());
  std::sort(namespaces_.begin(), namespaces_.end());
}

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

HashedName BoundTo(const store::StoredObject& pod) {
  return FactsOf(pod).node;
}

bool Strangers::Take(const store::ObjectPtr& pod) {
  const Facts& facts = FactsOf(*pod);
  if (facts.finished) return true;
  if (!facts.plain || rented_.contains(facts.node)) return false;
  if (!facts.kept) {
    const std::string_view ns = pod->key.ns;
    if (last_ns_.first != ns) last_ns_ = {ns, std::ranges::binary_search(namespaces_, ns)};
    if (last_ns_.second) return false;
  }
  pods_.push_back(pod);
  return true;
}

std::vector<store::ObjectPtr> Strangers::NamedBy(const std::vector<PodGroup>& groups) {
  std::vector<store::ObjectPtr> named;
  if (groups.empty()) return named;
  std::erase_if(pods_, [&](const store::ObjectPtr& pod) {
    const bool is = std::ranges::any_of(groups, [&](const PodGroup& group) {
      return std::ranges::all_of(group, [&](const PodSelector& one) { return Matches(one, *pod); });
    });
    if (is) named.push_back(pod);
    return is;
  });
  return named;
}

void Strangers::AddTo(Snapshot& snapshot) const {
  std::unordered_map<HashedName, Node*, HashedName::Hash> nodes;
  for (Node& node : snapshot.nodes) nodes.emplace(HashedName::Of(node.name), &node);
  std::string_view ns;
  std::vector<QuotaState*> quotas;  // of it
  for (const store::ObjectPtr& pod : pods_) {
    const Facts& facts = FactsOf(*pod);
    if (pod->key.ns != ns) {
      ns = pod->key.ns;
      quotas.clear();
      for (QuotaState& quota : snapshot.quotas)
        if (quota.ns == ns) quotas.push_back(&quota);
    }
    for (QuotaState* quota : quotas) {
      quota->gpus_used += facts.requests.gpus;
      quota->pods_used += 1;
    }
    const auto node = nodes.find(facts.node);
    if (node == nodes.end()) continue;
    node->second->taken += facts.requests;
    ++node->second->taken_pods;
  }
}

}  // namespace spillway::site
