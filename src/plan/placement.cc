#include "plan/placement.h"

#include <algorithm>
#include <set>

namespace spillway::plan {
namespace {

constexpr std::uint8_t kNotAsked = 0, kNo = 1, kYes = 2;

std::int32_t& Slot(std::vector<std::int32_t>& by_domain, std::int32_t domain) {
  const auto at = static_cast<std::size_t>(domain);
  if (at >= by_domain.size()) by_domain.resize(at + 1);
  return by_domain[at];
}

std::int32_t ValueAt(const std::vector<std::int32_t>& by_domain, std::int32_t domain) {
  const auto at = static_cast<std::size_t>(domain);
  return domain >= 0 && at < by_domain.size() ? by_domain[at] : 0;
}

}  // namespace

Placement::Placement(const Snapshot& snapshot) : snapshot_(&snapshot) {
  pairs_of_group_.resize(snapshot.groups.size());
  ResolveShapes();
  class_of_ = NodeDemands(snapshot.shapes);
  const auto classes =
      class_of_.empty() ? 0 : *std::max_element(class_of_.begin(), class_of_.end());
  for (auto& ever : ever_) ever.resize(static_cast<std::size_t>(classes) + 1);
  for (auto& spreads : spreads_of_) spreads.resize(snapshot.shapes.size());
  for (const Node& node : snapshot.nodes) Enter({.node = &node});
  for (const Pod& pod : snapshot.pods) {
    const std::string& place = pod.node.empty() ? pod.nominated : pod.node;
    if (const std::int32_t node = place.empty() ? -1 : Find(place); node >= 0)
      Put(pod.shape, node, !pod.deleting);
  }
}

std::int32_t Placement::Find(std::string_view name) const {
  const auto it = node_by_name_.find(name);
  return it == node_by_name_.end() ? -1 : it->second;
}

std::int32_t Placement::KeyIndex(const std::string& key) {
  const auto [it, fresh] = key_index_.try_emplace(key, static_cast<std::int32_t>(keys_.size()));
  if (fresh) {
    keys_.push_back(key);
    values_.emplace_back();
  }
  return it->second;
}

std::int32_t Placement::PairIndex(std::int32_t group, const std::string& key) {
  const std::int32_t key_index = KeyIndex(key);
  const auto [it, fresh] =
      pair_index_.try_emplace({group, key_index}, static_cast<std::int32_t>(pairs_.size()));
  if (fresh) {
    pairs_.push_back({.group = group, .key = key_index});
    pairs_of_group_[static_cast<std::size_t>(group)].push_back(it->second);
  }
  return it->second;
}

void Placement::ResolveShapes() {
  std::set<std::int32_t> kept_off;  // groups that some shape's anti-affinity names
  for (const PodShape& shape : snapshot_->shapes) {
    ShapeInfo& info = shapes_.emplace_back();
    for (const std::string& key : shape.affinity_keys)
      info.affinity.push_back(PairIndex(shape.affinity_group, key));
    for (const PodRule& rule : shape.anti_affinity) {
      info.anti.push_back(PairIndex(rule.group, rule.key));
      kept_off.insert(rule.group);
    }
    for (const SpreadRule& rule : shape.spread) info.spread_keys.push_back(KeyIndex(rule.key));
  }
  std::set<std::string_view> limited;  // drivers
  for (const Node& node : snapshot_->nodes)
    for (const auto& [driver, limit] : node.volume_limits) limited.insert(driver);
  for (std::size_t i = 0; i < shapes_.size(); ++i) {
    const PodShape& shape = snapshot_->shapes[i];
    ShapeInfo& info = shapes_[i];
    for (const std::int32_t group : shape.groups) {
      const auto& pairs = pairs_of_group_[static_cast<std::size_t>(group)];
      info.met.insert(info.met.end(), pairs.begin(), pairs.end());
      info.meets_anti |= kept_off.contains(group);
    }
    info.related = shape.HasPodRules() || info.meets_anti || !shape.host_ports.empty() ||
                   !shape.exclusive_claims.empty();
    info.simple = !info.related &&
                  std::none_of(shape.attached.begin(), shape.attached.end(),
                               [&](const AttachedVolume& v) { return limited.contains(v.driver); });
  }
}

void Placement::Enter(NodeState state) {
  const Node& node = *state.node;
  for (std::size_t key = 0; key < keys_.size(); ++key) {
    const auto it = node.labels.find(keys_[key]);
    state.domains.push_back(
        it == node.labels.end()
            ? -1
            : values_[key]
                  .try_emplace(it->second, static_cast<std::int32_t>(values_[key].size()))
                  .first->second);
  }
  node_by_name_.emplace(node.name, size());
  free_.push_back(node.allocatable);
  free_.back() -= node.taken;
  state.pods += node.taken_pods;
  for (const Entry entry : {Entry::kAsItIs, Entry::kAdmitted}) {
    const auto by_entry = static_cast<std::size_t>(entry);
    for (auto& ever : ever_[by_entry])
      if (!ever.empty()) ever.push_back(kNotAsked);
    for (SharedSpread& spread : spreads_[by_entry]) {
      const PodShape& wants = Shape(spread.shape);
      spread.count.AddNode(state.domains[static_cast<std::size_t>(spread.count.key())],
                           SpreadCounts(wants, wants.spread[spread.rule], node, entry));
    }
  }
  nodes_.push_back(std::move(state));
  ++version_;
}

std::int32_t Placement::AddNode(Node node) {
  auto owned = std::make_shared<const Node>(std::move(node));
  const Node* plain = owned.get();
  Enter({.owned = std::move(owned), .node = plain});
  return size() - 1;
}

void Placement::DropLastNode() {
  const NodeState& state = nodes_.back();
  for (std::size_t by_entry = 0; by_entry < 2; ++by_entry) {
    for (auto& ever : ever_[by_entry])
      if (!ever.empty()) ever.pop_back();
    for (SharedSpread& spread : spreads_[by_entry])
      spread.count.DropLastNode(state.domains[static_cast<std::size_t>(spread.count.key())]);
  }
  if (const auto it = node_by_name_.find(state.node->name);
      it != node_by_name_.end() && it->second == size() - 1)
    node_by_name_.erase(it);
  nodes_.pop_back();
  free_.pop_back();
  ++version_;
}

void Placement::Exchange(std::int32_t node, Node by) {
  const auto at = static_cast<std::size_t>(node);
  NodeState& state = nodes_[at];
  SPW_CHECK(state.owned != nullptr, "only nodes that are not there yet are exchanged");
  free_[at] -= state.node->allocatable;
  free_[at] += by.allocatable;
  by.name = state.node->name;
  state.owned = std::make_shared<const Node>(std::move(by));
  state.node = state.owned.get();
  for (auto& by_entry : ever_)
    for (auto& ever : by_entry)
      if (!ever.empty()) ever[at] = kNotAsked;
  ++version_;
}

std::vector<std::string> Placement::Domains(const Node& node) const {
  std::vector<std::string> domains;
  for (const std::string& key : keys_) {
    if (key == kHostnameLabel) continue;
    const auto it = node.labels.find(key);
    domains.push_back(it == node.labels.end() ? "-" : "=" + it->second);
  }
  return domains;
}

Placement::SpreadView Placement::ViewSpread(std::int32_t shape, std::size_t rule, std::int32_t node,
                                            Entry entry) const {
  SpreadView view;
  const auto shared = static_cast<std::size_t>(SpreadIndex(shape, rule, entry));
  const SpreadCount& count = spreads_[static_cast<std::size_t>(entry)][shared].count;
  view.domain = At(node).domains[static_cast<std::size_t>(count.key())];
  if (view.domain >= 0) view.pods = count.In(view.domain);
  view.fewest = count.Fewest(Shape(shape).spread[rule].min_domains);
  return view;
}

bool Placement::MayEver(std::int32_t shape, std::int32_t node, Entry entry) const {
  const std::int32_t of_class = class_of_[static_cast<std::size_t>(shape)];
  std::vector<std::uint8_t>& kept =
      ever_[static_cast<std::size_t>(entry)][static_cast<std::size_t>(of_class)];
  if (kept.empty()) kept.resize(nodes_.size());
  std::uint8_t& answer = kept[static_cast<std::size_t>(node)];
  if (answer == kNotAsked)
    answer = WhyNeverOn(Shape(shape), *At(node).node, entry).empty() ? kYes : kNo;
  return answer == kYes;
}

Obstruction Placement::Check(std::int32_t shape, std::int32_t node, Entry entry) const {
  if (!free(node).Covers(Shape(shape).requests)) return Obstruction::kResources;
  if (At(node).pods >= At(node).node->max_pods) return Obstruction::kPods;
  if (!MayEver(shape, node, entry)) return Obstruction::kNever;
  return Info(shape).simple ? Obstruction::kNothing : CheckPods(shape, node, entry);
}

Obstruction Placement::CheckPods(std::int32_t shape, std::int32_t node, Entry entry) const {
  const PodShape& wants = Shape(shape);
  const ShapeInfo& info = Info(shape);
  const NodeState& state = At(node);
  for (const HostPort& port : wants.host_ports)
    if (std::any_of(state.ports.begin(), state.ports.end(),
                    [&](const HostPort& used) { return Conflicts(port, used); }))
      return Obstruction::kPorts;
  if (!wants.attached.empty() && TooManyVolumes(wants, state)) return Obstruction::kVolumeCount;
  for (const std::string& claim : wants.exclusive_claims)
    if (claims_in_use_.contains(claim)) return Obstruction::kExclusiveClaim;
  auto domain = [&](std::int32_t pair) {
    return state.domains[static_cast<std::size_t>(pairs_[static_cast<std::size_t>(pair)].key)];
  };
  if (!info.affinity.empty() && !HasAffinity(info, wants, state)) return Obstruction::kAffinity;
  for (const std::int32_t pair : info.anti)
    if (ValueAt(pairs_[static_cast<std::size_t>(pair)].members, domain(pair)) > 0)
      return Obstruction::kAntiAffinity;
  if (info.meets_anti)
    for (const std::int32_t pair : info.met)
      if (ValueAt(pairs_[static_cast<std::size_t>(pair)].owners, domain(pair)) > 0)
        return Obstruction::kTheirAntiAffinity;
  if (wants.spread.empty()) return Obstruction::kNothing;
  const std::vector<std::int32_t>& spreads = SpreadsOf(shape, entry);
  for (std::size_t i = 0; i < wants.spread.size(); ++i) {
    const SpreadRule& rule = wants.spread[i];
    const std::int32_t at = state.domains[static_cast<std::size_t>(info.spread_keys[i])];
    if (at < 0) return Obstruction::kSpread;
    const SpreadCount& count =
        spreads_[static_cast<std::size_t>(entry)][static_cast<std::size_t>(spreads[i])].count;
    const std::int64_t skew =
        std::int64_t{count.In(at)} + (rule.counts_self ? 1 : 0) - count.Fewest(rule.min_domains);
    if (skew > rule.max_skew) return Obstruction::kSpread;
  }
  return Obstruction::kNothing;
}

// The first pod of a series that asks for its own kind finds nobody and may go anywhere that has
// the labels.
bool Placement::HasAffinity(const ShapeInfo& info, const PodShape& shape,
                            const NodeState& state) const {
  bool here = true, anywhere = false;
  for (const std::int32_t index : info.affinity) {
    const Pair& pair = pairs_[static_cast<std::size_t>(index)];
    const std::int32_t domain = state.domains[static_cast<std::size_t>(pair.key)];
    if (domain < 0) return false;
    here &= ValueAt(pair.members, domain) > 0;
    anywhere |= pair.all_members > 0;
  }
  return here || (!anywhere && shape.MemberOf(shape.affinity_group));
}

bool Placement::TooManyVolumes(const PodShape& shape, const NodeState& state) const {
  for (const auto& [driver, limit] : state.node->volume_limits) {
    std::int64_t fresh = 0, there = 0;
    for (const AttachedVolume& volume : shape.attached)
      fresh += volume.driver == driver && !state.attached.contains(volume);
    if (fresh == 0) continue;
    for (const auto& [volume, users] : state.attached) there += volume.driver == driver;
    if (there + fresh > limit) return true;
  }
  return false;
}

const std::vector<std::int32_t>& Placement::SpreadsOf(std::int32_t shape, Entry entry) const {
  auto& kept = spreads_of_[static_cast<std::size_t>(entry)][static_cast<std::size_t>(shape)];
  if (!kept) {
    kept.emplace();
    for (std::size_t rule = 0; rule < Shape(shape).spread.size(); ++rule)
      kept->push_back(ShareSpread(shape, rule, entry));
  }
  return *kept;
}

std::int32_t Placement::ShareSpread(std::int32_t shape, std::size_t rule, Entry entry) const {
  const auto by_entry = static_cast<std::size_t>(entry);
  const PodShape& wants = Shape(shape);
  const SpreadRule& asks = wants.spread[rule];
  const std::vector<std::int32_t>& keys = Info(shape).spread_keys;
  const bool any_node = !asks.honor_affinity && !asks.honor_taints;
  const auto [it, fresh] = spread_index_[by_entry].try_emplace(
      {asks.group, keys[rule], asks.honor_affinity, asks.honor_taints,
       any_node ? -1 : class_of_[static_cast<std::size_t>(shape)], keys},
      static_cast<std::int32_t>(spreads_[by_entry].size()));
  if (!fresh) return it->second;
  SpreadCount& count =
      spreads_[by_entry].emplace_back(SharedSpread{{asks.group, keys[rule]}, shape, rule}).count;
  for (std::int32_t node = 0; node < size(); ++node) {
    const NodeState& state = At(node);
    const std::int32_t domain = state.domains[static_cast<std::size_t>(count.key())];
    count.AddNode(domain, SpreadCounts(wants, asks, *state.node, entry));
    if (asks.group < 0) continue;
    const auto members =
        std::count_if(state.counted.begin(), state.counted.end(),
                      [&](std::int32_t other) { return Shape(other).MemberOf(asks.group); });
    if (members > 0) count.Add(node, domain, static_cast<int>(members));
  }
  return it->second;
}

void Placement::Put(std::int32_t shape, std::int32_t node, bool spreads) {
  free_[static_cast<std::size_t>(node)] -= Shape(shape).requests;
  Count(shape, node, spreads, 1);
}

void Placement::Remove(std::int32_t shape, std::int32_t node, bool spreads) {
  free_[static_cast<std::size_t>(node)] += Shape(shape).requests;
  Count(shape, node, spreads, -1);
}

void Placement::Count(std::int32_t shape, std::int32_t node, bool spreads, int sign) {
  const PodShape& pod = Shape(shape);
  const ShapeInfo& info = Info(shape);
  NodeState& state = nodes_[static_cast<std::size_t>(node)];
  state.pods += sign;
  ++version_;
  if (info.simple && pod.groups.empty()) return;
  auto erase_one = [](auto& list, const auto& value) {
    list.erase(std::find(list.begin(), list.end(), value));
  };
  auto add = [sign](auto& counts, const auto& key) {
    auto& count = counts[key];
    count += sign;
    if (count == 0) counts.erase(key);
  };
  for (const HostPort& port : pod.host_ports)
    if (sign > 0)
      state.ports.push_back(port);
    else
      erase_one(state.ports, port);
  for (const AttachedVolume& volume : pod.attached) add(state.attached, volume);
  for (const std::string& claim : pod.exclusive_claims) add(claims_in_use_, claim);
  for (const std::int32_t index : info.met) {
    Pair& pair = pairs_[static_cast<std::size_t>(index)];
    const std::int32_t domain = state.domains[static_cast<std::size_t>(pair.key)];
    if (domain < 0) continue;
    Slot(pair.members, domain) += sign;
    pair.all_members += sign;
  }
  for (const std::int32_t index : info.anti) {
    Pair& pair = pairs_[static_cast<std::size_t>(index)];
    const std::int32_t domain = state.domains[static_cast<std::size_t>(pair.key)];
    if (domain >= 0) Slot(pair.owners, domain) += sign;
  }
  if (!spreads || pod.groups.empty()) return;
  if (sign > 0)
    state.counted.push_back(shape);
  else
    erase_one(state.counted, shape);
  for (auto& by_entry : spreads_)
    for (SharedSpread& spread : by_entry)
      if (spread.count.group() >= 0 && pod.MemberOf(spread.count.group()))
        spread.count.Add(node, state.domains[static_cast<std::size_t>(spread.count.key())], sign);
}

std::string Placement::WhyNot(std::int32_t shape, std::int32_t node, Entry entry) const {
  // What stands against it for good comes first.
  if (std::string why = WhyNeverOn(Shape(shape), *At(node).node, entry); !why.empty()) return why;
  switch (Check(shape, node, entry)) {
    case Obstruction::kNothing:
    case Obstruction::kNever:
      return {};
    case Obstruction::kResources:
      return "Insufficient " + free(node).FirstShortage(Shape(shape).requests);
    case Obstruction::kPods:
      return "Too many pods";
    case Obstruction::kPorts:
      return "node(s) didn't have free ports for the requested pod ports";
    case Obstruction::kVolumeCount:
      return "node(s) exceed max volume count";
    case Obstruction::kExclusiveClaim:
      return "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod "
             "access mode";
    case Obstruction::kAffinity:
      return "node(s) didn't match pod affinity rules";
    case Obstruction::kAntiAffinity:
      return "node(s) didn't match pod anti-affinity rules";
    case Obstruction::kTheirAntiAffinity:
      return "node(s) didn't satisfy existing pods anti-affinity rules";
    case Obstruction::kSpread:
      return "node(s) didn't match pod topology spread constraints";
  }
  return {};
}

}  // namespace spillway::plan
