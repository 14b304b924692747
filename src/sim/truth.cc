#include "sim/truth.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/advance.h"

namespace spillway::sim {
namespace {

// More BurstNodes than any drawn trouble explains: the same thing is rented over and over.
constexpr std::size_t kTooManyNodes = 80;

}  // namespace

void Truth::NewNode(const BurstNode& node) {
  ++context_.tally.burst_nodes;
  new_reservation_ = true;
  Life& life = lives_[node.name];
  life.planned = context_.now();
  life.gang_size = node.gang_size;
  if (!node.gang.empty())
    life.gang =
        fmt::format("{}#{}", node.gang, node.history.front().second.time_since_epoch().count());
  if (journal_.all().size() >= kTooManyNodes)
    context_.checks.Violated(Invariant::kStuck, "rents again and again without getting anywhere");
}

void Truth::Changing(const BurstNode* before, const BurstNode& after) {
  context_.trace.Mix(after.name);
  context_.trace.Mix(static_cast<std::uint64_t>(after.phase));
  context_.trace.Mix(static_cast<std::uint64_t>(after.failure));
  context_.trace.Mix(static_cast<std::uint64_t>(after.cost.micro()));
  if (before == nullptr) return NewNode(after);
  if (after.Failed() && !before->Failed()) lives_[after.name].failed_in = commit_;
  if (after.phase < before->phase)
    context_.checks.Violated(Invariant::kStuck,
                             fmt::format("{} went back from {} to {}", after.name,
                                         Name(before->phase), Name(after.phase)));
  if (after.phase != before->phase) Entered(after, before->phase);
  if (after.key_owed_since && !before->key_owed_since) CheckKeyDebt(after);
  if (after.OnlyKeyLeft() && !before->OnlyKeyLeft()) CheckGivenBack(after);
  if (after.failure == Failure::kNodeLost && !before->Failed() && before->phase >= Phase::kJoined) {
    const Agent* agent = nodes_.On(after.offer.provider, after.instance_id);
    if (agent != nullptr && nodes_.HoldsKey(*agent))
      context_.checks.Violated(Invariant::kPlaintext,
                               after.name + " was given up while its machine holds the run key");
  }
}

void Truth::Entered(const BurstNode& node, Phase from) {
  Life& life = lives_[node.name];
  if (from < Phase::kRunning && node.phase >= Phase::kRunning && node.pods_admitted)
    CheckGang(node);
  if (node.phase == Phase::kReturning) life.returning = context_.now();
  if (life.ending == Time{} && node.phase >= Phase::kWiping) life.ending = context_.now();
  const bool gave_up = from <= Phase::kReturning && node.phase >= Phase::kWiping &&
                       life.returning != Time{} && !node.results_complete && !node.Failed();
  // A tenth is what a clock that is being set right may be off.
  if (gave_up && context_.now() - life.returning < node.deadlines.give_back * 9 / 10 - 1s)
    context_.checks.Violated(Invariant::kLostResult,
                             node.name + " gave its results up before their deadline");
  if (node.results_complete) CheckResults(node);
  if (node.phase == Phase::kGone) CheckGone(node);
}

// All of a gang or nothing: no member may run before every member has its data.
void Truth::CheckGang(const BurstNode& node) {
  const Life& life = lives_[node.name];
  if (life.gang.empty()) return;
  int staged = 0;
  for (const BurstNode& other : journal_.all()) {
    const Life& its = lives_[other.name];
    // One that fails in this very commit fails this node in the next round.
    if (its.gang == life.gang && other.phase >= Phase::kStaged &&
        (its.failed_in < 0 || its.failed_in == commit_))
      ++staged;
  }
  if (staged < life.gang_size)
    context_.checks.Violated(Invariant::kStuck, node.name + " started with a part of its gang");
}

void Truth::CheckResults(const BurstNode& node) {
  for (const SimPod& pod : cluster_.pods()) {
    if (!pod.exists || pod.node != node.name || pod.phase != PodPhase::kSucceeded) continue;
    const int index = static_cast<int>(&pod - cluster_.pods().data());
    if (!gateway_.Has(node.name, index))
      context_.checks.Violated(
          Invariant::kLostResult,
          fmt::format("{} says its results are complete, that of {} is not there", node.name,
                      pod.key));
  }
}

void Truth::CheckKeyDebt(const BurstNode& node) {
  ++context_.tally.keys_owed;
  // A tenth is what a clock that is being set right may be off.
  if (context_.now() - lives_[node.name].ending < node.deadlines.key * 9 / 10 - 1s)
    context_.checks.Violated(
        Invariant::kPlaintext,
        node.name + " was given back with its run key alive before the deadline for that");
}

// From here on nothing of it costs: its place, and what of its reservation it did not use, are
// free.
void Truth::CheckGivenBack(const BurstNode& node) {
  const simulated::CloudModel& cloud = providers_.cloud(providers_.Find(node.offer.provider));
  const auto exists = [&](const std::string& id) {
    context_.checks.Violated(Invariant::kLeak,
                             fmt::format("{} is given back while {} exists", node.name, id));
  };
  for (const simulated::Machine& machine : cloud.machines())
    if (machine.name == node.name && context_.now() < machine.gone) exists(machine.id);
  for (const simulated::SideThing& thing : cloud.side_things())
    if (thing.id.starts_with(node.name + "/") && context_.now() < thing.gone) exists(thing.id);
}

void Truth::CheckGone(const BurstNode& node) {
  Tally& tally = context_.tally;
  ++tally.failures[static_cast<std::size_t>(node.failure)];
  tally.crypto_erase_only += node.wipe_class == WipeClass::kCryptoEraseOnly;
  tally.results_given_up += node.pods_admitted && !node.results_complete;
  CheckGivenBack(node);
  if (gateway_.KeyAlive(node.name))
    context_.checks.Violated(Invariant::kPlaintext, node.name + " is Gone, its run key lives");
  const Agent* agent = nodes_.On(node.offer.provider, node.instance_id);
  if (agent != nullptr && nodes_.HoldsKey(*agent))
    context_.checks.Violated(Invariant::kPlaintext, node.name + " is Gone, its machine has a key");
  if (node.wipe_class == WipeClass::kFull && (agent == nullptr || !agent->wiped))
    context_.checks.Violated(Invariant::kPlaintext, node.name + " claims a wipe that was not");
  if (node.wipe_class == WipeClass::kFull && node.certificate.empty())
    context_.checks.Violated(Invariant::kPlaintext, node.name + " was wiped without certificate");
}

void Truth::Stored() {
  ++commit_;
  if (!new_reservation_) return;
  new_reservation_ = false;
  if (!context_.scenario.budget) return;
  BudgetState budget;
  budget.name = "money";
  budget.amount = *context_.scenario.budget;
  // Worst cases as they were reserved: a deletion that will not end may cost more than foreseen.
  // Of a machine that was given back and owes its key, what it has cost.
  for (const BurstNode& node : journal_.all()) {
    if (!node.Live())
      budget.spent += node.cost;
    else if (node.OnlyKeyLeft())
      budget.reserved += control::CostAt(node, context_.now()).Total();
    else
      budget.reserved += node.forecast.worst_case;
  }
  if (budget.Left() < Money{})
    context_.checks.Violated(Invariant::kDoubleSpend,
                             fmt::format("rented above the budget: {} left of {}",
                                         FormatMoney(budget.Left()), FormatMoney(budget.amount)));
}

Duration Truth::Slack() const {
  Duration slack = 15min;
  for (const Jump& jump : context_.scenario.jumps) slack += std::chrono::abs(jump.by);
  return slack + context_.tally.crashes * Duration{7min};
}

void Truth::CheckBill(const BurstNode& node) {
  if (node.instance_id.empty()) return;
  const simulated::CloudModel& cloud = providers_.cloud(providers_.Find(node.offer.provider));
  Money billed;
  std::string machine_id = node.instance_id;
  for (const simulated::InvoiceLine& line : cloud.Invoice(context_.now()))
    if (line.id == machine_id) billed += line.cost;
  const Money per_hour = node.offer.price_per_hour;
  const Duration tolerance = node.billing.step * 2 + node.billing.minimum + Slack();
  const Money off = CostCeil(per_hour, tolerance);
  if (node.cost_compute > billed + off || billed > node.cost_compute + off)
    context_.checks.Violated(
        Invariant::kDoubleSpend,
        fmt::format("{}: the provider bills {} for {}, the ledger says {}", node.name,
                    FormatMoney(billed), machine_id, FormatMoney(node.cost_compute)));
}

void Truth::CheckLedger() {
  std::map<std::string, Money> reserved, spent;
  std::map<std::pair<std::string, std::string>, int> steps;
  for (const LedgerEntry& entry : journal_.ledger()) {
    if (++steps[{entry.node, entry.step}] == 2)
      context_.checks.Violated(Invariant::kDoubleSpend,
                               fmt::format("{} has two entries \"{}\"", entry.node, entry.step));
    reserved[entry.node] += entry.reserved;
    spent[entry.node] += entry.spent;
  }
  for (const BurstNode& node : journal_.all()) {
    if (node.Live()) continue;
    if (reserved[node.name] != Money{})
      context_.checks.Violated(Invariant::kDoubleSpend,
                               fmt::format("{} is Gone and still reserves {}", node.name,
                                           FormatMoney(reserved[node.name])));
    if (spent[node.name] != node.cost || !node.settled)
      context_.checks.Violated(Invariant::kDoubleSpend,
                               node.name + ": the ledger and its record differ in cost");
    for (const auto& [phase, at] : node.history)
      if (phase != Phase::kPlanned && steps[{node.name, std::string(Name(phase))}] != 1)
        context_.checks.Violated(Invariant::kDoubleSpend,
                                 fmt::format("{}: no ledger entry for {}", node.name, Name(phase)));
  }
}

void Truth::CheckJobs(const std::vector<Reason>& reasons) {
  for (std::size_t j = 0; j < cluster_.jobs().size(); ++j) {
    const SimJob& job = cluster_.jobs()[j];
    const bool refused = reasons[j] == Reason::kDataClass || reasons[j] == Reason::kBudget ||
                         reasons[j] == Reason::kNoOfferFits ||
                         reasons[j] == Reason::kNoOfferAllowed;
    if (!job.Done() && !refused)
      context_.checks.Violated(Invariant::kStuck, fmt::format("{} is not finished", job.key));
    for (const int winner : job.winner) {
      if (winner < 0 || job.failed) continue;
      const SimPod& pod = cluster_.pods()[static_cast<std::size_t>(winner)];
      const BurstNode* node = journal_.Find(pod.node);
      if (node == nullptr || gateway_.Has(node->name, winner)) continue;
      if (node->results_complete || node->Failed())
        context_.checks.Violated(
            Invariant::kLostResult,
            fmt::format("{} counts as done on {}, its result is nowhere", pod.key, pod.node));
    }
  }
}

void Truth::AtTheEnd(const std::vector<Reason>& reasons) {
  for (const BurstNode& node : journal_.all()) {
    if (node.Live())
      context_.checks.Violated(Invariant::kStuck,
                               fmt::format("{} is still {}", node.name, Name(node.phase)));
    else
      CheckBill(node);
  }
  for (std::size_t i = 0; i < providers_.size(); ++i) {
    const auto left = providers_.cloud(i).Left(context_.now());
    if (!left.None())
      context_.checks.Violated(Invariant::kLeak,
                               fmt::format("{} machines and {} side objects are left at {}",
                                           left.machines, left.side_objects, providers_.name(i)));
  }
  for (const auto& [node, count] : queue_.creates())
    if (count > 1)
      context_.checks.Violated(Invariant::kDoubleSpend,
                               fmt::format("{} was created {} times", node, count));
  CheckLedger();
  CheckJobs(reasons);
}

}  // namespace spillway::sim
