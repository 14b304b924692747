#include "server/metrics_view.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "plan/index.h"
#include "server/view_parts.h"

namespace spillway::server {
namespace {

using metrics::Page;
using metrics::Value;

bool Waits(const Pod& pod) {
  return pod.node.empty() && !pod.deleting;
}

// Why its pods wait, in one word: the reason if nothing is rented, else what is done about them.
std::string ReasonOf(const Decision& decision) {
  const bool stays = decision.verdict == Verdict::kWait || decision.verdict == Verdict::kRefuse;
  return std::string(stays ? Name(decision.reason) : Name(decision.verdict));
}

void WriteQueue(const RoundView& round, const plan::Index& index, Time now, Page& page) {
  std::map<std::pair<std::string, std::string>, std::int64_t> waiting;
  std::map<std::string, Duration> oldest;
  for (const Policy& policy : round.snapshot.policies) oldest[policy.name] = Duration{0};
  for (const Decision& decision : round.plan.decisions) {
    const Workload& workload =
        round.snapshot.workloads[static_cast<std::size_t>(decision.workload)];
    const int at = index.PolicyFor(workload.ns);
    const std::string policy =
        at < 0 ? "none" : round.snapshot.policies[static_cast<std::size_t>(at)].name;
    const auto pods = std::ranges::count_if(
        workload.pods, [&](std::int32_t pod) { return Waits(PodAt(round.snapshot, pod)); });
    waiting[{policy, ReasonOf(decision)}] += pods;
    Duration& most = oldest[policy];
    if (pods > 0 && workload.waiting_since) most = std::max(most, now - *workload.waiting_since);
  }
  for (const auto& [key, pods] : waiting)
    page.Add(metrics::kPodsWaiting, {key.first, key.second}, pods);
  for (const auto& [policy, age] : oldest) page.Add(metrics::kOldestWait, {policy}, Value(age));
}

// When its work was over; nullopt: it is not.
std::optional<Time> WorkEnded(const BurstNode& node) {
  if (node.phase < Phase::kReturning && !node.Failed()) return std::nullopt;
  if (node.computed_until) return *node.computed_until;
  for (const auto& [phase, since] : node.history)
    if (phase >= Phase::kReturning) return since;
  return node.phase_since;
}

struct ProviderSums {
  std::int64_t idle = 0, parked = 0, keys_owed = 0;
  Money rate, live_cost, forecast, above;
  Duration return_age{0};
};

// Every provider has its series from the beginning: an alert sees the step from 0 to 1.
std::map<std::string, ProviderSums> SumUp(const RoundView& round, const plan::Index& index,
                                          Time now) {
  std::set<std::string_view> used;
  for (const Pod& pod : round.snapshot.pods)
    if (!pod.node.empty()) used.insert(pod.node);
  std::map<std::string, ProviderSums> sums;
  for (const ProviderAccount& account : round.snapshot.accounts) sums[account.name];
  for (const auto& [provider, view] : round.providers) sums[provider];
  for (std::size_t i = 0; i < round.snapshot.offers.size(); ++i)
    sums[round.snapshot.offers[i].provider].parked += index.offers[i].parked_until.has_value();
  for (const BurstNode& node : round.snapshot.burst_nodes) {
    if (!node.Live()) continue;
    ProviderSums& sum = sums[node.offer.provider];
    const Money cost = AmountsOf(node, now).Actual();
    sum.idle += node.phase == Phase::kRunning && !used.contains(node.name);
    sum.rate += PerHour(node);
    sum.live_cost += cost;
    sum.forecast += node.forecast.total;
    sum.above += std::max(Money(), cost - node.forecast.total);
    sum.keys_owed += node.KeyOwed();
    if (node.OnlyKeyLeft()) continue;  // it was given back
    if (const auto ended = WorkEnded(node)) sum.return_age = std::max(sum.return_age, now - *ended);
  }
  return sums;
}

void WriteNodes(const Snapshot& snapshot, Time now, Page& page) {
  std::map<metrics::LabelValues, std::int64_t> nodes, overdue;
  for (const BurstNode& node : snapshot.burst_nodes) {
    if (!node.Live()) continue;
    const std::string phase(Name(node.phase));
    ++nodes[{phase, node.offer.provider, node.offer.instance_type}];
    overdue[{phase, node.offer.provider}] += Overdue(node, now);
  }
  for (const auto& [labels, count] : nodes) page.Add(metrics::kNodes, labels, count);
  for (const auto& [labels, count] : overdue) page.Add(metrics::kNodesOverdue, labels, count);
}

void WriteProviders(const RoundView& round, const plan::Index& index, Time now, Page& page) {
  for (const ProviderAccount& account : round.snapshot.accounts)
    page.Add(metrics::kProviderReady, {account.name}, account.ready);
  for (const auto& [provider, sum] : SumUp(round, index, now)) {
    page.Add(metrics::kIdleNodes, {provider}, sum.idle);
    page.Add(metrics::kReturnAge, {provider}, Value(sum.return_age));
    page.Add(metrics::kKeysOwed, {provider}, sum.keys_owed);
    page.Add(metrics::kRate, {provider}, sum.rate);
    page.Add(metrics::kLiveCost, {provider}, sum.live_cost);
    page.Add(metrics::kLiveForecast, {provider}, sum.forecast);
    page.Add(metrics::kAboveForecast, {provider}, sum.above);
    page.Add(metrics::kParkedOffers, {provider}, sum.parked);
    const auto it = round.providers.find(provider);
    const ProviderView view = it == round.providers.end() ? ProviderView() : it->second;
    page.Add(metrics::kSpent, {provider}, view.settled + sum.live_cost);
    page.Add(metrics::kUnknownThings, {provider}, view.unknown);
    if (view.listed_at) page.Add(metrics::kListingAge, {provider}, Value(now - *view.listed_at));
    for (const WipeOutcome outcome : kWipeOutcomes) {
      const auto count = view.returned.find(outcome);
      page.Add(metrics::kReturned, {provider, std::string(Name(outcome))},
               count == view.returned.end() ? 0 : count->second);
    }
  }
}

void WriteBudgets(const Snapshot& snapshot, Page& page) {
  for (const BudgetState& budget : snapshot.budgets) {
    page.Add(metrics::kBudgetLimit, {budget.name}, budget.amount);
    page.Add(metrics::kBudgetSpent, {budget.name}, budget.spent);
    page.Add(metrics::kBudgetReserved, {budget.name}, budget.reserved);
    page.Add(metrics::kBudgetWarn, {budget.name},
             Money::Micro(static_cast<std::int64_t>(static_cast<__int128>(budget.amount.micro()) *
                                                    budget.warn_at_percent / 100)));
  }
}

}  // namespace

void WriteMetrics(const RoundView& round, const MetricsInputs& inputs, Page& page) {
  const plan::Options options;
  const plan::Index index(round.snapshot, options);
  WriteQueue(round, index, inputs.now, page);
  WriteNodes(round.snapshot, inputs.now, page);
  WriteProviders(round, index, inputs.now, page);
  WriteBudgets(round.snapshot, page);
  std::int64_t arrived = 0, missing = 0, results = 0;
  for (const TransferView& transfer : inputs.transfers) {
    arrived += transfer.staged_bytes;
    missing += std::max<std::int64_t>(0, transfer.total_bytes - transfer.staged_bytes);
    results += transfer.results_pending;
  }
  page.Add(metrics::kStagingBytes, {"arrived"}, arrived);
  page.Add(metrics::kStagingBytes, {"missing"}, missing);
  page.Add(metrics::kResultsPending, {}, results);
  page.Add(metrics::kObjectProblems, {}, round.problems.size());
  if (inputs.ledger_records) page.Add(metrics::kLedgerRecords, {}, *inputs.ledger_records);
}

}  // namespace spillway::server
