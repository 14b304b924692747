#include "model/decode.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quantity.h"

namespace spillway {
namespace {

const json::value kEmpty = json::object{};

const json::value& Spec(const json::value& object) {
  const json::value* spec = Find(object, "spec");
  return spec == nullptr ? kEmpty : *spec;
}

std::string MetaName(const json::value& object) {
  const json::value* metadata = Find(object, "metadata");
  return metadata == nullptr ? "" : std::string(StringOr(*metadata, "name", ""));
}

std::vector<std::string> Strings(const json::value& value, std::string_view key) {
  std::vector<std::string> out;
  if (const json::array* array = FindArray(value, key))
    for (const json::value& item : *array)
      if (item.is_string()) out.emplace_back(View(item.get_string()));
  return out;
}

// A quantity in JSON may be a string or a number.
std::string QuantityText(const json::value& value) {
  if (value.is_string()) return std::string(View(value.get_string()));
  return json::serialize(value);
}

Result<Money> MoneyAt(const json::value& value, std::string_view key) {
  return ParseMoney(StringOr(value, key, ""));
}

Result<Duration> DurationOr(const json::value& value, std::string_view key, Duration fallback) {
  const std::string_view text = StringOr(value, key, "");
  if (text.empty()) return fallback;
  return ParseDuration(text);
}

std::optional<TaintEffect> EffectFrom(std::string_view name) {
  if (name == "NoSchedule") return TaintEffect::kNoSchedule;
  if (name == "PreferNoSchedule") return TaintEffect::kPreferNoSchedule;
  if (name == "NoExecute") return TaintEffect::kNoExecute;
  return std::nullopt;
}

Result<Resources> DecodeResourceList(const json::value* list) {
  Resources out;
  if (list == nullptr || !list->is_object()) return out;
  for (const auto& member : list->get_object()) {
    const std::string name(member.key());
    const std::string text = QuantityText(member.value());
    auto in_field = [&](const Error& error) {
      return Fail(error.In(fmt::format("resource {}", name)));
    };
    if (name == "cpu") {
      const auto milli = ParseMilli(text);
      if (!milli) return in_field(milli.error());
      out.cpu_milli = *milli;
      continue;
    }
    const auto whole = ParseWhole(text);
    if (!whole) return in_field(whole.error());
    if (name == "memory")
      out.memory_bytes = *whole;
    else if (name == "ephemeral-storage")
      out.ephemeral_bytes = *whole;
    else if (name == kGpuResource)
      out.gpus = *whole;
    else if (name == "pods" || *whole == 0)
      continue;
    else
      out.extended.emplace_back(name, *whole);
  }
  std::sort(out.extended.begin(), out.extended.end());
  return out;
}

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

// limits stand in for missing requests, resource by resource.
Result<Resources> ContainerRequests(const json::value& container) {
  json::object merged;
  if (const json::value* limits = FindPath(container, {"resources", "limits"});
      limits && limits->is_object())
    merged = limits->get_object();
  if (const json::value* requests = FindPath(container, {"resources", "requests"});
      requests && requests->is_object())
    for (const auto& member : requests->get_object()) merged[member.key()] = member.value();
  const json::value list(std::move(merged));
  return DecodeResourceList(&list);
}

Result<Requirement> DecodeRequirement(const json::value& value) {
  Requirement r;
  r.key = StringOr(value, "key", "");
  const std::string_view op = StringOr(value, "operator", "");
  if (op == "In")
    r.op = SelectorOperator::kIn;
  else if (op == "NotIn")
    r.op = SelectorOperator::kNotIn;
  else if (op == "Exists")
    r.op = SelectorOperator::kExists;
  else if (op == "DoesNotExist")
    r.op = SelectorOperator::kDoesNotExist;
  else if (op == "Gt")
    r.op = SelectorOperator::kGt;
  else if (op == "Lt")
    r.op = SelectorOperator::kLt;
  else
    return Fail(Code::kInvalid, fmt::format("\"{}\" is not a selector operator", op));
  r.values = Strings(value, "values");
  return r;
}

Status DecodeAffinity(const json::value& pod_spec, PodShape& shape) {
  const json::value* affinity = Find(pod_spec, "affinity");
  if (affinity == nullptr) return Ok();
  for (std::string_view unknown : {"podAffinity", "podAntiAffinity"})
    if (Find(*affinity, unknown) != nullptr)
      shape.not_understood.push_back(fmt::format("affinity.{}", unknown));
  const json::value* required =
      FindPath(*affinity, {"nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"});
  if (required == nullptr) return Ok();
  shape.has_required_affinity = true;
  const json::array* terms = FindArray(*required, "nodeSelectorTerms");
  if (terms == nullptr) return Ok();
  for (const json::value& term : *terms) {
    SelectorTerm out;
    if (const json::array* expressions = FindArray(term, "matchExpressions"))
      for (const json::value& e : *expressions) {
        SPW_ASSIGN(Requirement r, DecodeRequirement(e));
        out.labels.push_back(std::move(r));
      }
    if (const json::array* fields = FindArray(term, "matchFields"))
      for (const json::value& e : *fields) {
        SPW_ASSIGN(Requirement r, DecodeRequirement(e));
        out.fields.push_back(std::move(r));
      }
    shape.required_terms.push_back(std::move(out));
  }
  return Ok();
}

Toleration DecodeToleration(const json::value& value) {
  Toleration t;
  t.key = StringOr(value, "key", "");
  t.value = StringOr(value, "value", "");
  t.exists = StringOr(value, "operator", "Equal") == "Exists";
  if (const auto effect = EffectFrom(StringOr(value, "effect", ""))) {
    t.any_effect = false;
    t.effect = *effect;
  }
  return t;
}

}  // namespace

Labels DecodeLabels(const json::value* value) {
  Labels labels;
  if (value == nullptr || !value->is_object()) return labels;
  for (const auto& member : value->get_object())
    if (member.value().is_string())
      labels[member.key()] = std::string(View(member.value().get_string()));
  return labels;
}

Result<Resources> DecodePodRequests(const json::value& pod_spec) {
  Resources sum, init;
  if (const json::array* containers = FindArray(pod_spec, "containers"))
    for (const json::value& container : *containers) {
      SPW_ASSIGN(const Resources r, ContainerRequests(container));
      sum += r;
    }
  if (const json::array* containers = FindArray(pod_spec, "initContainers"))
    for (const json::value& container : *containers) {
      SPW_ASSIGN(const Resources r, ContainerRequests(container));
      init = Larger(init, r);
    }
  Resources total = Larger(sum, init);
  SPW_ASSIGN(const Resources overhead, DecodeResourceList(Find(pod_spec, "overhead")));
  total += overhead;
  return total;
}

Result<PodShape> DecodePodShape(const json::value& pod_spec) {
  PodShape shape;
  SPW_ASSIGN(shape.requests, DecodePodRequests(pod_spec));
  shape.node_selector = DecodeLabels(Find(pod_spec, "nodeSelector"));
  SPW_TRY(DecodeAffinity(pod_spec, shape));
  if (const json::array* tolerations = FindArray(pod_spec, "tolerations"))
    for (const json::value& t : *tolerations) shape.tolerations.push_back(DecodeToleration(t));
  for (std::string_view unknown : {"topologySpreadConstraints", "resourceClaims", "schedulerName"})
    if (const json::value* found = Find(pod_spec, unknown);
        found != nullptr && !(found->is_string() && found->get_string() == "default-scheduler"))
      shape.not_understood.emplace_back(unknown);
  return shape;
}

Result<Node> DecodeNode(const json::value& object) {
  Node node;
  node.name = MetaName(object);
  node.labels = DecodeLabels(FindPath(object, {"metadata", "labels"}));
  node.labels.try_emplace("kubernetes.io/hostname", node.name);
  node.unschedulable = BoolOr(Spec(object), "unschedulable", false);
  node.rented = node.labels.contains("spillway.dev/burst");
  if (const json::array* taints = FindArray(Spec(object), "taints"))
    for (const json::value& taint : *taints)
      node.taints.push_back(
          {std::string(StringOr(taint, "key", "")), std::string(StringOr(taint, "value", "")),
           EffectFrom(StringOr(taint, "effect", "")).value_or(TaintEffect::kNoSchedule)});
  const json::value* list = FindPath(object, {"status", "allocatable"});
  if (list == nullptr) list = FindPath(object, {"status", "capacity"});
  SPW_ASSIGN(node.allocatable, DecodeResourceList(list));
  if (const json::value* status = Find(object, "status"))
    if (const json::array* conditions = FindArray(*status, "conditions"))
      for (const json::value& condition : *conditions)
        if (StringOr(condition, "type", "") == "Ready")
          node.ready = StringOr(condition, "status", "") == "True";
  return node;
}

Result<Policy> DecodePolicy(const json::value& object) {
  Policy p;
  const json::value& spec = Spec(object);
  p.name = MetaName(object);
  p.priority = static_cast<int>(IntOr(spec, "priority", 0));
  p.namespaces = Strings(spec, "namespaces");
  if (const json::value* selector = Find(spec, "namespaceSelector")) {
    for (const auto& [key, value] : DecodeLabels(Find(*selector, "matchLabels")))
      p.namespace_selector.push_back({key, SelectorOperator::kIn, {value}});
    if (const json::array* expressions = FindArray(*selector, "matchExpressions"))
      for (const json::value& expression : *expressions) {
        SPW_ASSIGN(Requirement requirement, DecodeRequirement(expression));
        p.namespace_selector.push_back(std::move(requirement));
      }
  }
  for (const std::string& name : Strings(spec, "dataClasses")) {
    const auto data_class = DataClassFrom(name);
    if (!data_class)
      return Fail(Code::kInvalid,
                  fmt::format("BurstPolicy {}: unknown data class \"{}\"", p.name, name));
    p.data_classes.push_back(*data_class);
  }
  if (p.data_classes.empty()) p.data_classes = {DataClass::kPublic};
  std::sort(p.data_classes.begin(), p.data_classes.end());
  if (const json::value* j = Find(spec, "jurisdiction")) {
    p.areas = Strings(*j, "regions");
    p.countries = Strings(*j, "countries");
    p.certificates = Strings(*j, "certificates");
    const std::string_view nexus = StringOr(*j, "usNexus", "none");
    p.any_us_nexus = nexus == "any";
    for (UsNexus grade : {UsNexus::kNone, UsNexus::kSubsidiary, UsNexus::kListing, UsNexus::kOwner})
      if (Name(grade) == nexus) p.max_us_nexus = grade;
  }
  if (p.areas.empty()) p.areas = {"EU"};
  p.providers = Strings(spec, "providers");
  if (const json::value* price = Find(spec, "price"); price && Find(*price, "maxPerGpuHour")) {
    SPW_ASSIGN(const Money m, MoneyAt(*price, "maxPerGpuHour"));
    p.max_per_gpu_hour = m;
  }
  if (const json::value* wait = Find(spec, "wait")) {
    SPW_ASSIGN(p.wait_at_most, DurationOr(*wait, "atMost", Duration{0}));
    if (Find(*wait, "hourIsWorth")) {
      SPW_ASSIGN(const Money m, MoneyAt(*wait, "hourIsWorth"));
      p.hour_is_worth = m;
    }
  }
  for (const std::string& capacity : Strings(spec, "capacity"))
    p.allow_spot = p.allow_spot || capacity == "spot";
  if (const json::value* nodes = Find(spec, "nodes")) {
    p.max_nodes = static_cast<int>(IntOr(*nodes, "max", p.max_nodes));
    SPW_ASSIGN(p.lifetime, DurationOr(*nodes, "lifetime", p.lifetime));
  }
  if (const json::value* wipe = Find(spec, "wipe")) {
    p.overwrite =
        StringOr(*wipe, "overwrite", "used") == "whole" ? Overwrite::kWhole : Overwrite::kUsed;
    p.verify =
        StringOr(*wipe, "verify", "full") == "sample" ? WipeCheck::kSample : WipeCheck::kFull;
  }
  return p;
}

Result<ProviderAccount> DecodeProvider(const json::value& object) {
  ProviderAccount a;
  const json::value& spec = Spec(object);
  a.name = MetaName(object);
  a.type = StringOr(spec, "type", "");
  a.catalog = StringOr(spec, "catalog", "");
  a.regions = Strings(spec, "regions");
  if (const json::value* limits = Find(spec, "limits"))
    a.max_nodes = static_cast<int>(IntOr(*limits, "nodes", 0));
  return a;
}

Result<DatasetInfo> DecodeDataset(const json::value& object) {
  DatasetInfo d;
  const json::value& spec = Spec(object);
  const json::value* metadata = Find(object, "metadata");
  d.key = fmt::format("{}/{}", metadata ? StringOr(*metadata, "namespace", "default") : "default",
                      MetaName(object));
  const auto data_class = DataClassFrom(StringOr(spec, "class", "restricted"));
  d.data_class = data_class.value_or(DataClass::kRestricted);
  if (const json::value* source = Find(spec, "source"))
    d.directory = StringOr(*source, "directory", "");
  d.include = Strings(spec, "include");
  d.exclude = Strings(spec, "exclude");
  return d;
}

Result<BudgetState> DecodeBudget(const json::value& object) {
  BudgetState b;
  const json::value& spec = Spec(object);
  b.name = MetaName(object);
  b.namespaces = Strings(spec, "namespaces");
  SPW_ASSIGN(b.amount, MoneyAt(spec, "amount"));
  b.period = StringOr(spec, "period", "month");
  b.warn_at_percent = static_cast<int>(IntOr(spec, "warnAt", 80));
  b.on_exhausted =
      StringOr(spec, "onExhausted", "wait") == "refuse" ? OnExhausted::kRefuse : OnExhausted::kWait;
  if (Find(spec, "openingSpend")) {
    SPW_ASSIGN(b.opening_spend, MoneyAt(spec, "openingSpend"));
  }
  if (const json::value* metadata = Find(object, "metadata"))
    b.opened_at = ParseTime(StringOr(*metadata, "creationTimestamp", "")).value_or(Time{});
  return b;
}

QuotaState DecodeQuota(const json::value& object) {
  QuotaState q;
  const json::value* metadata = Find(object, "metadata");
  q.ns = metadata ? StringOr(*metadata, "namespace", "default") : "default";
  if (const json::value* hard = Find(Spec(object), "hard"); hard && hard->is_object())
    for (const auto& member : hard->get_object()) {
      const auto amount = ParseWhole(QuantityText(member.value()));
      if (!amount) continue;
      if (member.key() == "requests.nvidia.com/gpu" || member.key() == "limits.nvidia.com/gpu")
        q.gpus_hard = *amount;
      if (member.key() == "pods" || member.key() == "count/pods") q.pods_hard = *amount;
    }
  return q;
}

}  // namespace spillway
