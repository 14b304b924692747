#include "sim/daemon.h"

#include <algorithm>

#include "control/budget.h"
#include "sim/mutant_parts.h"

namespace spillway::sim {

Daemon::Daemon(Context& context, MemoryJournal& journal, Providers& providers,
               ClusterModel& cluster, GatewayModel& gateway)
    : context_(context),
      journal_(journal),
      providers_(providers),
      cluster_(cluster),
      gateway_(gateway),
      door_(context, journal, cluster, gateway),
      queue_(context, journal, providers, cluster, gateway),
      clock_(context.agenda),
      reasons_(context.scenario.jobs.size(), Reason::kNone) {
  template_.policies = {context.scenario.policy};
  for (std::size_t i = 0; i < providers.size(); ++i) {
    const simulated::CloudModel& cloud = providers.cloud(i);
    template_.facts.push_back(cloud.facts());
    ProviderAccount account;
    account.name = account.catalog = cloud.facts().id;
    account.type = "simulated";
    account.max_nodes = context.scenario.providers[i].max_nodes;
    template_.accounts.push_back(std::move(account));
    for (const Offer& offer : cloud.goods()) template_.offers.push_back(offer);
  }
  const auto by = [](auto& list, auto key) {
    std::sort(list.begin(), list.end(),
              [&](const auto& x, const auto& y) { return key(x) < key(y); });
  };
  by(template_.facts, [](const ProviderFacts& f) { return f.id; });
  by(template_.accounts, [](const ProviderAccount& a) { return a.name; });
  by(template_.offers, [](const Offer& o) { return o.Key(); });
}

Daemon::~Daemon() = default;

void Daemon::Start() {
  ++epoch_;
  context_.daemon_up = true;
  context_.crashing = false;
  synced_ = false;
  queue_.SetEpoch(epoch_);
  rule_clock_.emplace(clock_, control::NewestMoment(journal_.all()));
  mutant_journal_ = MutantJournal(context_.mutant, journal_);
  mutant_sink_ = MutantSink(context_.mutant, queue_);
  conductor_.emplace(site_clock(), mutant_journal_ ? *mutant_journal_ : journal_, *this,
                     mutant_sink_ ? *mutant_sink_ : static_cast<control::CommandSink&>(queue_));
  listings_.assign(providers_.size(), {});
  pending_.clear();
  round_at_.reset();
  if (context_.trace.text()) context_.trace.Line(context_.now(), "daemon", "starts");
  context_.agenda.In(context_.Latency(100, 2000), EventKind::kSynced, epoch_);
  for (std::size_t i = 0; i < providers_.size(); ++i)
    context_.agenda.In(context_.Latency(100, 5000), EventKind::kPoll, static_cast<int>(i), epoch_);
}

void Daemon::Die() {
  if (!context_.daemon_up) return;
  std::array<bool, kLivePhases> seen{};
  for (const BurstNode& node : journal_.all())
    if (node.Live()) seen[static_cast<std::size_t>(node.phase)] = true;
  for (std::size_t i = 0; i < kLivePhases; ++i) context_.tally.crash_phases[i] += seen[i];
  ++epoch_;
  context_.daemon_up = false;
  context_.crashing = false;
  conductor_.reset();
  rule_clock_.reset();
  queue_.SetEpoch(epoch_);
  queue_.Die();
  door_.Forget();
  if (context_.trace.text()) context_.trace.Line(context_.now(), "daemon", "dies");
  const bool long_outage = context_.rng.Chance(1, 6);
  context_.agenda.In(
      long_outage ? context_.Latency(60'000, 400'000) : context_.Latency(500, 20'000),
      EventKind::kRestart);
}

void Daemon::DieIfCrashing() {
  if (context_.crashing) Die();
}

Time Daemon::SiteNow() const {
  return site_clock().Now();
}

void Daemon::Wake() {
  if (!context_.daemon_up || !synced_) return;
  const Time at = context_.now() + context_.Latency(50, 800);
  if (round_at_ && *round_at_ <= at) return;
  round_at_ = at;
  context_.agenda.At(at, EventKind::kRound, epoch_);
}

void Daemon::Synced(int epoch) {
  if (epoch != epoch_) return;
  synced_ = true;
  Wake();
}

void Daemon::Round(int epoch) {
  if (epoch != epoch_ || !round_at_ || context_.now() < *round_at_) return;
  round_at_.reset();
  ++context_.tally.rounds;
  const Result<std::optional<Time>> next = conductor_->Round();
  if (context_.crashing) return;
  std::optional<Duration> wait;
  if (!next)
    wait = context_.Latency(1000, 3000);
  else if (*next)
    wait = std::max(**next - site_clock().Now(), Duration{20});
  if (!wait) return;
  const Time at = context_.now() + *wait;
  if (round_at_ && *round_at_ <= at) return;
  round_at_ = at;
  context_.agenda.At(at, EventKind::kRound, epoch_);
}

void Daemon::Poll(int provider, int epoch) {
  if (epoch != epoch_) return;
  const auto index = static_cast<std::size_t>(provider);
  const Time sent = site_clock().Now();
  Result<ports::Inventory> listed = providers_.List(index);
  if (listed) {
    listed->read_at = sent;
    pending_.push_back({index, std::move(*listed)});
    const bool late = context_.dice.Hit(Fault::kListingLate);
    context_.agenda.In(late ? context_.Latency(2'000, 40'000) : context_.Latency(50, 1500),
                       EventKind::kListed, static_cast<int>(pending_.size()) - 1, epoch_);
  }
  const bool busy = std::any_of(journal_.all().begin(), journal_.all().end(), [&](const auto& n) {
    return n.Live() && n.offer.provider == providers_.name(index);
  });
  context_.agenda.In(busy ? Duration{15s} : Duration{45s}, EventKind::kPoll, provider, epoch_);
}

// Whether the rules may want to look at once: something is looked up, deleted, or not as it was.
bool Daemon::Interesting(std::size_t provider, const ports::Inventory& listing) const {
  std::size_t alive = 0;
  for (const BurstNode& node : journal_.all()) {
    if (!node.Live() || node.offer.provider != providers_.name(provider)) continue;
    if (node.phase <= Phase::kProvisioned || node.phase == Phase::kDeleting) return true;
    ++alive;
  }
  const ports::Inventory& before = listings_[provider].inventory;
  if (listing.instances.size() != alive || !listing.stray.empty()) return true;
  for (std::size_t i = 0; i < listing.instances.size(); ++i)
    if (i >= before.instances.size() || listing.instances[i].state != before.instances[i].state)
      return true;
  return false;
}

void Daemon::Listed(int slot, int epoch) {
  if (epoch != epoch_) return;
  Pending& pending = pending_[static_cast<std::size_t>(slot)];
  Listing& newest = listings_[pending.provider];
  if (newest.known && newest.inventory.read_at >= pending.inventory.read_at) return;  // overtaken
  const bool wake = Interesting(pending.provider, pending.inventory);
  newest = {std::move(pending.inventory), true, true};
  if (wake) Wake();
}

}  // namespace spillway::sim
