#include "model/decode_pods.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "model/decode.h"
#include "model/decode_parts.h"
#include "model/decode_volumes.h"

namespace spillway {
namespace {

const json::value& SpecOf(const json::value& object) {
  static const json::value kNone = json::object{};
  const json::value* spec = Find(object, "spec");
  return spec == nullptr ? kNone : *spec;
}

// An operator that Kubernetes does not know here tolerates nothing.
void AddToleration(const json::value& value, std::vector<Toleration>& out) {
  const std::string_view op = StringOr(value, "operator", "Equal");
  if (op != "Equal" && op != "Exists" && !op.empty()) return;
  Toleration t;
  t.key = StringOr(value, "key", "");
  t.value = StringOr(value, "value", "");
  t.exists = op == "Exists";
  if (const auto effect = EffectFrom(StringOr(value, "effect", ""))) {
    t.any_effect = false;
    t.effect = *effect;
  }
  out.push_back(std::move(t));
}

void AddPorts(const json::value& pod_spec, std::string_view list, PodShape& shape) {
  const json::array* containers = FindArray(pod_spec, list);
  if (containers == nullptr) return;
  const bool host_network = BoolOr(pod_spec, "hostNetwork", false);
  for (const json::value& container : *containers) {
    // An init container is gone when the pod runs, unless it is a sidecar.
    if (list == "initContainers" && StringOr(container, "restartPolicy", "") != "Always") continue;
    const json::array* ports = FindArray(container, "ports");
    if (ports == nullptr) continue;
    for (const json::value& port : *ports) {
      std::int64_t number = IntOr(port, "hostPort", 0);
      if (number == 0 && host_network) number = IntOr(port, "containerPort", 0);
      if (number <= 0) continue;
      std::string address(StringOr(port, "hostIP", ""));
      if (address == "0.0.0.0") address.clear();
      shape.host_ports.push_back({static_cast<std::int32_t>(number),
                                  std::string(StringOr(port, "protocol", "TCP")),
                                  std::move(address)});
    }
  }
}

Status AddNodeAffinity(const json::value& pod_spec, PodShape& shape) {
  const json::value* required = FindPath(
      pod_spec, {"affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"});
  if (required == nullptr) return Ok();
  shape.has_required_affinity = true;
  if (const json::array* terms = FindArray(*required, "nodeSelectorTerms"))
    for (const json::value& term : *terms) {
      SPW_ASSIGN(SelectorTerm decoded, DecodeSelectorTerm(term));
      shape.required_terms.push_back(std::move(decoded));
    }
  return Ok();
}

bool RestartsAll(const json::value& pod_spec) {
  for (const std::string_view list : {"containers", "initContainers"})
    if (const json::array* containers = FindArray(pod_spec, list))
      for (const json::value& container : *containers)
        if (const json::array* rules = FindArray(container, "restartPolicyRules"))
          for (const json::value& rule : *rules)
            if (StringOr(rule, "action", "") == "RestartAllContainers") return true;
  return false;
}

void FindNotUnderstood(const json::value& pod_spec, PodShape& shape) {
  if (const json::array* claims = FindArray(pod_spec, "resourceClaims"); claims && !claims->empty())
    shape.not_understood.emplace_back("resourceClaims");
  if (const std::string_view name = StringOr(pod_spec, "schedulerName", "");
      !name.empty() && name != "default-scheduler")
    shape.not_understood.emplace_back("schedulerName");
  // These ask for features that a node declares.
  if (BoolOr(pod_spec, "hostNetwork", false) && !BoolOr(pod_spec, "hostUsers", true))
    shape.not_understood.emplace_back("hostUsers with hostNetwork");
  if (RestartsAll(pod_spec)) shape.not_understood.emplace_back("restartPolicyRules");
}

// Everything of a shape that neither other pods nor volumes decide.
Result<PodShape> OwnShape(const json::value& pod_spec, const json::value* status) {
  PodShape shape;
  SPW_ASSIGN(shape.requests, DecodePodRequests(pod_spec, status));
  shape.node_selector = DecodeLabels(Find(pod_spec, "nodeSelector"));
  SPW_TRY(AddNodeAffinity(pod_spec, shape));
  if (const json::array* tolerations = FindArray(pod_spec, "tolerations"))
    for (const json::value& t : *tolerations) AddToleration(t, shape.tolerations);
  AddPorts(pod_spec, "containers", shape);
  AddPorts(pod_spec, "initContainers", shape);
  std::sort(shape.host_ports.begin(), shape.host_ports.end());
  FindNotUnderstood(pod_spec, shape);
  return shape;
}

// What the DaemonSet controller adds.
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations
void AddDaemonTolerations(const json::value& pod_spec, PodShape& shape) {
  for (const char* key : {"not-ready", "unreachable"})
    shape.tolerations.push_back({.key = std::string("node.kubernetes.io/") + key,
                                 .exists = true,
                                 .any_effect = false,
                                 .effect = TaintEffect::kNoExecute});
  for (const char* key : {"disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"})
    shape.tolerations.push_back(
        {.key = std::string("node.kubernetes.io/") + key, .exists = true, .any_effect = false});
  if (BoolOr(pod_spec, "hostNetwork", false))
    shape.tolerations.push_back(
        {.key = "node.kubernetes.io/network-unavailable", .exists = true, .any_effect = false});
}

// Builds DecodedPods.
class Decoder {
 public:
  explicit Decoder(const PodObjects& objects) : objects_(objects), book_(objects) {
    for (const json::value* ns : objects.namespaces)
      namespaces_.emplace_back(NameOf(*ns), DecodeLabels(FindPath(*ns, {"metadata", "labels"})));
    std::sort(namespaces_.begin(), namespaces_.end());
  }

