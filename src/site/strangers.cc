#include "site/strangers.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "model/decode.h"
#include "site/objects.h"

namespace spillway::site {
namespace {

bool Matches(const PodSelector& selector, const store::StoredObject& pod) {
  if (selector.nothing) return false;
  if (!selector.all_namespaces && !std::ranges::binary_search(selector.namespaces, pod.key.ns))
    return false;
  return spillway::Matches(selector, pod.key.ns,
                           DecodeLabels(FindPath(pod.body, {"metadata", "labels"})));
}

// Whether it may have rules that name other pods (see DecodePods).
bool HasRules(const store::ObjectPtr& pod) {
  const json::value& spec = SpecOf(pod->body);
  return FindPath(spec, {"affinity", "podAffinity"}) != nullptr ||
         FindPath(spec, {"affinity", "podAntiAffinity"}) != nullptr ||
         Find(spec, "topologySpreadConstraints") != nullptr;
}

}  // namespace

Strangers::Strangers(const store::Store& store, const std::vector<BurstNode>& burst_nodes,
                     const std::vector<Policy>& policies,
                     const std::vector<store::ObjectPtr>& promised) {
  store.Look<PodIndex>(
      [&](const PodIndex& index) { Read(index, burst_nodes, policies, promised); });
}

void Strangers::Read(const PodIndex& index, const std::vector<BurstNode>& burst_nodes,
                     const std::vector<Policy>& policies,
                     const std::vector<store::ObjectPtr>& promised) {
  std::set<store::ObjectPtr> none;  // plain pods that are no strangers
  for (const BurstNode& node : burst_nodes)
    if (const auto room = index.rooms().find(node.name); room != index.rooms().end())
      for (const store::ObjectPtr& pod : room->second.pods)
        if (IsPlain(*pod)) none.insert(pod);
  for (const Policy& policy : policies)
    for (const std::string& ns : policy.namespaces)
      if (const auto space = index.spaces().find(ns); space != index.spaces().end())
        none.insert(space->second.passing.begin(), space->second.passing.end());
  for (const store::ObjectPtr& pod : index.others())
    if (!Finished(pod->body)) others_.push_back(pod);
  others_.insert(others_.end(), none.begin(), none.end());
  std::ranges::sort(others_, PodIndex::ByKey());

  rooms_.reserve(index.rooms().size());
  for (const auto& [node, room] : index.rooms())
    if (room.plain > 0) rooms_.push_back({node, room.taken, room.plain});
  for (const auto& [ns, space] : index.spaces()) spaces_.push_back({ns, space.gpus, space.plain});
  for (const store::ObjectPtr& pod : none) IsNone(*pod);

  if (std::ranges::any_of(others_, HasRules) || std::ranges::any_of(promised, HasRules))
    for (const auto& [node, room] : index.rooms())
      for (const store::ObjectPtr& pod : room.pods)
        if (IsPlain(*pod) && !none.contains(pod)) strangers_.push_back(pod);
}

void Strangers::IsNone(const store::StoredObject& pod) {
  const Resources& requests = RequestsOfPlain(pod);
  const auto room = std::ranges::lower_bound(rooms_, NodeOf(pod.body), {}, &Room::node);
  room->taken -= requests;
  --room->pods;
  const auto space = std::ranges::lower_bound(spaces_, pod.key.ns, {}, &Space::ns);
  space->gpus -= requests.gpus;
  --space->pods;
}

std::vector<store::ObjectPtr> Strangers::NamedBy(const std::vector<PodGroup>& groups) {
  std::vector<store::ObjectPtr> named;
  if (groups.empty()) return named;
  std::erase_if(strangers_, [&](const store::ObjectPtr& pod) {
    const bool is = std::ranges::any_of(groups, [&](const PodGroup& group) {
      return std::ranges::all_of(group, [&](const PodSelector& one) { return Matches(one, *pod); });
    });
    if (is) named.push_back(pod);
    return is;
  });
  for (const store::ObjectPtr& pod : named) IsNone(*pod);
  return named;
}

void Strangers::AddTo(Snapshot& snapshot) const {
  for (const Space& space : spaces_)
    for (QuotaState& quota : snapshot.quotas)
      if (quota.ns == space.ns) {
        quota.gpus_used += space.gpus;
        quota.pods_used += space.pods;
      }
  auto node = snapshot.nodes.begin();
  for (const Room& room : rooms_) {
    while (node != snapshot.nodes.end() && node->name < room.node) ++node;
    if (node == snapshot.nodes.end()) return;
    if (node->name != room.node) continue;
    node->taken += room.taken;
    node->taken_pods += room.pods;
  }
}

}  // namespace spillway::site
