// BurstNode <-> its custom resource (deploy/crds/burstnodes.spillway.dev.yaml).
#include <fmt/format.h>

#include "base/quantity.h"
#include "model/decode.h"

namespace spillway {
namespace {

std::string_view TextOf(BillingTerms::MeterStart m) {
  return m == BillingTerms::MeterStart::kCreate ? "create" : "active";
}
std::string_view TextOf(BillingTerms::MeterStop m) {
  return m == BillingTerms::MeterStop::kGone ? "gone" : "accepted";
}

json::value OptionalTime(const std::optional<Time>& t) {
  return t ? json::value(FormatTime(*t)) : json::value(nullptr);
}
json::value TimeOrNull(Time t) {
  return t == Time{} ? json::value(nullptr) : json::value(FormatTime(t));
}

Result<Time> TimeAt(const json::value& v, std::string_view key) {
  const std::string_view text = StringOr(v, key, "");
  if (text.empty()) return Time{};
  return ParseTime(text);
}
Result<std::optional<Time>> OptionalTimeAt(const json::value& v, std::string_view key) {
  const std::string_view text = StringOr(v, key, "");
  if (text.empty()) return std::optional<Time>();
  SPW_ASSIGN(const Time t, ParseTime(text));
  return std::optional<Time>(t);
}
Duration MsAt(const json::value& v, std::string_view key) {
  return Duration{IntOr(v, key, 0)};
}
Money MicroAt(const json::value& v, std::string_view key) {
  return Money::Micro(IntOr(v, key, 0));
}

json::object EncodeLabels(const Labels& labels) {
  json::object out;
  for (const auto& [key, value] : labels) out[key] = value;
  return out;
}

json::object EncodeResources(const Resources& r) {
  json::object out{{"cpu", FormatMilli(r.cpu_milli)}, {"memory", FormatBytes(r.memory_bytes)}};
  if (r.ephemeral_bytes != 0) out["ephemeral-storage"] = FormatBytes(r.ephemeral_bytes);
  out[kGpuResource] = std::to_string(r.gpus);
  for (const auto& [name, amount] : r.extended) out[name] = std::to_string(amount);
  return out;
}

Result<Resources> DecodeResources(const json::value* v) {
  Resources r;
  if (v == nullptr || !v->is_object()) return r;
  for (const auto& m : v->get_object()) {
    const std::string text(m.value().is_string() ? View(m.value().get_string()) : "0");
    if (m.key() == "cpu") {
      SPW_ASSIGN(r.cpu_milli, ParseMilli(text));
      continue;
    }
    SPW_ASSIGN(const std::int64_t amount, ParseWhole(text));
    if (m.key() == "memory")
      r.memory_bytes = amount;
    else if (m.key() == "ephemeral-storage")
      r.ephemeral_bytes = amount;
    else if (m.key() == kGpuResource)
      r.gpus = amount;
    else
      r.extended.emplace_back(std::string(m.key()), amount);
  }
  return r;
}

json::object EncodeDeadlines(const Deadlines& d) {
  return {{"createMs", d.create.count()}, {"bootMs", d.boot.count()},
          {"stageMs", d.stage.count()},   {"giveBackMs", d.give_back.count()},
          {"wipeMs", d.wipe.count()},     {"lifetimeMs", d.lifetime.count()},
          {"leaseMs", d.lease.count()}};
}

Deadlines DecodeDeadlines(const json::value& v) {
  return {MsAt(v, "createMs"), MsAt(v, "bootMs"),     MsAt(v, "stageMs"), MsAt(v, "giveBackMs"),
          MsAt(v, "wipeMs"),   MsAt(v, "lifetimeMs"), MsAt(v, "leaseMs")};
}

Forecast DecodeForecast(const json::value& v) {
  Forecast f;
  f.boot = MsAt(v, "bootMs");
  f.stage = MsAt(v, "stageMs");
  f.run = MsAt(v, "runMs");
  f.give_back = MsAt(v, "giveBackMs");
  f.wipe = MsAt(v, "wipeMs");
  f.paid = MsAt(v, "paidMs");
  f.compute = MicroAt(v, "computeMicroEuro");
  f.side_objects = MicroAt(v, "sideObjectsMicroEuro");
  f.egress = MicroAt(v, "egressMicroEuro");
  f.total = MicroAt(v, "totalMicroEuro");
  f.worst_case = MicroAt(v, "worstCaseMicroEuro");
  return f;
}

Result<Offer> DecodeOffer(const json::value& v) {
  Offer o;
  o.provider = StringOr(v, "provider", "");
  o.catalog = StringOr(v, "catalog", "");
  o.region = StringOr(v, "region", "");
  o.country = StringOr(v, "country", "");
  o.area = StringOr(v, "area", "");
  o.instance_type = StringOr(v, "instanceType", "");
  o.capacity =
      StringOr(v, "capacity", "") == "spot" ? CapacityType::kSpot : CapacityType::kOnDemand;
  for (const Stock s : {Stock::kAvailable, Stock::kScarce, Stock::kNone, Stock::kUnknown})
    if (Name(s) == StringOr(v, "stock", "unknown")) o.stock = s;
  SPW_ASSIGN(o.allocatable, DecodeResources(Find(v, "allocatable")));
  if (const json::object* labels = FindObject(v, "labels"))
    for (const auto& m : *labels)
      if (m.value().is_string()) o.labels[m.key()] = std::string(View(m.value().get_string()));
  o.price_per_hour = MicroAt(v, "pricePerHourMicroEuro");
  o.source = StringOr(v, "source", "");
  SPW_ASSIGN(o.read_at, TimeAt(v, "readAt"));
  return o;
}

json::array EncodeHistory(const BurstNode& n) {
  json::array out;
  for (const auto& [phase, at] : n.history)
    out.push_back(json::object{{"phase", Name(phase)}, {"at", FormatTime(at)}});
  return out;
}

json::array EncodeSideObjects(const BurstNode& n) {
  json::array out;
  for (const SideObject& s : n.side_objects)
    out.push_back(json::object{{"kind", s.kind},
                               {"id", s.id},
                               {"pricePerHourMicroEuro", s.price_per_hour.micro()},
                               {"gone", s.gone},
                               {"goneAt", TimeOrNull(s.gone_at)}});
  return out;
}

json::object EncodeSpec(const BurstNode& n) {
  json::array pods, side_terms;
  for (const PodRef& p : n.pods) pods.push_back(json::object{{"name", p.key}, {"uid", p.uid}});
  for (const SideObjectTerms& s : n.side_terms)
    side_terms.push_back(json::object{{"kind", s.kind},
                                      {"pricePerHourMicroEuro", s.price_per_hour.micro()},
                                      {"deletedWithInstance", s.deleted_with_instance}});
  return {{"serial", n.serial},
          {"provider", n.offer.provider},
          {"region", n.offer.region},
          {"instanceType", n.offer.instance_type},
          {"namespace", n.ns},
          {"policy", n.policy},
          {"budget", n.budget},
          {"workload", n.workload},
          {"why", n.why},
          {"gang", n.gang},
          {"gangSize", n.gang_size},
          {"pods", pods},
          {"offer", EncodeOffer(n.offer)},
          {"billing", json::object{{"stepMs", n.billing.step.count()},
                                   {"clockAligned", n.billing.clock_aligned},
                                   {"minimumMs", n.billing.minimum.count()},
                                   {"meterStarts", TextOf(n.billing.meter_starts)},
                                   {"meterStops", TextOf(n.billing.meter_stops)}}},
          {"sideObjects", side_terms},
          {"egressPerGiBMicroEuro", n.egress_per_gib.micro()},
          {"forecast", EncodeForecast(n.forecast)},
          {"deadlines", EncodeDeadlines(n.deadlines)},
          {"wipe", json::object{{"overwrite", n.overwrite == Overwrite::kUsed ? "used" : "whole"},
                                {"verify", n.verify == WipeCheck::kFull ? "full" : "sample"}}}};
}

json::array EncodeConditions(const BurstNode& n) {
  json::array out;
  auto add = [&](std::string_view type, bool status, std::string_view reason, std::string message) {
    out.push_back(json::object{{"type", type},
                               {"status", status ? "True" : "False"},
                               {"reason", reason},
                               {"message", std::move(message)},
                               {"lastTransitionTime", FormatTime(n.phase_since)}});
  };
  const bool joined = n.phase >= Phase::kJoined && n.phase <= Phase::kReturning;
  add("Ready", joined && !n.Failed(), Name(n.phase), n.why);
  if (n.Failed()) add("Failed", true, Name(n.failure), n.failure_detail);
  if (n.wipe_class != WipeClass::kNone)
    add("Wiped", true, n.wipe_class == WipeClass::kFull ? "Full" : "CryptoEraseOnly",
        n.certificate);
  return out;
}

json::object EncodeStatus(const BurstNode& n) {
  return {{"phase", Name(n.phase)},
          {"phaseSince", FormatTime(n.phase_since)},
          {"createdAt", FormatTime(n.created_at)},
          {"failure", n.Failed() ? json::value(Name(n.failure)) : json::value(nullptr)},
          {"failureDetail", n.failure_detail},
          {"instanceId", n.instance_id},
          {"instanceMayExist", n.instance_may_exist},
          {"podsAdmitted", n.pods_admitted},
          {"runPrepared", n.run_prepared},
          {"keyDestroyed", n.key_destroyed},
          {"keyDestroyedAt", TimeOrNull(n.key_destroyed_at)},
          {"deleteAccepted", n.delete_accepted},
          {"deleteAcceptedAt", TimeOrNull(n.delete_accepted_at)},
          {"absentLists", n.absent_lists},
          {"lastListSeen", TimeOrNull(n.last_list_seen)},
          {"history", EncodeHistory(n)},
          {"meterStart", OptionalTime(n.meter_start)},
          {"meterStop", OptionalTime(n.meter_stop)},
          {"runningSince", OptionalTime(n.running_since)},
          {"computedUntil", OptionalTime(n.computed_until)},
          {"cost", json::object{{"computeMicroEuro", n.cost_compute.micro()},
                                {"sideObjectsMicroEuro", n.cost_side_objects.micro()},
                                {"egressMicroEuro", n.cost_egress.micro()},
                                {"totalMicroEuro", n.cost.micro()},
                                {"total", FormatMoney(n.cost)},
                                {"paidMs", n.paid.count()},
                                {"computedMs", n.computed.count()},
                                {"settled", n.settled}}},
          {"sideObjects", EncodeSideObjects(n)},
          {"data", json::object{{"bytesIn", n.bytes_in},
                                {"bytesOut", n.bytes_out},
                                {"neverLeftObjects", n.never_left_objects},
                                {"neverLeftBytes", n.never_left_bytes},
                                {"resultsReceipted", n.results_receipted},
                                {"resultsComplete", n.results_complete}}},
          {"wipe", json::object{{"class", Name(n.wipe_class)},
                                {"verified", n.wipe_verified},
                                {"certificate", n.certificate}}},
          {"conditions", EncodeConditions(n)}};
}

Status DecodeSpec(const json::value& spec, BurstNode& n) {
  n.serial = IntOr(spec, "serial", 0);
  n.ns = StringOr(spec, "namespace", "");
  n.policy = StringOr(spec, "policy", "");
  n.budget = StringOr(spec, "budget", "");
  n.workload = StringOr(spec, "workload", "");
  n.why = StringOr(spec, "why", "");
  n.gang = StringOr(spec, "gang", "");
  n.gang_size = static_cast<int>(IntOr(spec, "gangSize", 0));
  if (const json::array* pods = FindArray(spec, "pods"))
    for (const json::value& p : *pods)
      n.pods.push_back({std::string(StringOr(p, "name", "")), std::string(StringOr(p, "uid", ""))});
  if (const json::value* offer = Find(spec, "offer")) {
    SPW_ASSIGN(n.offer, DecodeOffer(*offer));
  }
  if (const json::value* b = Find(spec, "billing")) {
    n.billing.step = MsAt(*b, "stepMs");
    n.billing.clock_aligned = BoolOr(*b, "clockAligned", false);
    n.billing.minimum = MsAt(*b, "minimumMs");
    n.billing.meter_starts = StringOr(*b, "meterStarts", "create") == "active"
                                 ? BillingTerms::MeterStart::kRunning
                                 : BillingTerms::MeterStart::kCreate;
    n.billing.meter_stops = StringOr(*b, "meterStops", "gone") == "accepted"
                                ? BillingTerms::MeterStop::kDeleteAccepted
                                : BillingTerms::MeterStop::kGone;
  }
  if (const json::array* side = FindArray(spec, "sideObjects"))
    for (const json::value& s : *side)
      n.side_terms.push_back({std::string(StringOr(s, "kind", "")),
                              MicroAt(s, "pricePerHourMicroEuro"),
                              BoolOr(s, "deletedWithInstance", false)});
  n.egress_per_gib = MicroAt(spec, "egressPerGiBMicroEuro");
  if (const json::value* f = Find(spec, "forecast")) n.forecast = DecodeForecast(*f);
  if (const json::value* d = Find(spec, "deadlines")) n.deadlines = DecodeDeadlines(*d);
  if (const json::value* w = Find(spec, "wipe")) {
    n.overwrite =
        StringOr(*w, "overwrite", "used") == "whole" ? Overwrite::kWhole : Overwrite::kUsed;
    n.verify = StringOr(*w, "verify", "full") == "sample" ? WipeCheck::kSample : WipeCheck::kFull;
  }
  return Ok();
}

void DecodeEvidence(const json::value& status, BurstNode& n) {
  if (const json::value* c = Find(status, "cost")) {
    n.cost_compute = MicroAt(*c, "computeMicroEuro");
    n.cost_side_objects = MicroAt(*c, "sideObjectsMicroEuro");
    n.cost_egress = MicroAt(*c, "egressMicroEuro");
    n.cost = MicroAt(*c, "totalMicroEuro");
    n.paid = MsAt(*c, "paidMs");
    n.computed = MsAt(*c, "computedMs");
    n.settled = BoolOr(*c, "settled", false);
  }
  if (const json::value* d = Find(status, "data")) {
    n.bytes_in = IntOr(*d, "bytesIn", 0);
    n.bytes_out = IntOr(*d, "bytesOut", 0);
    n.never_left_objects = IntOr(*d, "neverLeftObjects", 0);
    n.never_left_bytes = IntOr(*d, "neverLeftBytes", 0);
    n.results_receipted = static_cast<int>(IntOr(*d, "resultsReceipted", 0));
    n.results_complete = BoolOr(*d, "resultsComplete", false);
  }
  if (const json::value* w = Find(status, "wipe")) {
    for (WipeClass c : {WipeClass::kNone, WipeClass::kFull, WipeClass::kCryptoEraseOnly})
      if (Name(c) == StringOr(*w, "class", "none")) n.wipe_class = c;
    n.wipe_verified = BoolOr(*w, "verified", false);
    n.certificate = StringOr(*w, "certificate", "");
  }
}

Status DecodeStatus(const json::value& status, BurstNode& n) {
  const auto phase = PhaseFrom(StringOr(status, "phase", "Planned"));
  const auto failure = FailureFrom(StringOr(status, "failure", "None"));
  if (!phase || !failure)
    return Fail(Code::kInvalid, fmt::format("BurstNode {}: unknown phase or failure", n.name));
  n.phase = *phase;
  n.failure = *failure;
  n.failure_detail = StringOr(status, "failureDetail", "");
  n.instance_id = StringOr(status, "instanceId", "");
  n.instance_may_exist = BoolOr(status, "instanceMayExist", false);
  n.pods_admitted = BoolOr(status, "podsAdmitted", false);
  n.run_prepared = BoolOr(status, "runPrepared", false);
  n.key_destroyed = BoolOr(status, "keyDestroyed", false);
  n.delete_accepted = BoolOr(status, "deleteAccepted", false);
  n.absent_lists = static_cast<int>(IntOr(status, "absentLists", 0));
  SPW_ASSIGN(n.phase_since, TimeAt(status, "phaseSince"));
  SPW_ASSIGN(n.created_at, TimeAt(status, "createdAt"));
  SPW_ASSIGN(n.key_destroyed_at, TimeAt(status, "keyDestroyedAt"));
  SPW_ASSIGN(n.delete_accepted_at, TimeAt(status, "deleteAcceptedAt"));
  SPW_ASSIGN(n.last_list_seen, TimeAt(status, "lastListSeen"));
  SPW_ASSIGN(n.meter_start, OptionalTimeAt(status, "meterStart"));
  SPW_ASSIGN(n.meter_stop, OptionalTimeAt(status, "meterStop"));
  SPW_ASSIGN(n.running_since, OptionalTimeAt(status, "runningSince"));
  SPW_ASSIGN(n.computed_until, OptionalTimeAt(status, "computedUntil"));
  if (const json::array* history = FindArray(status, "history"))
    for (const json::value& h : *history) {
      SPW_ASSIGN(const Time at, TimeAt(h, "at"));
      n.history.emplace_back(PhaseFrom(StringOr(h, "phase", "")).value_or(Phase::kPlanned), at);
    }
  if (const json::array* side = FindArray(status, "sideObjects"))
    for (const json::value& s : *side) {
      SPW_ASSIGN(const Time gone_at, TimeAt(s, "goneAt"));
      n.side_objects.push_back(
          {std::string(StringOr(s, "kind", "")), std::string(StringOr(s, "id", "")),
           MicroAt(s, "pricePerHourMicroEuro"), BoolOr(s, "gone", false), gone_at});
    }
  DecodeEvidence(status, n);
  return Ok();
}

}  // namespace

json::value EncodeOffer(const Offer& o) {
  return json::object{{"provider", o.provider},
                      {"catalog", o.catalog},
                      {"region", o.region},
                      {"country", o.country},
                      {"area", o.area},
                      {"instanceType", o.instance_type},
                      {"capacity", Name(o.capacity)},
                      {"stock", Name(o.stock)},
                      {"allocatable", EncodeResources(o.allocatable)},
                      {"labels", EncodeLabels(o.labels)},
                      {"pricePerHourMicroEuro", o.price_per_hour.micro()},
                      {"pricePerHour", FormatMoney(o.price_per_hour)},
                      {"source", o.source},
                      {"readAt", TimeOrNull(o.read_at)}};
}

json::value EncodeForecast(const Forecast& f) {
  return json::object{{"bootMs", f.boot.count()},
                      {"stageMs", f.stage.count()},
                      {"runMs", f.run.count()},
                      {"giveBackMs", f.give_back.count()},
                      {"wipeMs", f.wipe.count()},
                      {"paidMs", f.paid.count()},
                      {"computeMicroEuro", f.compute.micro()},
                      {"sideObjectsMicroEuro", f.side_objects.micro()},
                      {"egressMicroEuro", f.egress.micro()},
                      {"totalMicroEuro", f.total.micro()},
                      {"worstCaseMicroEuro", f.worst_case.micro()}};
}

json::value EncodeBurstNode(const BurstNode& n) {
  return json::object{{"apiVersion", "spillway.dev/v1alpha1"},
                      {"kind", "BurstNode"},
                      {"metadata", json::object{{"name", n.name}}},
                      {"spec", EncodeSpec(n)},
                      {"status", EncodeStatus(n)}};
}

Result<BurstNode> DecodeBurstNode(const json::value& object) {
  BurstNode n;
  const json::value* metadata = Find(object, "metadata");
  const json::value* spec = Find(object, "spec");
  const json::value* status = Find(object, "status");
  if (metadata == nullptr || spec == nullptr || status == nullptr)
    return Fail(Code::kInvalid, "BurstNode: metadata, spec and status are required");
  n.name = StringOr(*metadata, "name", "");
  SPW_TRY(DecodeSpec(*spec, n));
  SPW_TRY(DecodeStatus(*status, n));
  return n;
}

}  // namespace spillway
