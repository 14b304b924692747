#include "control/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "control/budget.h"
#include "control/gang.h"
#include "plan/planner.h"

namespace spillway::control {
namespace {

void LookAgain(std::optional<Time>& at, std::optional<Time> when) {
  if (when && (!at || *when < *at)) at = when;
}

// Nothing depends on reading these twice; what must happen once is a CreateInstance.
bool Repeats(const Command& command) {
  return !std::holds_alternative<CreateInstance>(command);
}

class Round {
 public:
  Round(World& world, const Memory& memory) : world_(world), memory_(memory) {}

  RoundResult Run() {
    AdvanceAll();
    SeatPods();
    RemoveNodes();
    Plan();
    Sweep();
    Pace();
    return std::move(out_);
  }

  RoundResult DryRun() {
    out_.plan = plan::MakePlan(world_.snapshot);
    out_.memory = memory_;
    return std::move(out_);
  }

 private:
  std::vector<BurstNode>& nodes() { return world_.snapshot.burst_nodes; }

  void AdvanceAll() {
    static const Observation kNothing;
    const std::vector<GangState> gangs = GangStates(nodes());
    for (std::size_t i = 0; i < nodes().size(); ++i) {
      BurstNode& node = nodes()[i];
      if (!node.Live()) continue;
      const auto it = world_.observations.find(node.name);
      const Observation& seen = it == world_.observations.end() ? kNothing : it->second;
      const bool alone = node.gang.empty();
      Observation with_gang;
      if (!alone) {
        with_gang = seen;
        with_gang.gang_all_staged = gangs[i].all_staged;
        with_gang.gang_failed = gangs[i].failed;
      }
      const Holding held = HoldingOf(node);
      Take(node, Advance(std::move(node), alone ? seen : with_gang, world_.snapshot.now), held);
    }
  }

  // What a node has of its budgets and of what limits the number of machines.
  struct Holding {
    Money reserved;
    int places = 0;
    bool operator==(const Holding&) const = default;
  };
  Holding HoldingOf(const BurstNode& node) const {
    if (!node.Live()) return {};
    return {Reservation(node, world_.snapshot.now), node.OnlyKeyLeft() ? 0 : 1};
  }

  void Take(BurstNode& node, Step step, const Holding& held) {
    LookAgain(out_.look_again, step.look_again);
    std::move(step.commands.begin(), step.commands.end(), std::back_inserter(out_.commands));
    std::move(step.entries.begin(), step.entries.end(), std::back_inserter(out_.entries));
    node = std::move(step.node);
    if (!step.changed) return;
    // The other nodes of its gang learn of its failure or arrival in a round of their own.
    if (!node.gang.empty()) LookAgain(out_.look_again, world_.snapshot.now);
    Follow(node, held);
    out_.changed.push_back(node);
  }

  // Pods that came for promised ones take their places. After AdvanceAll: what was observed of a
  // node does not know the pod yet.
  void SeatPods() {
    for (const Pod& pod : world_.snapshot.pods) {
      if (pod.takes.empty()) continue;
      for (BurstNode& node : nodes()) {
        if (!node.Live() || node.Failed() || node.phase > Phase::kRunning) continue;
        const auto place = std::ranges::find(node.pods, pod.takes, &PodRef::uid);
        if (place == node.pods.end()) continue;
        if (node.announced.empty()) node.announced = node.pods;
        *place = {pod.key, pod.uid};
        Changed(node);
        LookAgain(out_.look_again, world_.snapshot.now);
        break;
      }
    }
  }

  void Changed(const BurstNode& node) {
    const auto it = std::ranges::find(out_.changed, node.name, &BurstNode::name);
    if (it == out_.changed.end())
      out_.changed.push_back(node);
    else
      std::tie(it->announced, it->pods) = std::tie(node.announced, node.pods);
  }

  // Node objects of machines that are, or are about to be, no more.
  void RemoveNodes() {
    for (const Node& object : world_.snapshot.nodes) {
      if (!object.rented) continue;
      const auto it = std::find_if(nodes().begin(), nodes().end(),
                                   [&](const BurstNode& node) { return node.name == object.name; });
      if (it == nodes().end() || it->phase >= Phase::kDeleting)
        out_.commands.push_back(RemoveNode{object.name});
    }
  }

  // What it holds no more is free for this round's plan, and what it holds again is not.
  void Follow(const BurstNode& node, const Holding& held) {
    const Holding holds = HoldingOf(node);
    if (holds == held) return;
    for (BudgetState& budget : world_.snapshot.budgets) {
      if (!Charges(budget, node)) continue;
      budget.reserved -= std::min(budget.reserved, held.reserved);
      budget.reserved += holds.reserved;
      if (!node.Live()) budget.spent += node.cost;
    }
    for (ProviderAccount& account : world_.snapshot.accounts)
      if (account.name == node.offer.provider)
        account.live_nodes = std::max(account.live_nodes - held.places + holds.places, 0);
  }

  void Plan() {
    // Only waiting pods are decided about; most rounds of a busy site have none.
    const auto& pods = world_.snapshot.pods;
    if (std::none_of(pods.begin(), pods.end(), [](const Pod& pod) {
          return pod.phase == PodPhase::kPending && pod.node.empty() && !pod.deleting;
        }))
      return;
    out_.plan = plan::MakePlan(world_.snapshot);
    TakeTurns(out_.plan, world_.snapshot);
    for (const Admission& admission : out_.plan.admissions) Admit(admission);
    for (const Decision& decision : out_.plan.decisions) LookAgain(out_.look_again, decision.until);
    std::int64_t serial = world_.last_serial;
    for (const Rental& rental : out_.plan.rentals) {
      NewNode made = MakeBurstNode(rental, world_.snapshot, ++serial);
      out_.entries.push_back(std::move(made.reservation));
      out_.changed.push_back(std::move(made.node));
    }
    // What was planned is requested in the next round, once it is stored.
    if (!out_.plan.rentals.empty()) LookAgain(out_.look_again, world_.snapshot.now);
  }

