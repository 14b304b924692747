// BurstNode <-> its custom resource (deploy/crds/burstnodes.spillway.dev.yaml).
#include <fmt/format.h>

#include <utility>

#include "base/quantity.h"
#include "model/decode.h"
#include "model/text.h"

namespace spillway {
namespace {

std::string_view TextOf(BillingTerms::MeterStart m) {
  return m == BillingTerms::MeterStart::kCreate ? "create" : "active";
}
std::string_view TextOf(BillingTerms::MeterStop m) {
  return m == BillingTerms::MeterStop::kGone ? "gone" : "accepted";
}

// Written by EncodeBurstNode, so the texts are exact; what a person broke by hand reads as zero.
Duration DurationAt(const json::value& v, std::string_view key) {
  return ParseDuration(StringOr(v, key, "0")).value_or(Duration{0});
}
Money MoneyAt(const json::value& v, std::string_view key) {
  return ParseMoney(StringOr(v, key, "0 EUR")).value_or(Money());
}
std::string Text(Duration d) {
  return FormatDuration(d);
}
std::string Text(Money m) {
  return FormatMoney(m);
}

json::value OptionalTime(const std::optional<Time>& t) {
  return t ? json::value(FormatTime(*t)) : json::value(nullptr);
}
json::value OptionalDuration(const std::optional<Duration>& d) {
  return d ? json::value(Text(*d)) : json::value(nullptr);
}
// Of a spec, which never changes: nothing is said about what was not decided.
template <typename T>
json::value UnlessZero(T amount) {
  return amount == T{} ? json::value(nullptr) : json::value(Text(amount));
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

// A field that is not known is left out, as in every Kubernetes object.
json::object WithoutNulls(json::object object) {
  for (auto it = object.begin(); it != object.end();)
    it = it->value().is_null() ? object.erase(it) : it + 1;
  return object;
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
  return WithoutNulls({{"create", Text(d.create)},
                       {"boot", Text(d.boot)},
                       {"join", UnlessZero(d.join)},
                       {"stage", Text(d.stage)},
                       {"start", UnlessZero(d.start)},
                       {"giveBack", Text(d.give_back)},
                       {"wipe", Text(d.wipe)},
                       {"key", Text(d.key)},
                       {"lifetime", Text(d.lifetime)},
                       {"lease", Text(d.lease)}});
}

Deadlines DecodeDeadlines(const json::value& v) {
  return {.create = DurationAt(v, "create"),
          .boot = DurationAt(v, "boot"),
          .join = DurationAt(v, "join"),
          .stage = DurationAt(v, "stage"),
          .start = DurationAt(v, "start"),
          .give_back = DurationAt(v, "giveBack"),
          .wipe = DurationAt(v, "wipe"),
          .key = Find(v, "key") != nullptr ? DurationAt(v, "key") : Deadlines{}.key,
          .lifetime = DurationAt(v, "lifetime"),
          .lease = DurationAt(v, "lease")};
}

Forecast DecodeForecast(const json::value& v) {
  Forecast f;
  f.boot = DurationAt(v, "boot");
  f.stage = DurationAt(v, "stage");
  f.start = DurationAt(v, "start");
  f.run = DurationAt(v, "run");
  f.give_back = DurationAt(v, "giveBack");
  f.wipe = DurationAt(v, "wipe");
  f.paid = DurationAt(v, "paid");
  f.compute = MoneyAt(v, "compute");
  f.side_objects = MoneyAt(v, "sideObjects");
  f.egress = MoneyAt(v, "egress");
  f.total = MoneyAt(v, "total");
  f.worst_case = MoneyAt(v, "worstCase");
  f.failed_tries = MoneyAt(v, "failedTries");
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
  o.price_per_hour = MoneyAt(v, "pricePerHour");
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
  for (const SideObject& side : n.side_objects)
    out.push_back(WithoutNulls({{"kind", side.kind},
                                {"id", side.id},
                                {"pricePerHour", Text(side.price_per_hour)},
                                {"gone", side.gone},
                                {"goneAt", TimeOrNull(side.gone_at)}}));
  return out;
}

json::array EncodePods(const std::vector<PodRef>& pods) {
  json::array out;
  for (const PodRef& p : pods) out.push_back(json::object{{"key", p.key}, {"uid", p.uid}});
  return out;
}

std::vector<PodRef> DecodePods(const json::array& pods) {
  std::vector<PodRef> out;
  for (const json::value& p : pods)
    out.push_back({std::string(StringOr(p, "key", "")), std::string(StringOr(p, "uid", ""))});
  return out;
}

json::object EncodeSpec(const BurstNode& n) {
  json::array side_terms;
  for (const SideObjectTerms& s : n.side_terms)
    side_terms.push_back(json::object{{"kind", s.kind},
                                      {"pricePerHour", Text(s.price_per_hour)},
                                      {"deletedWithInstance", s.deleted_with_instance}});
  json::object spec{
      {"serial", n.serial},
      {"namespace", n.ns},
      {"policy", n.policy},
      {"budget", n.budget},
      {"workload", n.workload},
      {"why", n.why},
      {"gang", n.gang},
      {"gangSize", n.gang_size},
      {"pods", EncodePods(n.announced.empty() ? n.pods : n.announced)},
      {"offer", EncodeOffer(n.offer)},
      {"billing", json::object{{"step", Text(n.billing.step)},
                               {"clockAligned", n.billing.clock_aligned},
                               {"minimum", Text(n.billing.minimum)},
                               {"meterStarts", TextOf(n.billing.meter_starts)},
                               {"meterStops", TextOf(n.billing.meter_stops)}}},
      {"sideTerms", side_terms},
      {"egressPerGib", Text(n.egress_per_gib)},
      {"forecast", EncodeForecast(n.forecast)},
      {"deadlines", EncodeDeadlines(n.deadlines)},
      {"scratch", n.scratch == Scratch::kSealed ? kScratchSealed : "any"},
      {"wipe", json::object{{"overwrite", n.overwrite == Overwrite::kUsed ? "used" : "whole"},
                            {"verify", n.verify == WipeCheck::kFull ? "full" : "sample"}}}};
  if (!n.shards.empty()) spec["shards"] = json::array(n.shards.begin(), n.shards.end());
  return spec;
}

// When the phase was first reached, or the first one after it. Empty: not yet.
std::optional<Time> Reached(const BurstNode& n, Phase phase) {
  for (const auto& [reached, at] : n.history)
    if (reached >= phase) return at;
  return std::nullopt;
}

// Of the condition Ready: it is True from Joined to the end of Returning. A node that failed was
// ready until it was taken out of use; the moment itself is not kept.
Time ReadySince(const BurstNode& n, bool ready) {
  const std::optional<Time> joined = Reached(n, Phase::kJoined);
  if (ready) return joined.value_or(n.phase_since);
  if (const auto ended = Reached(n, Phase::kWiping)) return *ended;
  return n.Failed() ? n.phase_since : n.created_at;
}

// Each condition changes its time only when its status changes, whatever the phase does.
json::array EncodeConditions(const BurstNode& n) {
  json::array out;
  auto add = [&](std::string_view type, bool status, std::string_view reason, std::string message,
                 Time since) {
    // Kubernetes counts whole seconds.
    out.push_back(json::object{
        {"type", type},
        {"status", status ? "True" : "False"},
        {"reason", reason},
        {"message", std::move(message)},
        {"lastTransitionTime", FormatTime(std::chrono::floor<std::chrono::seconds>(since))},
        {"observedGeneration", 1}});  // the decision never changes
  };
  const bool ready = n.phase >= Phase::kJoined && n.phase <= Phase::kReturning && !n.Failed();
  add("Ready", ready, Name(n.phase), PhaseSentence(n), ReadySince(n, ready));
  if (n.Failed()) add("Failed", true, Name(n.failure), n.failure_detail, ReadySince(n, false));
  if (n.key_owed_since)
    add("KeyDestroyed", n.key_destroyed, n.key_destroyed ? "DestroyedLate" : "Owed",
        KeyDebtSentence(n), n.key_destroyed ? n.key_destroyed_at : *n.key_owed_since);
  // While the key lives, nothing is erased.
  if (n.wipe_class != WipeClass::kNone && !n.KeyOwed())
    add("Wiped", true, n.wipe_class == WipeClass::kFull ? "Full" : "CryptoEraseOnly",
        "certificate " + n.certificate, Reached(n, Phase::kDeleting).value_or(n.phase_since));
  const bool gone = !n.Live();
  const bool key_left = n.OnlyKeyLeft();
  add("Gone", gone,
      gone       ? "NothingLeft"
      : key_left ? "KeyOwed"
                 : "MeterMayRun",
      gone || key_left ? PhaseSentence(n) : n.offer.provider + " may still count",
      gone ? n.phase_since : n.created_at);
  return out;
}

json::object EncodeStatus(const BurstNode& n) {
  return WithoutNulls(
      {{"phase", Name(n.phase)},
       {"phaseSince", FormatTime(n.phase_since)},
       {"createdAt", FormatTime(n.created_at)},
       {"failure", n.Failed() ? json::value(Name(n.failure)) : json::value(nullptr)},
       {"failureDetail", n.failure_detail},
       {"instanceId", n.instance_id},
       {"instanceMayExist", n.instance_may_exist},
       {"pods", n.announced.empty() ? json::value(nullptr) : EncodePods(n.pods)},
       {"podsAdmitted", n.pods_admitted},
       {"runPrepared", n.run_prepared},
       {"registeredAt", OptionalTime(n.registered_at)},
       {"preparedAt", OptionalTime(n.prepared_at)},
       {"keyDestroyed", n.key_destroyed},
       {"keyDestroyedAt", TimeOrNull(n.key_destroyed_at)},
       {"keyOwedSince", OptionalTime(n.key_owed_since)},
       {"deleteAccepted", n.delete_accepted},
       {"deleteAcceptedAt", TimeOrNull(n.delete_accepted_at)},
       {"absentLists", n.absent_lists},
       {"lastListSeen", TimeOrNull(n.last_list_seen)},
       {"history", EncodeHistory(n)},
       {"meterStart", OptionalTime(n.meter_start)},
       {"meterStop", OptionalTime(n.meter_stop)},
       {"runningSince", OptionalTime(n.running_since)},
       {"computedUntil", OptionalTime(n.computed_until)},
       {"startTook", OptionalDuration(n.start_took)},
       {"perHour", RoundedMoney(n.offer.price_per_hour)},
       {"costSoFar", RoundedMoney(n.cost)},
       {"cost", Text(n.cost)},
       {"costCompute", Text(n.cost_compute)},
       {"costSideObjects", Text(n.cost_side_objects)},
       {"costEgress", Text(n.cost_egress)},
       {"paid", Text(n.paid)},
       {"computed", Text(n.computed)},
       {"settled", n.settled},
       {"sideObjects", EncodeSideObjects(n)},
       {"bytesIn", n.bytes_in},
       {"bytesOut", n.bytes_out},
       {"neverLeftObjects", n.never_left_objects},
       {"neverLeftBytes", n.never_left_bytes},
       {"resultsReceipted", n.results_receipted},
       {"resultsComplete", n.results_complete},
       {"wipe", json::object{{"class", Name(n.wipe_class)},
                             {"verified", n.wipe_verified},
                             {"certificate", n.certificate}}},
       {"conditions", EncodeConditions(n)}});
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
  if (const json::array* pods = FindArray(spec, "pods")) n.pods = DecodePods(*pods);
  if (const json::array* shards = FindArray(spec, "shards"))
    for (const json::value& text : *shards)
      if (text.is_string()) n.shards.emplace_back(View(text.get_string()));
  if (const json::value* offer = Find(spec, "offer")) {
    SPW_ASSIGN(n.offer, DecodeOffer(*offer));
  }
  if (const json::value* b = Find(spec, "billing")) {
    n.billing.step = DurationAt(*b, "step");
    n.billing.clock_aligned = BoolOr(*b, "clockAligned", false);
    n.billing.minimum = DurationAt(*b, "minimum");
    n.billing.meter_starts = StringOr(*b, "meterStarts", "create") == "active"
                                 ? BillingTerms::MeterStart::kRunning
                                 : BillingTerms::MeterStart::kCreate;
    n.billing.meter_stops = StringOr(*b, "meterStops", "gone") == "accepted"
                                ? BillingTerms::MeterStop::kDeleteAccepted
                                : BillingTerms::MeterStop::kGone;
  }
  if (const json::array* side = FindArray(spec, "sideTerms"))
    for (const json::value& s : *side)
      n.side_terms.push_back({std::string(StringOr(s, "kind", "")), MoneyAt(s, "pricePerHour"),
                              BoolOr(s, "deletedWithInstance", false)});
  n.egress_per_gib = MoneyAt(spec, "egressPerGib");
  if (const json::value* f = Find(spec, "forecast")) n.forecast = DecodeForecast(*f);
  if (const json::value* d = Find(spec, "deadlines")) n.deadlines = DecodeDeadlines(*d);
  n.scratch = StringOr(spec, "scratch", "any") == kScratchSealed ? Scratch::kSealed : Scratch::kAny;
  if (const json::value* w = Find(spec, "wipe")) {
    n.overwrite =
        StringOr(*w, "overwrite", "used") == "whole" ? Overwrite::kWhole : Overwrite::kUsed;
    n.verify = StringOr(*w, "verify", "full") == "sample" ? WipeCheck::kSample : WipeCheck::kFull;
  }
  return Ok();
}

void DecodeEvidence(const json::value& status, BurstNode& n) {
  n.cost = MoneyAt(status, "cost");
  n.cost_compute = MoneyAt(status, "costCompute");
  n.cost_side_objects = MoneyAt(status, "costSideObjects");
  n.cost_egress = MoneyAt(status, "costEgress");
  n.paid = DurationAt(status, "paid");
  n.computed = DurationAt(status, "computed");
  n.settled = BoolOr(status, "settled", false);
  n.bytes_in = IntOr(status, "bytesIn", 0);
  n.bytes_out = IntOr(status, "bytesOut", 0);
  n.never_left_objects = IntOr(status, "neverLeftObjects", 0);
  n.never_left_bytes = IntOr(status, "neverLeftBytes", 0);
  n.results_receipted = static_cast<int>(IntOr(status, "resultsReceipted", 0));
  n.results_complete = BoolOr(status, "resultsComplete", false);
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
  SPW_ASSIGN(n.key_owed_since, OptionalTimeAt(status, "keyOwedSince"));
  SPW_ASSIGN(n.delete_accepted_at, TimeAt(status, "deleteAcceptedAt"));
  SPW_ASSIGN(n.last_list_seen, TimeAt(status, "lastListSeen"));
  SPW_ASSIGN(n.meter_start, OptionalTimeAt(status, "meterStart"));
  SPW_ASSIGN(n.meter_stop, OptionalTimeAt(status, "meterStop"));
  SPW_ASSIGN(n.running_since, OptionalTimeAt(status, "runningSince"));
  SPW_ASSIGN(n.computed_until, OptionalTimeAt(status, "computedUntil"));
  SPW_ASSIGN(n.registered_at, OptionalTimeAt(status, "registeredAt"));
  SPW_ASSIGN(n.prepared_at, OptionalTimeAt(status, "preparedAt"));
  if (Find(status, "startTook") != nullptr) n.start_took = DurationAt(status, "startTook");
  if (const json::array* history = FindArray(status, "history"))
    for (const json::value& h : *history) {
      SPW_ASSIGN(const Time at, TimeAt(h, "at"));
      n.history.emplace_back(PhaseFrom(StringOr(h, "phase", "")).value_or(Phase::kPlanned), at);
    }
  if (const json::array* side = FindArray(status, "sideObjects"))
    for (const json::value& s : *side) {
      SPW_ASSIGN(const Time gone_at, TimeAt(s, "goneAt"));
      n.side_objects.push_back({std::string(StringOr(s, "kind", "")),
                                std::string(StringOr(s, "id", "")), MoneyAt(s, "pricePerHour"),
                                BoolOr(s, "gone", false), gone_at});
    }
  DecodeEvidence(status, n);
  return Ok();
}

}  // namespace

json::value EncodeOffer(const Offer& o) {
  return WithoutNulls({{"provider", o.provider},
                       {"catalog", o.catalog},
                       {"region", o.region},
                       {"country", o.country},
                       {"area", o.area},
                       {"instanceType", o.instance_type},
                       {"capacity", Name(o.capacity)},
                       {"stock", Name(o.stock)},
                       {"allocatable", EncodeResources(o.allocatable)},
                       {"labels", EncodeLabels(o.labels)},
                       {"pricePerHour", Text(o.price_per_hour)},
                       {"source", o.source},
                       {"readAt", TimeOrNull(o.read_at)}});
}

json::value EncodeForecast(const Forecast& f) {
  return WithoutNulls({{"boot", Text(f.boot)},
                       {"stage", Text(f.stage)},
                       {"start", UnlessZero(f.start)},
                       {"run", Text(f.run)},
                       {"giveBack", Text(f.give_back)},
                       {"wipe", Text(f.wipe)},
                       {"paid", Text(f.paid)},
                       {"compute", Text(f.compute)},
                       {"sideObjects", Text(f.side_objects)},
                       {"egress", Text(f.egress)},
                       {"total", Text(f.total)},
                       {"worstCase", Text(f.worst_case)},
                       {"failedTries", UnlessZero(f.failed_tries)}});
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
  if (const json::array* pods = FindArray(*status, "pods"))
    n.announced = std::exchange(n.pods, DecodePods(*pods));
  SPW_TRY(DecodeStatus(*status, n));
  return n;
}

}  // namespace spillway
