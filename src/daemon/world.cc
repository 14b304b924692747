// What a round looks at, and what people are told of it.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "control/budget.h"
#include "control/offer_times.h"
#include "daemon/daemon.h"
#include "daemon/decisions.h"
#include "daemon/object_status.h"
#include "server/views.h"
#include "site/objects.h"
#include "site/snapshot.h"

namespace spillway::daemon {
namespace {

// Budgets look at nodes that went since the earliest period began.
constexpr Duration kLongestPeriod{std::chrono::hours(24 * 366)};

}  // namespace

Result<server::RoundView> Daemon::ViewOf(store::Store& store, std::vector<BurstNode> nodes) {
  site::SnapshotInputs inputs;
  inputs.now = clock_->Now();
  inputs.burst_nodes = std::move(nodes);
  for (const catalog::Entry& entry : catalog_.entries()) inputs.facts.push_back(entry.facts);
  inputs.offers = accounts_->Offers();
  inputs.not_ready = accounts_->NotReady();
  inputs.selected_bytes = [this](const DatasetInfo& dataset,
                                 const std::vector<std::string>& narrow) {
    return gateway_->SelectedBytes(dataset, narrow);
  };
  site::SnapshotResult built = site::BuildSnapshot(store, std::move(inputs));
  SPW_ASSIGN(const std::vector<BurstNode> all, store_->Nodes(clock_->Now() - kLongestPeriod));
  control::FillBudgets(built.snapshot.budgets, all, built.snapshot.now);
  built.snapshot.times = control::LearnOfferTimes(all);
  server::RoundView view{std::move(built.snapshot), {}, std::move(built.problems), {}};
  for (const BurstNode& node : all) {
    if (node.Live()) continue;
    server::ProviderView& provider = view.providers[node.offer.provider];
    provider.settled += node.cost;
    ++provider.returned[server::WipeOutcomeOf(node)];
  }
  return view;
}

control::Observation Daemon::ObservationOf(
    const BurstNode& node, const std::map<std::string, ports::Inventory>& inventories) {
  control::Observation o;
  {
    const std::lock_guard lock(answers_mutex_);
    if (const auto it = created_.find(node.name); it != created_.end())
      o.create = it->second.second;
    if (const auto it = deleted_.find(node.name); it != deleted_.end())
      o.deletion = it->second.second;
  }
  if (const auto it = inventories.find(node.offer.provider); it != inventories.end()) {
    control::Seen seen;
    seen.read_at = it->second.read_at;
    for (const ports::Instance& instance : it->second.instances)
      if (instance.name == node.name) seen.instances.push_back(instance);
    const std::string prefix = node.name + "/";
    for (const SideObject& side : it->second.stray)
      if (side.id.starts_with(prefix)) seen.stray.push_back(side);
    o.seen = std::move(seen);
  }
  if (const auto it = joined_.find(node.name); it != joined_.end()) o.node = it->second;
  o.registered = o.node || (node.phase < Phase::kJoined && gateway_->NodeReport(node.name));
  o.run = gateway_->RunReport(node.name);
  o.pods = cluster_->PodReports(node);
  o.end_asked = cluster_->EndAsked(node.name);
  return o;
}

Result<control::World> Daemon::Observe(std::vector<BurstNode> nodes, std::int64_t last_serial) {
  control::World world;
  world.last_serial = last_serial;
  world.synced = cluster_->Ready() && accounts_->AllPolled();
  world.inventories = accounts_->Inventories();
  {
    const std::lock_guard lock(answers_mutex_);
    answers_seen_ = answer_serial_;
  }
  for (const BurstNode& node : nodes)
    if (node.Live()) world.observations.emplace(node.name, ObservationOf(node, world.inventories));
  SPW_ASSIGN(server::RoundView view, ViewOf(*store_, std::move(nodes)));
  world.snapshot = std::move(view.snapshot);
  for (const std::string& problem : view.problems)
    if (std::find(problems_.begin(), problems_.end(), problem) == problems_.end())
      log::Warn("an object cannot be understood", {{"problem", problem}});
  problems_ = std::move(view.problems);
  providers_ = std::move(view.providers);
  for (const auto& [name, inventory] : world.inventories)
    providers_[name].listed_at = inventory.read_at;
  deciding_ = {};
  journal_->TakeCommitTime();
  return world;
}

void Daemon::Published(control::World world, const control::RoundResult& result) {
  metrics::OfProcess().plan_seconds.Observe(deciding_.Read() - journal_->TakeCommitTime());
  if (!world.synced) return;
  {
    // Answers that this round saw are consumed.
    const std::lock_guard lock(answers_mutex_);
    const auto seen = [&](const auto& answer) { return answer.second.first <= answers_seen_; };
    std::erase_if(created_, seen);
    std::erase_if(deleted_, seen);
  }
  auto view = std::make_shared<server::RoundView>();
  view->snapshot = std::move(world.snapshot);
  view->plan = result.plan;
  view->problems = problems_;
  view->providers = providers_;
  for (const control::Command& command : result.commands)
    if (const auto* orphan = std::get_if<control::DeleteOrphan>(&command))
      ++view->providers[orphan->provider].unknown;
  for (const BurstNode& node : result.changed)
    log::Info("burst node", {{"node", node.name},
                             {"phase", Name(node.phase)},
                             {"failure", Name(node.failure)},
                             {"offer", node.offer.Key()},
                             {"detail", node.failure_detail}});
  TellPeople(*view, result.changed);
  reaction_.Decided(view->snapshot, view->plan.decisions);
  const std::shared_ptr<const server::RoundView> shown = view;
  {
    const std::lock_guard lock(view_mutex_);
    view_ = std::move(view);
  }
  WriteStatuses(*cluster_, shown->snapshot, clock_->Now());
  agreement_.Tell(*cluster_, *store_, known_providers_, clock_->Now());
  cluster_->Decided(shown->snapshot, result.plan);
  cluster_->Project(result.changed);
  Changed();
  if (options_.on_stored)
    for (const BurstNode& node : result.changed) options_.on_stored(node);
}

void Daemon::TellPeople(const server::RoundView& view, const std::vector<BurstNode>& changed) {
  std::vector<Told> told = story_.OfNodes(changed);
  const auto add = [&](std::vector<Told> more) {
    told.insert(told.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
  };
  for (const BurstNode& node : view.snapshot.burst_nodes) {
    if (node.phase < Phase::kJoined || node.phase > Phase::kRunning) continue;
    add(story_.OfStaging(node, gateway_->Progress(node.name), clock_->Now()));
  }
  std::vector<const Decision*> kept;
  add(story_.OfDecisions(view.snapshot, view.plan.decisions, &kept));
  for (const Told& one : told) {
    const store::ObjectKey about{one.kind, one.ns, one.name};
    if (one.progress)
      cluster_->UpdateEvent(about, one.reason, one.message);
    else
      cluster_->AddEvent(about, one.warning, one.reason, one.message);
  }
  std::map<std::string, json::value> records;
  for (const Decision* decision : kept) {
    // "It is on its way" only follows from the decision that is worth keeping.
    if (decision->verdict == Verdict::kOnItsWay) continue;
    const auto& workload = view.snapshot.workloads[static_cast<std::size_t>(decision->workload)];
    records[workload.key] = server::DecisionRecord(view, *decision, view.snapshot.now);
  }
  KeepDecisions(*store_, std::move(records));
  ForgetDecisions(*store_);
}

}  // namespace spillway::daemon
