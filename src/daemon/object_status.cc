#include "daemon/object_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/quantity.h"
#include "control/budget.h"
#include "model/decode.h"
#include "model/text.h"
#include "site/objects.h"

namespace spillway::daemon {
namespace {

struct ConditionText {
  std::string_view type;
  bool holds = false;
  std::string reason, message;
};

// "vision, labs", and how many more after the first five.
std::string Names(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

// Sets the members and the condition if anything is different; `stamp` names a member that then
// becomes the time of writing.
void Write(Cluster& cluster, const store::ObjectKey& key, const json::object& members,
           const ConditionText& condition, Time now, std::string_view stamp = "") {
  const Status written = cluster.UpdateStatus(key, [&](json::value& body) {
    json::value& status = body.get_object()["status"];
    if (!status.is_object()) status = json::object{};
    bool changed = false;
    for (const auto& member : members) {
      json::value& have = status.get_object()[member.key()];
      if (have == member.value()) continue;
      have = member.value();
      changed = true;
    }
    // Kubernetes counts whole seconds.
    changed =
        site::SetCondition(body, condition.type, condition.holds, condition.reason,
                           condition.message, std::chrono::floor<std::chrono::seconds>(now)) ||
        changed;
    if (changed && !stamp.empty()) body.at("status").get_object()[stamp] = FormatTime(now);
    return changed;
  });
  if (!written && written.error().code != Code::kNotFound)
    log::Warn("a status was not written",
              {{"kind", key.kind}, {"name", key.name}, {"error", written.error().message}});
}

void WriteBudget(Cluster& cluster, const BudgetState& b, Time now) {
  json::object members{{"spent", RoundedMoney(b.spent)},
                       {"reserved", RoundedMoney(b.reserved)},
                       {"left", RoundedMoney(std::max(b.Left(), Money()))},
                       {"periodEnd", FormatTime(b.period_ends)}};
  if (const auto period = control::PeriodAt(b.period, now))
    members["periodStart"] = FormatTime(period->start);
  // percent of the amount, without overflow for large sums
  const bool warn =
      (b.spent + b.reserved).micro() / 100 >= b.amount.micro() / 10'000 * b.warn_at_percent &&
      b.amount > Money();
  const bool out = b.Left() <= Money();
  Write(cluster, {"Budget", "", b.name}, members,
        {"Available", !out,
         out    ? "Exhausted"
         : warn ? "NearlyExhausted"
                : "Available",
         fmt::format("{} of {} is left until {}", RoundedMoney(std::max(b.Left(), Money())),
                     RoundedMoney(b.amount), FormatTime(b.period_ends))},
        now);
}

void WritePolicy(Cluster& cluster, const Policy& p, const Snapshot& snapshot, Time now) {
  const auto nodes =
      std::count_if(snapshot.burst_nodes.begin(), snapshot.burst_nodes.end(),
                    [&](const BurstNode& n) { return n.HoldsPlace() && n.policy == p.name; });
  std::vector<std::string> classes;
  for (const DataClass data_class : p.data_classes) classes.emplace_back(Name(data_class));
  Write(cluster, {"BurstPolicy", "", p.name},
        {{"nodes", static_cast<std::int64_t>(nodes)},
         {"namespaces", static_cast<std::int64_t>(p.namespaces.size())},
         {"appliesTo", Names(p.namespaces)},
         {"mayLeave", Names(classes)}},
        {"Ready", !p.namespaces.empty(), p.namespaces.empty() ? "NoNamespace" : "Applies",
         p.namespaces.empty() ? "no namespace matches" : "applies to " + Names(p.namespaces)},
        now);
}

void WriteAccount(Cluster& cluster, const ProviderAccount& a, const Snapshot& snapshot, Time now) {
  std::int64_t gpus = 0;
  for (const BurstNode& n : snapshot.burst_nodes)
    if (n.HoldsPlace() && n.offer.provider == a.name) gpus += n.offer.allocatable.gpus;
  const auto offers = std::count_if(snapshot.offers.begin(), snapshot.offers.end(),
                                    [&](const Offer& o) { return o.provider == a.name; });
  Write(cluster, {"CloudProvider", "", a.name},
        {{"nodes", a.live_nodes}, {"gpus", gpus}, {"offers", static_cast<std::int64_t>(offers)}},
        {"Ready", a.ready, a.ready ? "Answers" : "NotReady",
         a.ready ? "the account answers" : a.not_ready_reason},
        now);
}

void WriteDataset(Cluster& cluster, const store::ObjectKey& key, const DatasetInfo& dataset,
                  const Result<gateway::SelectionCache::Size>& size, Time now) {
  json::object members{{"source", dataset.SourceName()}};
  ConditionText ready{"Ready", size.has_value(), "SourceNotRead", ""};
  if (size) {
    members["files"] = size->leaves_objects;
    members["bytes"] = size->leaves_bytes;
    members["size"] = HumanBytes(size->leaves_bytes);
    ready.reason = "SourceRead";
    ready.message = fmt::format("{} files with {} may leave; {} files with {} stay",
                                size->leaves_objects, HumanBytes(size->leaves_bytes),
                                size->stays_objects, HumanBytes(size->stays_bytes));
  } else {
    ready.message = size.error().message;
  }
  Write(cluster, key, members, ready, now, "observedAt");
}

}  // namespace

void WriteDatasetStatuses(Cluster& cluster, const store::Store& store, gateway::Gateway& gateway,
                          Time now) {
  for (const store::ObjectPtr& object : store.List("Dataset")) {
    const Result<DatasetInfo> dataset = DecodeDataset(object->body);
    if (!dataset) continue;  // the round reports what cannot be understood
    WriteDataset(cluster, object->key, *dataset, gateway.SelectedSize(*dataset, {}), now);
  }
}

void WriteStatuses(Cluster& cluster, const Snapshot& snapshot, Time now) {
  for (const BudgetState& budget : snapshot.budgets) WriteBudget(cluster, budget, now);
  for (const Policy& policy : snapshot.policies) WritePolicy(cluster, policy, snapshot, now);
  for (const ProviderAccount& account : snapshot.accounts)
    WriteAccount(cluster, account, snapshot, now);
}

}  // namespace spillway::daemon