  DecodedPods Run() {
    std::vector<std::optional<PodShape>> shapes;
    for (const json::value* pod : objects_.pods) {
      Result<PodShape> shape = ShapeOf(*pod);
      if (!shape)
        out_.problems.push_back(
            fmt::format("Pod {}/{}: {}", NamespaceOf(*pod), NameOf(*pod), shape.error().message));
      shapes.push_back(shape ? std::optional(std::move(*shape)) : std::nullopt);
    }
    for (const PodGroup& group : out_.groups)
      for (const PodSelector& selector : group)
        for (const Requirement& requirement : selector.labels) keys_.insert(requirement.key);
    std::map<PodShape, std::int32_t> known;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (!shapes[i]) {
        out_.shape_of.push_back(-1);
        continue;
      }
      shapes[i]->groups = GroupsOf(*objects_.pods[i]);
      const auto [it, fresh] =
          known.try_emplace(std::move(*shapes[i]), static_cast<std::int32_t>(out_.shapes.size()));
      if (fresh) out_.shapes.push_back(it->first);
      out_.shape_of.push_back(it->second);
    }
    AddDaemons();
    return std::move(out_);
  }

 private:
  Result<PodShape> ShapeOf(const json::value& pod) {
    const json::value& spec = SpecOf(pod);
    SPW_ASSIGN(PodShape shape, OwnShape(spec, Find(pod, "status")));
    if (!objects_.keep_burst_tolerations)
      std::erase_if(shape.tolerations, [](const Toleration& t) { return t.key == kBurstTaint; });
    SPW_TRY(book_.Describe(pod, shape));
    const Labels labels = DecodeLabels(FindPath(pod, {"metadata", "labels"}));
    const std::string ns(NamespaceOf(pod));
    SPW_TRY(AddAffinity(spec, ns, labels, shape));
    SPW_TRY(AddAntiAffinity(spec, ns, labels, shape));
    SPW_TRY(AddSpread(spec, ns, labels, shape));
    return shape;
  }

  std::int32_t GroupIndex(PodGroup group) {
    std::sort(group.begin(), group.end());
    group.erase(std::unique(group.begin(), group.end()), group.end());
    const auto [it, fresh] =
        group_by_value_.try_emplace(group, static_cast<std::int32_t>(out_.groups.size()));
    if (fresh) out_.groups.push_back(std::move(group));
    return it->second;
  }

