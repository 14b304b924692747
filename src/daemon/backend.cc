// What the HTTP API asks of the daemon.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "daemon/daemon.h"
#include "daemon/decisions.h"
#include "daemon/objects_api.h"
#include "gateway/cipher_speed.h"
#include "model/decode.h"
#include "plan/planner.h"
#include "site/job_controller.h"
#include "site/objects.h"
#include "site/scheduler.h"

namespace spillway::daemon {
namespace {

// Catalogue entry of clouds that tests make (catalog/pretend.yaml).
constexpr std::string_view kPretend = "pretend";

store::ObjectKey KeyOf(const server::ObjectRef& ref) {
  const schema::Kind* kind = schema::Schemas::Embedded().FindResource(ref.kind);
  return {ref.kind, kind != nullptr && kind->namespaced ? ref.ns : "", ref.name};
}

server::EventView ViewOfEvent(const store::Event& e) {
  return {e.first,   e.last, {e.about.kind, e.about.ns, e.about.name}, e.warning, e.reason,
          e.message, e.count};
}

}  // namespace

Result<Daemon::ApplyOutcome> Daemon::Apply(const std::string& file_name, const std::string& text,
                                           const std::string& default_namespace, bool dry_run) {
  return cluster_->Apply(known_providers_, file_name, text, default_namespace, dry_run);
}

Result<std::vector<json::value>> Daemon::List(const std::string& kind, const std::string& ns) {
  std::vector<json::value> items;
  for (const store::ObjectPtr& object : store_->List(kind, ns)) items.push_back(object->body);
  if (kind == "Pod")
    for (const store::ObjectPtr& ended : store_->List(kEndedPod, ns))
      if (const json::value* pod = Find(ended->body, "pod");
          pod != nullptr && store_->Get({"Pod", ended->key.ns, ended->key.name}) == nullptr)
        items.push_back(*pod);
  return items;
}

Result<json::value> Daemon::Get(const server::ObjectRef& ref) {
  const store::ObjectPtr object = store_->Get(KeyOf(ref));
  if (object == nullptr && ref.kind == "Pod")
    if (const store::ObjectPtr ended = store_->Get({kEndedPod, ref.ns, ref.name}))
      if (const json::value* pod = Find(ended->body, "pod")) return *pod;
  if (object == nullptr)
    return Fail(Code::kNotFound, fmt::format("{} \"{}\" not found", ref.kind, ref.name));
  return object->body;
}

Status Daemon::Delete(const server::ObjectRef& ref, bool dry_run) {
  return cluster_->Delete(ref, dry_run);
}

std::vector<server::EventView> Daemon::Events(const std::optional<server::ObjectRef>& about) {
  std::vector<server::EventView> events;
  for (const store::Event& e : about ? store_->Events(KeyOf(*about)) : store_->RecentEvents(500))
    events.push_back(ViewOfEvent(e));
  return events;
}

Result<Daemon::LogChunk> Daemon::Logs(const std::string& ns, const std::string& pod,
                                      std::int64_t offset) {
  return cluster_->Logs(ns, pod, offset);
}

std::shared_ptr<const server::RoundView> Daemon::LastRound() {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

Result<std::shared_ptr<const server::RoundView>> Daemon::PlanWith(
    const std::string& file_name, const std::string& text, const std::string& default_namespace) {
  SPW_ASSIGN(std::unique_ptr<store::Store> copy, store_->Copy());
  SPW_ASSIGN(ApplyOutcome outcome, ApplyManifests(*copy, known_providers_, file_name, text,
                                                  default_namespace, false, clock_->Now()));
  if (!outcome.problems.empty())
    return Fail(Code::kInvalid, schema::FormatProblems(outcome.problems));
  Rng rng(1);  // names of pods that will never exist
  const auto jobs = site::ReconcileJobs(*copy, rng, clock_->Now());
  if (!jobs) return tl::unexpected(jobs.error());
  SPW_TRY(site::Schedule(*copy, clock_->Now()));
  SPW_ASSIGN(std::vector<BurstNode> nodes, store_->Nodes(clock_->Now() - 1h));
  SPW_ASSIGN(server::RoundView view, ViewOf(*copy, std::move(nodes)));
  view.plan = plan::MakePlan(view.snapshot);
  return std::make_shared<const server::RoundView>(std::move(view));
}

Result<std::vector<LedgerEntry>> Daemon::Ledger() {
  SPW_ASSIGN(const std::vector<store::LedgerRow> rows, store_->Ledger());
  std::vector<LedgerEntry> entries;
  for (const store::LedgerRow& row : rows) entries.push_back(row.entry);
  return entries;
}

Result<std::int64_t> Daemon::LedgerRecords() {
  return store_->LedgerRecords();
}

Result<std::string> Daemon::LedgerExport() {
  return store_->LedgerExport();
}

Result<std::vector<std::string>> Daemon::Certificates() {
  return gateway_->Certificates();
}

Result<std::string> Daemon::Certificate(const std::string& name) {
  return gateway_->Certificate(name);
}

json::value Daemon::DecisionOf(const std::string& workload) {
  return KeptDecision(*store_, workload);
}

std::vector<server::TransferView> Daemon::Transfers() {
  std::vector<server::TransferView> transfers;
  const auto nodes = store_->Nodes(clock_->Now());
  if (!nodes) return transfers;
  for (const BurstNode& node : *nodes) {
    if (!node.Live()) continue;
    const gateway::NodeProgress p = gateway_->Progress(node.name);
    transfers.push_back({node.name, p.staged_bytes, p.sealed_bytes, p.wipe_progress,
                         p.results_pending, p.problem, p.stage_bytes_per_s});
  }
  return transfers;
}

std::vector<server::Inspection> Daemon::Inspections() {
  return inspector_ ? inspector_->Results() : std::vector<server::Inspection>();
}

Result<server::Existing> Daemon::ExistingAtProviders() {
  server::Existing existing;
  for (const std::string& name : accounts_->Names()) {
    const auto cloud = accounts_->Find(name);
    if (cloud == nullptr) continue;
    const Result<ports::Inventory> inventory = cloud->List(accounts_->cluster_id());
    if (!inventory) return Fail(inventory.error().In(name));
    existing.instances += static_cast<int>(inventory->instances.size());
    existing.side_objects += static_cast<int>(inventory->stray.size());
    for (const ports::Instance& instance : inventory->instances)
      existing.side_objects += static_cast<int>(instance.side_objects.size());
  }
  return existing;
}

Result<json::value> Daemon::CatalogEntry(const std::string& id) {
  const catalog::Entry* entry = catalog_.Find(id);
  if (entry == nullptr)
    return Fail(Code::kNotFound, fmt::format("the catalogue has no provider \"{}\"", id));
  json::array evidence;
  for (const catalog::Evidence& e : entry->evidence)
    evidence.push_back(json::object{{"what", e.what},
                                    {"value", e.value},
                                    {"source", e.source},
                                    {"date", e.date},
                                    {"uncertain", e.uncertain}});
  json::array certificates;
  for (const std::string& c : entry->facts.certificates) certificates.emplace_back(c);
  return json::object{{"id", entry->facts.id},
                      {"name", entry->facts.name},
                      {"legalCountry", entry->facts.legal_country},
                      {"ownerCountry", entry->facts.owner_country},
                      {"usNexus", Name(entry->facts.us_nexus)},
                      {"usNexusEvidence", entry->facts.us_nexus_evidence},
                      {"certificates", std::move(certificates)},
                      {"jurisdictionNote", entry->jurisdiction_note},
                      {"evidence", std::move(evidence)}};
}

std::vector<server::Finding> Daemon::Doctor() {
  std::vector<server::Finding> findings;
  cluster_->AddFindings(findings);
  findings.push_back(
      {"catalogue", true,
       fmt::format("{} providers, read from {}", catalog_.entries().size(), options_.catalog_dir)});
  for (const auto& [kind, sentence] :
       {std::pair{"CloudProvider", "there is none, so there is nobody to rent from: apply one"},
        std::pair{"BurstPolicy", "there is none, so no pod may leave the site: apply one"}})
    if (store_->List(kind).empty()) findings.push_back({kind, false, sentence});
  const auto not_ready = accounts_->NotReady();
  for (const std::string& name : accounts_->Names()) {
    const auto it = not_ready.find(name);
    findings.push_back({"provider " + name, it == not_ready.end(),
                        it == not_ready.end() ? "the account answers and has quota" : it->second});
  }
  if (tunnels_)
    findings.push_back({"tunnel", options_.machine_problem.empty(),
                        options_.machine_problem.empty()
                            ? fmt::format("{} machines have an address in it", tunnels_->peers())
                            : options_.machine_problem});
  const Status keys = gateway_->CheckKeyService();
  findings.push_back({"keys", keys.has_value(),
                      keys ? fmt::format("run keys are kept by the {}", gateway_->KeyServiceName())
                           : fmt::format("{}; no run begins and no key is destroyed until that is "
                                         "better",
                                         keys.error().message)});
  findings.push_back({"cipher", true, gateway::DescribeCipher()});
  std::error_code error;
  const auto space = std::filesystem::space(options_.state_dir, error);
  const bool enough = !error && space.available > (std::uintmax_t{1} << 30);
  findings.push_back(
      {"disk", enough,
       error ? "the state directory cannot be measured"
             : fmt::format("{} MiB free for state and sealed chunks{}", space.available >> 20,
                           enough ? "" : "; free some: below 1 GiB runs may not be staged")});
  if (const auto view = LastRound())
    for (const std::string& problem : view->problems)
      findings.push_back({"object", false, problem});
  return findings;
}

std::vector<std::string> Daemon::Simulated() {
  std::vector<std::string> simulated = cluster_->Simulated();
  for (const store::ObjectPtr& provider : store_->List("CloudProvider"))
    if (StringOr(site::SpecOf(provider->body), "type", "") == "simulated") {
      simulated.emplace_back(
          "providers: accounts, stock, boot times and meters of every CloudProvider of type "
          "simulated; prices and facts are real, with source and date.");
      simulated.emplace_back(
          "rented machines: each one is a spillway-node process of this computer, its directory is "
          "the rented disk.");
      break;
    }
  for (const store::ObjectPtr& provider : store_->List("CloudProvider"))
    if (StringOr(site::SpecOf(provider->body), "catalog", "") == kPretend) {
      simulated.push_back(fmt::format(
          "providers: {} is a test cloud (catalogue entry \"{}\"), its prices are made up and the "
          "GPUs of its machines are numbers that a device plug-in hands out.",
          provider->key.name, kPretend));
      break;
    }
  if (system_clock_.scale() != 1)
    simulated.push_back(fmt::format(
        "time: the clock runs {} times faster, so times and bills are those of the longer run.",
        system_clock_.scale()));
  return simulated;
}

std::int64_t Daemon::WaitForChange(std::int64_t revision, Duration timeout) {
  std::unique_lock lock(change_mutex_);
  change_.wait_for(lock, timeout, [&] { return change_revision_ > revision || stopping_; });
  return change_revision_;
}

}  // namespace spillway::daemon
