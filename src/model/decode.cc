#include "model/decode.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quantity.h"
#include "model/decode_parts.h"

namespace spillway {
namespace {

const json::value kEmpty = json::object{};

const json::value& Spec(const json::value& object) {
  const json::value* spec = Find(object, "spec");
  return spec == nullptr ? kEmpty : *spec;
}

Result<Money> MoneyAt(const json::value& value, std::string_view key) {
  return ParseMoney(StringOr(value, key, ""));
}

Result<Duration> DurationOr(const json::value& value, std::string_view key, Duration fallback) {
  const std::string_view text = StringOr(value, key, "");
  if (text.empty()) return fallback;
  return ParseDuration(text);
}

S3Place DecodeS3Place(const json::value& s3) {
  S3Place place;
  place.endpoint = StringOr(s3, "endpoint", "");
  while (place.endpoint.ends_with('/')) place.endpoint.pop_back();
  place.bucket = StringOr(s3, "bucket", "");
  place.prefix = StringOr(s3, "prefix", "");
  if (!place.prefix.empty() && !place.prefix.ends_with('/')) place.prefix += '/';
  place.region = StringOr(s3, "region", place.region);
  place.path_style = BoolOr(s3, "pathStyle", place.path_style);
  place.profile = StringOr(s3, "profile", place.profile);
  return place;
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

Result<Node> DecodeNode(const json::value& object) {
  Node node;
  node.name = std::string(NameOf(object));
  Labels labels = DecodeLabels(FindPath(object, {"metadata", "labels"}));
  labels.try_emplace(std::string(kHostnameLabel), node.name);
  node.labels = std::move(labels);
  node.unschedulable = BoolOr(Spec(object), "unschedulable", false);
  node.rented = node.labels.contains(kBurstTaint);
  if (const json::array* taints = FindArray(Spec(object), "taints"))
    for (const json::value& taint : *taints)
      node.taints.push_back(
          {std::string(StringOr(taint, "key", "")), std::string(StringOr(taint, "value", "")),
           EffectFrom(StringOr(taint, "effect", "")).value_or(TaintEffect::kNoSchedule)});
  const json::value* list = FindPath(object, {"status", "allocatable"});
  if (list == nullptr) list = FindPath(object, {"status", "capacity"});
  SPW_ASSIGN(node.allocatable, DecodeResourceList(list));
  if (list != nullptr && Find(*list, "pods") != nullptr) {
    const auto pods = ParseWhole(QuantityText(*Find(*list, "pods")));
    if (!pods) return Fail(pods.error().In("resource pods"));
    node.max_pods = static_cast<std::int32_t>(std::min<std::int64_t>(*pods, kUnlimitedPods));
  }
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
  p.name = std::string(NameOf(object));
  p.priority = static_cast<int>(IntOr(spec, "priority", 0));
  p.namespaces = DecodeStrings(spec, "namespaces");
  if (const json::value* selector = Find(spec, "namespaceSelector")) {
    SPW_ASSIGN(p.namespace_selector, DecodeLabelSelector(*selector));
  }
  for (const std::string& name : DecodeStrings(spec, "dataClasses")) {
    const auto data_class = DataClassFrom(name);
    if (!data_class)
      return Fail(Code::kInvalid,
                  fmt::format("BurstPolicy {}: unknown data class \"{}\"", p.name, name));
    p.data_classes.push_back(*data_class);
  }
  if (p.data_classes.empty()) p.data_classes = {DataClass::kPublic};
  std::sort(p.data_classes.begin(), p.data_classes.end());
  if (const json::value* j = Find(spec, "jurisdiction")) {
    p.areas = DecodeStrings(*j, "regions");
    p.countries = DecodeStrings(*j, "countries");
    p.certificates = DecodeStrings(*j, "certificates");
    const std::string_view nexus = StringOr(*j, "usNexus", "none");
    p.any_us_nexus = nexus == "any";
    for (UsNexus grade : {UsNexus::kNone, UsNexus::kSubsidiary, UsNexus::kListing, UsNexus::kOwner})
      if (Name(grade) == nexus) p.max_us_nexus = grade;
  }
  if (p.areas.empty()) p.areas = {"EU"};
  p.providers = DecodeStrings(spec, "providers");
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
  for (const std::string& capacity : DecodeStrings(spec, "capacity"))
    p.allow_spot = p.allow_spot || capacity == "spot";
  if (const json::value* nodes = Find(spec, "nodes")) {
    p.max_nodes = static_cast<int>(IntOr(*nodes, "max", p.max_nodes));
    SPW_ASSIGN(p.lifetime, DurationOr(*nodes, "lifetime", p.lifetime));
  }
  p.scratch = StringOr(spec, "scratch", "any") == kScratchSealed ? Scratch::kSealed : Scratch::kAny;
  if (const json::value* wipe = Find(spec, "wipe")) {
    p.overwrite =
        StringOr(*wipe, "overwrite", "used") == "whole" ? Overwrite::kWhole : Overwrite::kUsed;
    p.verify =
        StringOr(*wipe, "verify", "full") == "sample" ? WipeCheck::kSample : WipeCheck::kFull;
    SPW_ASSIGN(p.key_within, DurationOr(*wipe, "keyWithin", p.key_within));
  }
  return p;
}

Result<ProviderAccount> DecodeProvider(const json::value& object) {
  ProviderAccount a;
  const json::value& spec = Spec(object);
  a.name = std::string(NameOf(object));
  a.type = StringOr(spec, "type", "");
  a.catalog = StringOr(spec, "catalog", "");
  a.regions = DecodeStrings(spec, "regions");
  if (const json::value* limits = Find(spec, "limits"))
    a.max_nodes = static_cast<int>(IntOr(*limits, "nodes", 0));
  return a;
}

Result<DatasetInfo> DecodeDataset(const json::value& object) {
  DatasetInfo d;
  const json::value& spec = Spec(object);
  const json::value* metadata = Find(object, "metadata");
  d.key = fmt::format("{}/{}", metadata ? StringOr(*metadata, "namespace", "default") : "default",
                      std::string(NameOf(object)));
  const auto data_class = DataClassFrom(StringOr(spec, "class", "restricted"));
  d.data_class = data_class.value_or(DataClass::kRestricted);
  if (const json::value* source = Find(spec, "source")) {
    d.directory = StringOr(*source, "directory", "");
    if (const json::value* s3 = Find(*source, "s3")) d.s3 = DecodeS3Place(*s3);
  }
  d.start_when_readable = StringOr(spec, "startWhen", "Staged") == "Readable";
  d.include = DecodeStrings(spec, "include");
  d.exclude = DecodeStrings(spec, "exclude");
  return d;
}

Result<BudgetState> DecodeBudget(const json::value& object) {
  BudgetState b;
  const json::value& spec = Spec(object);
  b.name = std::string(NameOf(object));
  b.namespaces = DecodeStrings(spec, "namespaces");
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