  // The labels of the pod itself that a rule names by key.
  static void AddOwnLabels(const json::value& term, std::string_view list, SelectorOperator op,
                           const Labels& labels, std::vector<Requirement>& out) {
    for (const std::string& key : DecodeStrings(term, list))
      if (const auto it = labels.find(key); it != labels.end())
        out.push_back({key, op, {it->second}});
  }

  Result<PodSelector> TermSelector(const json::value& term, const std::string& ns,
                                   const Labels& labels) const {
    PodSelector out;
    out.namespaces = DecodeStrings(term, "namespaces");
    const json::value* selector = Find(term, "namespaceSelector");
    if (selector != nullptr) {
      SPW_ASSIGN(const std::vector<Requirement> wanted, DecodeLabelSelector(*selector));
      out.all_namespaces = wanted.empty();
      for (const auto& [name, its_labels] : namespaces_)
        if (std::all_of(wanted.begin(), wanted.end(),
                        [&](const Requirement& r) { return Matches(r, its_labels); }))
          out.namespaces.push_back(name);
    } else if (out.namespaces.empty()) {
      out.namespaces.push_back(ns);
    }
    if (out.all_namespaces) out.namespaces.clear();
    std::sort(out.namespaces.begin(), out.namespaces.end());
    out.namespaces.erase(std::unique(out.namespaces.begin(), out.namespaces.end()),
                         out.namespaces.end());
    const json::value* pods = Find(term, "labelSelector");
    out.nothing = pods == nullptr;
    if (pods != nullptr) {
      SPW_ASSIGN(out.labels, DecodeLabelSelector(*pods));
      AddOwnLabels(term, "matchLabelKeys", SelectorOperator::kIn, labels, out.labels);
      AddOwnLabels(term, "mismatchLabelKeys", SelectorOperator::kNotIn, labels, out.labels);
      Normalize(out.labels);
    }
    return out;
  }

  static void Normalize(std::vector<Requirement>& requirements) {
    std::sort(requirements.begin(), requirements.end());
    requirements.erase(std::unique(requirements.begin(), requirements.end()), requirements.end());
  }

  static const json::array* RequiredTerms(const json::value& spec, std::string_view kind) {
    const json::value* affinity = FindPath(spec, {"affinity", kind});
    return affinity == nullptr
               ? nullptr
               : FindArray(*affinity, "requiredDuringSchedulingIgnoredDuringExecution");
  }

  // kube-scheduler counts the pods that match all terms, not those that match one of them.
  Status AddAffinity(const json::value& spec, const std::string& ns, const Labels& labels,
                     PodShape& shape) {
    const json::array* terms = RequiredTerms(spec, "podAffinity");
    if (terms == nullptr || terms->empty()) return Ok();
    PodGroup group;
    for (const json::value& term : *terms) {
      SPW_ASSIGN(PodSelector selector, TermSelector(term, ns, labels));
      group.push_back(std::move(selector));
      shape.affinity_keys.emplace_back(StringOr(term, "topologyKey", ""));
    }
    shape.affinity_group = GroupIndex(std::move(group));
    std::sort(shape.affinity_keys.begin(), shape.affinity_keys.end());
    shape.affinity_keys.erase(std::unique(shape.affinity_keys.begin(), shape.affinity_keys.end()),
                              shape.affinity_keys.end());
    return Ok();
  }

  Status AddAntiAffinity(const json::value& spec, const std::string& ns, const Labels& labels,
                         PodShape& shape) {
    const json::array* terms = RequiredTerms(spec, "podAntiAffinity");
    if (terms == nullptr) return Ok();
    for (const json::value& term : *terms) {
      SPW_ASSIGN(PodSelector selector, TermSelector(term, ns, labels));
      shape.anti_affinity.push_back(
          {GroupIndex({std::move(selector)}), std::string(StringOr(term, "topologyKey", ""))});
    }
    std::sort(shape.anti_affinity.begin(), shape.anti_affinity.end());
    shape.anti_affinity.erase(std::unique(shape.anti_affinity.begin(), shape.anti_affinity.end()),
                              shape.anti_affinity.end());
    return Ok();
  }