  // A replacement pod joins the pods of a running node; Needs() lets it in from the next round on.
  void Admit(const Admission& admission) {
    const Pod& pod = world_.snapshot.pods[static_cast<std::size_t>(admission.pod)];
    const auto it = std::find_if(nodes().begin(), nodes().end(), [&](const BurstNode& node) {
      return node.name == admission.burst_node;
    });
    if (it == nodes().end() || it->Failed() || it->phase > Phase::kRunning) return;
    const PodRef ref{pod.key, pod.uid};
    if (std::find(it->pods.begin(), it->pods.end(), ref) != it->pods.end()) return;
    it->pods.push_back(ref);
    Changed(*it);
    LookAgain(out_.look_again, world_.snapshot.now);
  }

  void Sweep() {
    control::Sweep sweep =
        SweepOrphans(world_.inventories, nodes(), memory_.orphans, world_.snapshot.now);
    out_.memory.orphans = std::move(sweep.seen);
    for (Orphan& orphan : sweep.orphans) {
      // Repeats of the same deletion are no news.
      if (!memory_.sent.contains(Describe(orphan.command)))
        out_.entries.push_back(std::move(orphan.entry));
      out_.commands.push_back(std::move(orphan.command));
    }
  }

  // Needs are said anew in every round; the same command is sent again only after a rest.
  void Pace() {
    const Time now = world_.snapshot.now;
    std::erase_if(out_.commands, [&](const Command& command) {
      if (!Repeats(command)) return false;
      std::string key = Describe(command);
      const auto it = memory_.sent.find(key);
      Memory::Sent sent = it == memory_.sent.end() ? Memory::Sent{} : it->second;
      const bool rest = sent.times > 0 && sent.at <= now && now < sent.at + RepeatAfter(sent.times);
      if (!rest) sent = {now, sent.times + 1};
      LookAgain(out_.look_again, sent.at + RepeatAfter(sent.times));
      const bool first = out_.memory.sent.emplace(std::move(key), sent).second;
      return rest || !first;
    });
  }

  World& world_;
  const Memory& memory_;
  RoundResult out_;
};

}  // namespace

Duration RepeatAfter(int times) {
  constexpr int kSteady = 10;  // sendings before the rest grows
  if (times <= kSteady) return kRepeat;
  return std::min(kRepeat * (1 << std::min(times - kSteady, 10)), kRepeatAtMost);
}

RoundResult Decide(World& world, const Memory& memory) {
  if (!world.synced) return RoundResult{{}, {}, {}, {}, memory, std::nullopt};
  Round round(world, memory);
  return world.dry_run ? round.DryRun() : round.Run();
}

namespace {

const Policy* PolicyOf(const Rental& rental, const Snapshot& snapshot) {
  if (rental.policy < 0) return nullptr;
  return &snapshot.policies[static_cast<std::size_t>(rental.policy)];
}

const ProviderFacts& FactsOf(const Offer& offer, const Snapshot& snapshot) {
  const auto it = std::find_if(snapshot.facts.begin(), snapshot.facts.end(),
                               [&](const ProviderFacts& f) { return f.id == offer.catalog; });
  SPW_CHECK(it != snapshot.facts.end(), "an offer is planned only with its provider's facts");
  return *it;
}

}  // namespace

NewNode MakeBurstNode(const Rental& rental, const Snapshot& snapshot, std::int64_t serial) {
  BurstNode node;
  node.name = fmt::format("bn-{:05}", serial);
  node.serial = serial;
  node.ns = rental.ns;
  if (const Policy* policy = PolicyOf(rental, snapshot)) {
    node.policy = policy->name;
    node.overwrite = policy->overwrite;
    node.verify = policy->verify;
    node.scratch = policy->scratch;
  }
  if (rental.budget >= 0)
    node.budget = snapshot.budgets[static_cast<std::size_t>(rental.budget)].name;
  node.gang = rental.gang;
  node.gang_size = rental.gang_size;
  node.workload = rental.workload;
  node.why = rental.why;
  for (const std::int32_t index : rental.pods) {
    const Pod& pod = snapshot.pods[static_cast<std::size_t>(index)];
    node.pods.push_back({pod.key, pod.uid});
    node.shards.push_back(pod.shards);
  }
  std::sort(node.shards.begin(), node.shards.end());
  node.shards.erase(std::unique(node.shards.begin(), node.shards.end()), node.shards.end());
  if (node.shards.size() == 1 && node.shards[0].empty()) node.shards.clear();
  node.offer = snapshot.offers[static_cast<std::size_t>(rental.offer)];
  const ProviderFacts& facts = FactsOf(node.offer, snapshot);
  node.billing = facts.billing;
  node.side_terms = facts.side_objects;
  node.egress_per_gib = facts.egress_per_gib;
  node.forecast = rental.forecast;
  node.deadlines = rental.deadlines;
  node.created_at = node.phase_since = snapshot.now;
  node.history.emplace_back(Phase::kPlanned, snapshot.now);

  LedgerEntry entry;
  entry.node = node.name;
  entry.step = "reserved";
  entry.at = snapshot.now;
  entry.ns = node.ns;
  entry.budget = node.budget;
  entry.workload = node.workload;
  entry.provider = node.offer.provider;
  entry.reserved = node.forecast.worst_case;
  entry.text = fmt::format("planned {} for {}: {}", node.offer.Key(), node.workload, node.why);
  return {std::move(node), std::move(entry)};
}

}  // namespace spillway::control
