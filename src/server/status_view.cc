// What goes on now: status, transfers, events, doctor, plan.
#include <fmt/format.h>

#include <algorithm>

#include "base/quantity.h"
#include "control/advance.h"
#include "model/decode.h"
#include "model/text.h"
#include "server/view_parts.h"

namespace spillway::server {
namespace {

json::object SiteJson(const Snapshot& snapshot) {
  std::map<std::string_view, std::pair<std::int64_t, std::int64_t>> use;  // GPUs, pods
  for (const Pod& pod : snapshot.pods) {
    if (pod.node.empty()) continue;
    use[pod.node].first += GpusOf(snapshot, pod);
    ++use[pod.node].second;
  }
  json::array nodes;
  std::int64_t used = 0, total = 0;
  for (const Node& node : snapshot.nodes) {
    if (node.rented) continue;
    auto [gpus, pods] = use[node.name];
    gpus += node.taken.gpus;
    pods += node.taken_pods;
    used += gpus;
    total += node.allocatable.gpus;
    nodes.push_back(json::object{{"name", node.name},
                                 {"ready", node.ready},
                                 {"unschedulable", node.unschedulable},
                                 {"gpusUsed", gpus},
                                 {"gpusTotal", node.allocatable.gpus},
                                 {"pods", pods}});
  }
  return {{"gpusUsed", used}, {"gpusTotal", total}, {"nodes", std::move(nodes)}};
}

json::array RunningJson(const Snapshot& snapshot) {
  json::array out;
  for (const Workload& workload : snapshot.workloads) {
    std::map<std::string, std::int64_t> where;
    std::int64_t pods = 0, gpus = 0, starting = 0;
    for (const std::int32_t index : workload.pods) {
      const Pod& pod = PodAt(snapshot, index);
      if (pod.node.empty()) continue;
      ++pods;
      gpus += GpusOf(snapshot, pod);
      starting += pod.phase == PodPhase::kPending;
      ++where[pod.node];
    }
    const bool away = std::any_of(where.begin(), where.end(), [&](const auto& place) {
      return FindNode(snapshot.burst_nodes, place.first) != nullptr;
    });
    // A cluster runs much besides, which is of no concern here.
    if (pods == 0 || (gpus == 0 && !away)) continue;
    json::array places;
    for (const auto& [name, count] : where) {
      const BurstNode* rented = FindNode(snapshot.burst_nodes, name);
      places.push_back(json::object{{"node", name},
                                    {"place", rented == nullptr ? "site" : PlaceOf(rented->offer)},
                                    {"rented", rented != nullptr},
                                    {"pods", count}});
    }
    out.push_back(json::object{{"workload", workload.key},
                               {"namespace", workload.ns},
                               {"pods", pods},
                               {"gpus", gpus},
                               {"starting", starting},
                               {"where", std::move(places)}});
  }
  return out;
}

json::object RentedJson(const BurstNode& node, const std::vector<TransferView>& transfers,
                        Time now) {
  const auto transfer = std::ranges::find(transfers, node.name, &TransferView::burst_node);
  return {{"name", node.name},
          {"phase", Name(node.phase)},
          {"provider", node.offer.provider},
          {"region", node.offer.region},
          {"type", node.offer.instance_type},
          {"gpus", node.offer.allocatable.gpus},
          {"for", node.workload},
          {"namespace", node.ns},
          {"pods", node.pods.size()},
          {"createdAt", FormatTime(node.created_at)},
          {"since", FormatTime(node.phase_since)},
          {"phaseSeconds", Seconds(now - node.phase_since)},
          {"costSoFar", MoneyJson(AmountsOf(node, now).Actual())},
          {"perHour", MoneyJson(PerHour(node))},
          {"progress", transfer == transfers.end() ? json::value(nullptr)
                                                   : json::value(TransferJson(*transfer))},
          {"failure", node.Failed() ? json::value(Name(node.failure)) : json::value(nullptr)},
          {"failureDetail", node.failure_detail}};
}

std::int64_t PercentUsed(const BudgetState& budget) {
  const std::int64_t amount = budget.amount.micro();
  const std::int64_t used = (budget.spent + budget.reserved).micro();
  if (amount <= 0) return used > 0 ? 100 : 0;
  return static_cast<std::int64_t>(static_cast<__int128>(used) * 100 / amount);
}

json::object BudgetJson(const BudgetState& budget) {
  const std::int64_t percent = PercentUsed(budget);
  return {{"name", budget.name},
          {"namespaces", Texts(budget.namespaces)},
          {"period", budget.period},
          {"periodEnds", TimeOrNull(budget.period_ends)},
          {"amount", MoneyJson(budget.amount)},
          {"spent", MoneyJson(budget.spent)},
          {"reserved", MoneyJson(budget.reserved)},
          {"left", MoneyJson(budget.Left())},
          {"percent", percent},
          {"warn", percent >= budget.warn_at_percent}};
}

json::array AlarmsJson(const RoundView& round, Time now) {
  json::array out;
  const auto add = [&](std::string_view kind, std::string_view about, std::string sentence) {
    out.push_back(
        json::object{{"kind", kind}, {"about", about}, {"sentence", std::move(sentence)}});
  };
  for (const BurstNode& node : round.snapshot.burst_nodes)
    if (node.phase == Phase::kDeleting && Overdue(node, now))
      add("deleting", node.name,
          fmt::format("BurstNode {} at {} is being deleted for {} and still costs {} per hour",
                      node.name, node.offer.provider, HumanDuration(now - node.phase_since),
                      HumanMoney(PerHour(node))));
  for (const BurstNode& node : round.snapshot.burst_nodes)
    if (node.Live() && node.KeyOwed())
      add("key", node.name, fmt::format("BurstNode {}: {}", node.name, KeyDebtSentence(node)));
  for (const BudgetState& budget : round.snapshot.budgets)
    if (const std::int64_t percent = PercentUsed(budget); percent >= budget.warn_at_percent)
      add("budget", budget.name,
          fmt::format("Budget {}: {} % of {} is spent or reserved, {} is left", budget.name,
                      percent, HumanMoney(budget.amount), HumanMoney(budget.Left())));
  for (const ProviderAccount& account : round.snapshot.accounts)
    if (!account.ready)
      add("provider", account.name,
          fmt::format("CloudProvider {} cannot be used: {}", account.name,
                      account.not_ready_reason));
  for (const std::string& problem : round.problems) add("object", "", problem);
  return out;
}

}  // namespace

json::value StatusView(const RoundView& round, const std::vector<TransferView>& transfers,
                       const ViewContext& context) {
  json::array waiting, rented, budgets;
  for (const Decision& decision : round.plan.decisions)
    waiting.push_back(DecisionJson(decision, round, context.now));
  Money per_hour;
  for (const BurstNode& node : round.snapshot.burst_nodes) {
    if (!node.Live()) continue;
    per_hour += PerHour(node);
    rented.push_back(RentedJson(node, transfers, context.now));
  }
  for (const BudgetState& budget : round.snapshot.budgets) budgets.push_back(BudgetJson(budget));
  return json::object{
      {"now", FormatTime(context.now)},  {"timeScale", context.time_scale},
      {"simulated", Simulated(context)}, {"site", SiteJson(round.snapshot)},
      {"waiting", std::move(waiting)},   {"running", RunningJson(round.snapshot)},
      {"rented", std::move(rented)},     {"perHour", MoneyJson(per_hour)},
      {"budgets", std::move(budgets)},   {"alarms", AlarmsJson(round, context.now)}};
}

json::value TransfersView(const std::vector<TransferView>& transfers) {
  json::array items;
  for (const TransferView& transfer : transfers) items.push_back(TransferJson(transfer));
  return json::object{{"items", std::move(items)}};
}

json::value EventsView(const std::vector<EventView>& events) {
  json::array items;
  for (const EventView& event : events)
    items.push_back(json::object{{"first", FormatTime(event.first)},
                                 {"last", FormatTime(event.last)},
                                 {"count", event.count},
                                 {"warning", event.warning},
                                 {"reason", event.reason},
                                 {"message", event.message},
                                 {"about", json::object{{"kind", event.about.kind},
                                                        {"namespace", event.about.ns},
                                                        {"name", event.about.name}}}});
  return json::object{{"items", std::move(items)}};
}

json::value DoctorView(const std::vector<Finding>& findings) {
  json::array items;
  for (const Finding& finding : findings)
    items.push_back(
        json::object{{"name", finding.name}, {"ok", finding.ok}, {"sentence", finding.sentence}});
  return json::object{{"ok", std::ranges::all_of(findings, &Finding::ok)},
                      {"items", std::move(items)}};
}

json::value PlanView(const RoundView& round, const ViewContext& context) {
  json::object out{{"now", FormatTime(round.snapshot.now)},
                   {"simulated", Simulated(context)},
                   {"problems", Texts(round.problems)}};
  const json::value plan = EncodePlan(round.plan, round.snapshot);
  for (const auto& member : plan.get_object()) out[member.key()] = member.value();
  return out;
}

}  // namespace spillway::server
