// For tests: a small world put together by hand, and a Backend that tells it. At noon, Job
// vision/base runs at the site, vision/sweep on a rented node, and labs/tune waits because its
// Budget is nearly used up. An earlier node of vision/sweep is gone.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/decode.h"
#include "server/backend.h"

namespace spillway::server {

inline Time At(std::string_view clock_time) {
  return *ParseTime("2026-11-24T" + std::string(clock_time) + "Z");
}

inline Offer OvhOffer() {
  Offer offer;
  offer.provider = offer.catalog = "ovhcloud";
  offer.region = "GRA11";
  offer.country = "FR";
  offer.area = "EU";
  offer.instance_type = "h100-380";
  offer.allocatable = {30'000, std::int64_t{380} << 30, 0, 1, {}};
  offer.labels = {{"nvidia.com/gpu.product", "NVIDIA-H100-PCIe"}};
  offer.price_per_hour = Money::Micro(2'800'000);
  offer.source = "price list";
  offer.read_at = At("00:00:00");
  return offer;
}

inline Offer ScalewayOffer() {
  Offer offer = OvhOffer();
  offer.provider = offer.catalog = "scaleway";
  offer.region = "fr-par-2";
  offer.instance_type = "H100-SXM-4-80G";
  offer.stock = Stock::kAvailable;
  offer.allocatable = {64'000, std::int64_t{480} << 30, 0, 4, {}};
  offer.labels = {{"nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"}};
  offer.price_per_hour = Money::Micro(10'692'001);
  return offer;
}

inline std::vector<ProviderFacts> TwoProviders() {
  ProviderFacts ovh;
  ovh.id = "ovhcloud";
  ovh.name = "OVHcloud";
  ovh.legal_country = ovh.owner_country = "FR";
  ovh.us_nexus = UsNexus::kSubsidiary;
  ovh.us_nexus_evidence = "OVH US LLC, annual report, 2026-01-01";
  ovh.certificates = {"ISO27001"};
  ovh.billing.step = 1h;
  ovh.billing.clock_aligned = true;
  ProviderFacts scaleway;
  scaleway.id = "scaleway";
  scaleway.name = "Scaleway";
  scaleway.legal_country = scaleway.owner_country = "FR";
  scaleway.us_nexus = UsNexus::kNone;
  scaleway.us_nexus_evidence = "none found, 2026-01-01";
  scaleway.certificates = {"ISO27001"};
  scaleway.side_objects = {{"disk", Money::Micro(7'100), false}};
  return {ovh, scaleway};
}

// Rented at 11:40, runs since 11:45 for sweep-0 and sweep-1.
inline BurstNode RunningNode() {
  BurstNode node;
  node.name = "bn-00002";
  node.serial = 2;
  node.ns = "vision";
  node.policy = "research";
  node.budget = "vision";
  node.workload = "vision/Job/sweep";
  node.why = "the site has no room";
  node.pods = {{"vision/sweep-0", "u0"}, {"vision/sweep-1", "u1"}};
  node.offer = ScalewayOffer();
  node.forecast.boot = 2min;
  node.forecast.stage = 1min;
  node.forecast.run = 30min;
  node.forecast.paid = 40min;
  node.forecast.total = Money::Cents(713);
  node.forecast.worst_case = Money::Euro(21);
  node.phase = Phase::kRunning;
  node.instance_id = "i-2";
  node.instance_may_exist = true;
  node.created_at = At("11:40:00");
  node.phase_since = node.created_at + 5min;
  node.history = {{Phase::kPlanned, At("11:40:00")},     {Phase::kRequested, At("11:40:01")},
                  {Phase::kProvisioned, At("11:41:00")}, {Phase::kJoined, At("11:43:00")},
                  {Phase::kStaged, At("11:44:30")},      {Phase::kRunning, At("11:45:00")}};
  node.meter_start = At("11:41:00");
  node.running_since = At("11:45:00");
  node.side_objects = {{"disk", "d-2", Money::Micro(60'000), false, {}}};
  return node;
}

// Rented at 10:00 for sweep-0 and a pod of vision/one, gone at 10:30.
inline BurstNode GoneNode() {
  BurstNode node = RunningNode();
  node.name = "bn-00001";
  node.serial = 1;
  node.pods = {{"vision/one", "u9"}, {"vision/sweep-0", "u0"}, {"vision/sweep-1", "u1"}};
  node.phase = Phase::kGone;
  node.phase_since = At("10:30:00");
  node.created_at = At("10:00:00");
  node.history = {{Phase::kPlanned, At("10:00:00")},
                  {Phase::kWiping, At("10:20:00")},
                  {Phase::kDeleting, At("10:21:00")},
                  {Phase::kGone, At("10:30:00")}};
  node.meter_start = At("10:00:00");
  node.meter_stop = At("10:30:00");
  node.side_objects.clear();
  node.forecast.total = Money::Micro(5'000'000);
  node.paid = 1800s;
  node.computed = 1000s;
  node.cost_compute = Money::Micro(4'999'999);
  node.cost_egress = Money::Micro(1);
  node.cost = Money::Micro(5'000'000);
  node.settled = true;
  node.bytes_in = 1000;
  node.bytes_out = 10;
  node.never_left_objects = 3;
  node.never_left_bytes = 333;
  node.wipe_class = WipeClass::kFull;
  node.wipe_verified = true;
  node.certificate = "bn-00001.json";
  return node;
}

inline Pod MakePod(const std::string& ns, const std::string& name, std::int32_t workload,
                   const std::string& node, PodPhase phase) {
  Pod pod;
  pod.key = ns + "/" + name;
  pod.ns = ns;
  pod.workload = workload;
  pod.node = node;
  pod.phase = phase;
  pod.unschedulable = node.empty();
  return pod;
}

inline Workload MakeWorkload(const std::string& ns, const std::string& job,
                             std::vector<std::int32_t> pods) {
  Workload workload;
  workload.key = ns + "/Job/" + job;
  workload.ns = ns;
  workload.pods = std::move(pods);
  workload.data_class = DataClass::kInternal;
  workload.data_class_source = "Dataset " + ns + "/digits";
  return workload;
}

inline Snapshot NoonSnapshot() {
  Snapshot s;
  s.now = At("12:00:00");
  PodShape one_gpu;
  one_gpu.requests.gpus = 1;
  s.shapes = {one_gpu};
  Node rented, site;
  rented.name = "bn-00002";
  rented.rented = true;
  rented.allocatable.gpus = 4;
  site.name = "gpu-1";
  site.allocatable.gpus = 4;
  s.nodes = {rented, site};
  s.pods = {MakePod("labs", "tune-0", 0, "", PodPhase::kPending),
            MakePod("vision", "base-0", 1, "gpu-1", PodPhase::kRunning),
            MakePod("vision", "sweep-0", 2, "bn-00002", PodPhase::kRunning),
            MakePod("vision", "sweep-1", 2, "bn-00002", PodPhase::kPending)};
  s.workloads = {MakeWorkload("labs", "tune", {0}), MakeWorkload("vision", "base", {1}),
                 MakeWorkload("vision", "sweep", {2, 3})};
  s.workloads[0].waiting_since = At("11:58:00");
  Policy policy;
  policy.name = "research";
  policy.namespaces = {"labs", "vision"};
  policy.data_classes = {DataClass::kPublic, DataClass::kInternal};
  policy.max_per_gpu_hour = Money::Cents(350);
  s.policies = {policy};
  s.facts = TwoProviders();
  for (const char* name : {"ovhcloud", "scaleway"}) {
    ProviderAccount account;
    account.name = account.catalog = name;
    s.accounts.push_back(account);
  }
  s.offers = {OvhOffer(), ScalewayOffer()};
  BudgetState labs, vision;
  labs.name = "labs";
  labs.namespaces = {"labs"};
  labs.amount = Money::Euro(25);
  labs.spent = Money::Cents(2490);
  labs.period = vision.period = "month";
  labs.period_ends = vision.period_ends = *ParseTime("2026-12-01T00:00:00Z");
  vision.name = "vision";
  vision.namespaces = {"vision"};
  vision.amount = Money::Euro(500);
  vision.spent = Money::Euro(5);
  vision.reserved = Money::Euro(21);
  s.budgets = {labs, vision};
  s.burst_nodes = {GoneNode(), RunningNode()};
  return s;
}

inline RoundView NoonRound() {
  RoundView round;
  round.snapshot = NoonSnapshot();
  Decision decision;
  decision.workload = 0;
  decision.verdict = Verdict::kWait;
  decision.reason = Reason::kBudget;
  decision.sentence = "waits: Budget labs lacks 1.20 €";
  decision.estimate = Money::Cents(130);
  decision.missing = Money::Cents(120);
  decision.explanation = 0;
  round.plan.decisions = {decision};
  round.plan.explanations = {{{{1, OfferReason::kNotRented, "budget", Money::Cents(130)},
                               {0, OfferReason::kUsNexus, "subsidiary", std::nullopt}}}};
  return round;
}

// The same with one rental for labs/tune, as a plan with other manifests might have it.
inline RoundView RentingRound() {
  RoundView round = NoonRound();
  Rental rental;
  rental.offer = 1;
  rental.budget = 0;
  rental.ns = "labs";
  rental.workload = "labs/Job/tune";
  rental.pods = {0};
  rental.why = "cheapest";
  round.plan.rentals = {rental};
  round.plan.decisions[0].verdict = Verdict::kRent;
  round.plan.decisions[0].reason = Reason::kNone;
  round.plan.decisions[0].rentals = {0};
  round.plan.explanations[0].offers[0].reason = OfferReason::kChosen;
  return round;
}

inline json::value JobObject(const std::string& ns, const std::string& name, json::object status) {
  return json::object{{"apiVersion", "batch/v1"},
                      {"kind", "Job"},
                      {"metadata", json::object{{"name", name},
                                                {"namespace", ns},
                                                {"creationTimestamp", "2026-11-24T09:50:00Z"},
                                                {"labels", json::object{{"app", name}}}}},
                      {"spec", json::object{}},
                      {"status", std::move(status)}};
}

inline json::value PodObject(const std::string& ns, const std::string& name, const std::string& job,
                             const std::string& node, json::object state) {
  json::object metadata{{"name", name}, {"namespace", ns}};
  metadata["creationTimestamp"] = "2026-11-24T09:50:00Z";
  if (!job.empty())
    metadata["ownerReferences"] = json::array{json::object{{"kind", "Job"}, {"name", job}}};
  json::array statuses{json::object{{"state", std::move(state)}}};
  return json::object{{"apiVersion", "v1"},
                      {"kind", "Pod"},
                      {"metadata", std::move(metadata)},
                      {"spec", json::object{{"nodeName", node}}},
                      {"status", json::object{{"containerStatuses", std::move(statuses)}}}};
}

inline json::object RunningState(std::string_view since) {
  return {{"running", json::object{{"startedAt", FormatTime(At(since))}}}};
}
inline json::object EndedState(std::string_view from, std::string_view to, int exit_code) {
  return {{"terminated", json::object{{"startedAt", FormatTime(At(from))},
                                      {"finishedAt", FormatTime(At(to))},
                                      {"exitCode", exit_code}}}};
}

// Public members are what it tells; a test changes them before it starts the server. What the
// server did is in `applied_text`, `applied_dry` and `deleted`.
class FakeBackend final : public Backend {
 public:
  FakeBackend() {
    objects["Job"] = {JobObject("labs", "tune", {}), JobObject("vision", "base", {}),
                      JobObject("vision", "sweep", {})};
    objects["Pod"] = {
        PodObject("labs", "tune-0", "tune", "", {}),
        PodObject("vision", "base-0", "base", "gpu-1", RunningState("09:55:00")),
        PodObject("vision", "one", "", "bn-00001", EndedState("10:05:00", "10:15:00", 3)),
        PodObject("vision", "sweep-0", "sweep", "bn-00002", RunningState("11:45:00")),
        PodObject("vision", "sweep-1", "sweep", "bn-00002", {})};
    objects["BurstNode"] = {EncodeBurstNode(GoneNode()), EncodeBurstNode(RunningNode())};
  }

  std::shared_ptr<const RoundView> round = std::make_shared<RoundView>(NoonRound());
  std::map<std::string, std::vector<json::value>> objects;
  std::vector<schema::Problem> problems;
  std::string log = "one\ntwo\n";
  bool log_finished = true;
  bool providers_answer = true;
  std::atomic<std::int64_t> revision{7};

  std::string applied_text, applied_file, applied_namespace;
  bool applied_dry = false;
  int deleted = 0;

  Result<ApplyOutcome> Apply(const std::string& file_name, const std::string& text,
                             const std::string& default_namespace, bool dry_run) override {
    if (text == "full disk") return Fail(Code::kInternal, "the disk is full");
    if (!problems.empty()) return ApplyOutcome{{}, problems};
    applied_file = file_name;
    applied_text = text;
    applied_namespace = default_namespace;
    applied_dry = dry_run;
    return ApplyOutcome{{{{"Job", default_namespace, "sweep"}, "created"}}, {}};
  }

  Result<std::vector<json::value>> List(const std::string& kind, const std::string& ns) override {
    std::vector<json::value> found;
    for (const json::value& object : objects[kind])
      if (ns.empty() || StringOr(object.at("metadata"), "namespace", "") == ns)
        found.push_back(object);
    return found;
  }

  Result<json::value> Get(const ObjectRef& ref) override {
    for (const json::value& object : objects[ref.kind])
      if (StringOr(object.at("metadata"), "namespace", "") == ref.ns &&
          StringOr(object.at("metadata"), "name", "") == ref.name)
        return object;
    return Fail(Code::kNotFound, ref.kind + " " + ref.ns + "/" + ref.name + " does not exist");
  }

  spillway::Status Delete(const ObjectRef& ref, bool dry_run) override {
    const auto object = Get(ref);
    if (!object) return Fail(object.error());
    if (ref.kind == "BurstNode") return Fail(Code::kConflict, "BurstNode is Spillway's own");
    deleted += !dry_run;
    return Ok();
  }

  std::vector<EventView> Events(const std::optional<ObjectRef>& about) override {
    const EventView older{At("11:00:00"),
                          At("11:30:00"),
                          {"Pod", "vision", "sweep-0"},
                          true,
                          "FailedScheduling",
                          "no room",
                          3};
    const EventView newer{At("11:40:00"),
                          At("11:40:00"),
                          {"Job", "labs", "tune"},
                          false,
                          "SuccessfulCreate",
                          "pod",
                          1};
    if (!about) return {newer, older};
    return about->name == "sweep-0" ? std::vector{older} : std::vector<EventView>{};
  }

  Result<LogChunk> Logs(const std::string&, const std::string& pod, std::int64_t offset) override {
    if (pod != "sweep-0") return Fail(Code::kNotFound, "Pod " + pod + " does not exist");
    const auto at = std::min(static_cast<std::size_t>(offset), log.size());
    return LogChunk{log.substr(at, kLogPiece), log_finished};
  }

  std::shared_ptr<const RoundView> LastRound() override { return round; }
  Result<std::shared_ptr<const RoundView>> PlanWith(const std::string&, const std::string&,
                                                    const std::string&) override {
    return std::make_shared<const RoundView>(RentingRound());
  }
  json::value DecisionOf(const std::string& workload) override {
    if (workload != "vision/Job/sweep") return nullptr;
    return json::object{{"at", "2026-11-24T11:00:00Z"},
                        {"sentence", "rents scaleway/fr-par-2/H100-SXM-4-80G"},
                        {"offers", json::array()}};
  }
  std::vector<TransferView> Transfers() override { return {{"bn-00002", 512, 1024, 0.25, 1, ""}}; }

  Result<std::vector<LedgerEntry>> Ledger() override { return std::vector<LedgerEntry>(5); }
  Result<std::int64_t> LedgerRecords() override { return 5; }
  Result<std::string> LedgerExport() override { return "{\"seq\":1}\n"; }
  Result<std::vector<std::string>> Certificates() override {
    return std::vector<std::string>{"bn-00003.json", "bn-00001.json"};
  }
  Result<std::string> Certificate(const std::string& name) override {
    return "{\"file\":\"" + name + "\"}";
  }
  std::vector<Inspection> Inspections() override {
    return {{"bn-00001", false, 100, 0}, {"bn-00001", true, 200, 0}};
  }
  Result<Existing> ExistingAtProviders() override {
    if (!providers_answer) return Fail(Code::kUnavailable, "scaleway cannot be listed");
    return Existing{1, 2};
  }
  Result<json::value> CatalogEntry(const std::string& id) override {
    if (id != "scaleway") return Fail(Code::kNotFound, "there is no provider " + id);
    return json::value(json::object{{"id", id}});
  }
  std::vector<Finding> Doctor() override {
    return {{"sandbox", false, "namespaces are forbidden"}, {"disk", true, "there is room"}};
  }
  std::vector<std::string> Simulated() override { return {"machines are simulated"}; }
  Time Now() override { return At("12:00:00"); }
  int TimeScale() override { return 30; }

  // Never blocks for long: a stream that waits sees a new revision after its first event.
  std::int64_t WaitForChange(std::int64_t seen, Duration) override {
    if (seen == revision) ++revision;
    return revision;
  }
};

}  // namespace spillway::server
