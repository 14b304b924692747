// The Observer's side of the daemon: what one round gets to see.
#include <algorithm>

#include "control/budget.h"
#include "control/offer_times.h"
#include "sim/daemon.h"
#include "sim/mutant_parts.h"

namespace spillway::sim {

void Daemon::FillSnapshot(Snapshot& snapshot) {
  snapshot = template_;
  snapshot.now = site_clock().Now();
  cluster_.Fill(snapshot);
  snapshot.times = control::LearnOfferTimes(journal_.all());
  // Images came before this run as well, so that one which never comes is noticed.
  for (const Offer& offer : snapshot.offers)
    if (MeasuredTime& start = snapshot.times[offer.Key()].start; start.machines == 0)
      start = {2s, 5s, 5};
  for (ProviderAccount& account : snapshot.accounts)
    for (const BurstNode& node : journal_.all())
      account.live_nodes += node.HoldsPlace() && node.offer.provider == account.name;
  if (!context_.scenario.budget) return;
  BudgetState& budget = snapshot.budgets.emplace_back();
  budget.name = "money";
  budget.namespaces = {"t"};
  budget.amount = *context_.scenario.budget;
  budget.period = "year";
  control::FillBudgets(snapshot.budgets, journal_.all(), snapshot.now);
}

void Daemon::FillObservation(const BurstNode& node, bool pods_seen,
                             control::Observation& observation) {
  const auto create = queue_.answers().creates.find(node.name);
  if (create != queue_.answers().creates.end()) observation.create = create->second;
  const auto deletion = queue_.answers().deletions.find(node.name);
  if (deletion != queue_.answers().deletions.end()) observation.deletion = deletion->second;
  const Listing& listing = listings_[providers_.Find(node.offer.provider)];
  if (listing.known && (listing.fresh || context_.scenario.keep_listings)) {
    control::Seen& seen = observation.seen.emplace();
    seen.read_at = listing.inventory.read_at;
    for (const ports::Instance& instance : listing.inventory.instances)
      if (instance.name == node.name) seen.instances.push_back(instance);
    for (const SideObject& object : listing.inventory.stray)
      if (object.id.starts_with(node.name + "/")) seen.stray.push_back(object);
  }
  if (const control::NodeReport* report = door_.Report(node.name)) observation.node = *report;
  if (!context_.dice.Hit(Fault::kRunUnseen))
    observation.run = gateway_.Report(node.name, context_.now());
  if (pods_seen) observation.pods = cluster_.Reports(node.pods);
}

Result<control::World> Daemon::Observe(std::vector<BurstNode> nodes, std::int64_t last_serial) {
  if (context_.dice.Hit(Fault::kObserveFailed))
    return Fail(Code::kUnavailable, "the site's state could not be read");
  control::World world;
  FillSnapshot(world.snapshot);
  const bool pods_seen = !context_.dice.Hit(Fault::kPodsUnseen);
  for (const BurstNode& node : nodes)
    if (node.Live()) FillObservation(node, pods_seen, world.observations[node.name]);
  world.snapshot.burst_nodes = std::move(nodes);
  for (std::size_t i = 0; i < listings_.size(); ++i)
    if (listings_[i].known && (listings_[i].fresh || context_.scenario.keep_listings))
      world.inventories.emplace(providers_.name(i), listings_[i].inventory);
  world.last_serial = last_serial;
  world.synced = true;
  Falsify(context_, world);
  return world;
}

void Daemon::SayWhatChanged(const control::RoundResult& result) const {
  for (const LedgerEntry& entry : result.entries)
    context_.trace.Line(context_.now(), entry.node, entry.step + ": " + entry.text);
}

void Daemon::Published(control::World world, const control::RoundResult& result) {
  if (context_.crashing) return;
  const auto consume = [&](auto& answers) {
    if (!answers.empty() && !context_.dice.Hit(Fault::kAnswerDuplicated)) answers.clear();
  };
  consume(queue_.answers().creates);
  consume(queue_.answers().deletions);
  for (Listing& listing : listings_) listing.fresh = false;
  std::fill(reasons_.begin(), reasons_.end(), Reason::kNone);
  for (const Decision& decision : result.plan.decisions) {
    const std::string& key =
        world.snapshot.workloads[static_cast<std::size_t>(decision.workload)].key;
    for (std::size_t j = 0; j < reasons_.size(); ++j)
      if (cluster_.jobs()[j].key == key) reasons_[j] = decision.reason;
  }
  if (context_.trace.text()) SayWhatChanged(result);
  SendMore(context_, world, queue_);
}

}  // namespace spillway::sim