  Status AddSpread(const json::value& spec, const std::string& ns, const Labels& labels,
                   PodShape& shape) {
    const json::array* constraints = FindArray(spec, "topologySpreadConstraints");
    if (constraints == nullptr) return Ok();
    for (const json::value& constraint : *constraints) {
      if (StringOr(constraint, "whenUnsatisfiable", "DoNotSchedule") != "DoNotSchedule") continue;
      SpreadRule rule;
      rule.key = StringOr(constraint, "topologyKey", "");
      rule.max_skew = static_cast<std::int32_t>(IntOr(constraint, "maxSkew", 1));
      rule.min_domains = static_cast<std::int32_t>(IntOr(constraint, "minDomains", 1));
      rule.honor_affinity = StringOr(constraint, "nodeAffinityPolicy", "Honor") == "Honor";
      rule.honor_taints = StringOr(constraint, "nodeTaintsPolicy", "Ignore") == "Honor";
      if (const json::value* selector = Find(constraint, "labelSelector")) {
        PodSelector pods{.namespaces = {ns}};
        SPW_ASSIGN(pods.labels, DecodeLabelSelector(*selector));
        AddOwnLabels(constraint, "matchLabelKeys", SelectorOperator::kIn, labels, pods.labels);
        Normalize(pods.labels);
        rule.counts_self = Matches(pods, ns, labels);
        // To kube-scheduler a selector without conditions counts the pod itself and no other.
        if (!pods.labels.empty()) rule.group = GroupIndex({std::move(pods)});
      }
      shape.spread.push_back(std::move(rule));
    }
    return Ok();
  }

  // Pods whose labels do not differ in what any group looks at are in the same groups.
  const std::vector<std::int32_t>& GroupsOf(const json::value& pod) {
    static const std::vector<std::int32_t> kNone;
    if (out_.groups.empty()) return kNone;
    std::pair<std::string, Labels> seen(NamespaceOf(pod), Labels());
    if (const json::value* labels = FindPath(pod, {"metadata", "labels"});
        labels != nullptr && labels->is_object())
      for (const auto& member : labels->get_object())
        if (member.value().is_string() && keys_.contains(std::string_view(member.key())))
          seen.second.emplace(member.key(), View(member.value().get_string()));
    const auto [it, fresh] = groups_by_labels_.try_emplace(std::move(seen));
    if (fresh)
      for (std::size_t i = 0; i < out_.groups.size(); ++i)
        if (std::all_of(out_.groups[i].begin(), out_.groups[i].end(), [&](const PodSelector& s) {
              return Matches(s, it->first.first, it->first.second);
            }))
          it->second.push_back(static_cast<std::int32_t>(i));
    return it->second;
  }

  void AddDaemons() {
    for (const json::value* object : objects_.daemon_sets) {
      const json::value* spec = FindPath(*object, {"spec", "template", "spec"});
      if (spec == nullptr) continue;
      Result<PodShape> shape = OwnShape(*spec, nullptr);
      if (!shape) {
        out_.problems.push_back(fmt::format("DaemonSet {}/{}: {}", NamespaceOf(*object),
                                            NameOf(*object), shape.error().message));
        continue;
      }
      AddDaemonTolerations(*spec, *shape);
      out_.daemons.push_back(std::move(*shape));
    }
  }

  const PodObjects& objects_;
  const VolumeBook book_;
  std::vector<std::pair<std::string, Labels>> namespaces_;  // by name
  DecodedPods out_;
  std::map<PodGroup, std::int32_t> group_by_value_;
  std::set<std::string, std::less<>> keys_;  // labels that some group looks at
  std::map<std::pair<std::string, Labels>, std::vector<std::int32_t>> groups_by_labels_;
};

}  // namespace

DecodedPods DecodePods(const PodObjects& objects) {
  return Decoder(objects).Run();
}

}  // namespace spillway
