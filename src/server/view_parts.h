// What several views share: forms of values, places, and the part of a BurstNode's cost that each
// workload bears.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plan/index.h"
#include "plan/law.h"
#include "server/views.h"

namespace spillway::server {

json::object MoneyJson(Money money);  // {"microEuro", "text"}
json::value MoneyOrNull(const std::optional<Money>& money);
json::value TimeOrNull(const std::optional<Time>& time);
json::value TextOrNull(std::string_view text);  // empty: null
json::array Texts(const std::vector<std::string>& texts);
std::int64_t Seconds(Duration duration);  // rounded down
json::array Simulated(const ViewContext& context);

std::string PlaceOf(const Offer& offer);  // "scaleway/fr-par-2/H100-SXM-4-80G"
const BurstNode* FindNode(const std::vector<BurstNode>& nodes, std::string_view name);
const Pod& PodAt(const Snapshot& snapshot, std::int32_t index);
std::int64_t GpusOf(const Snapshot& snapshot, const Pod& pod);

json::object DecisionJson(const Decision& decision, const RoundView& round, Time now);
json::object TransferJson(const TransferView& transfer);
json::object WipeJson(const BurstNode& node);

// The rules of a policy and the state of the offer (stock, parking). The name of kChosen is
// "allowed" here: nobody has chosen.
plan::Objection JudgeByPolicy(const plan::Index& index, int policy, std::int32_t offer);
std::string_view PolicyVerdictName(OfferReason reason);
// The verdict in words: "refused: lacks certificate HDS".
std::string VerdictSentence(OfferReason reason, std::string_view detail);
// The workload of this key, or the one that the pods of this Job are a part of (a gang of several
// Jobs); nullptr: the planner knows of none now.
const Workload* WorkloadFor(const Snapshot& snapshot, std::string_view key, const Owners& owners);

const ProviderFacts* FactsOf(const Snapshot& snapshot, const Offer& offer);  // nullptr: unknown

// A deletion that takes longer than this is something a person should look at.
inline constexpr Duration kDeletingTooLong = 10min;
// Longer in its phase than its deadline allows, so that it should have left it by itself.
bool Overdue(const BurstNode& node, Time now);
Money PerHour(const BurstNode& node);  // what is metered at this moment

// Seconds and money of one BurstNode, so far or final. Sums of shares are exact.
struct Amounts {
  std::int64_t paid_ms = 0, computed_ms = 0;
  Money estimate, compute, side_objects, egress;
  Money Actual() const { return compute + side_objects + egress; }
  Amounts& operator+=(const Amounts& other);
};
// The estimate of a node that went without ever being metered counts as zero: nothing was spent
// for which it was made.
Amounts AmountsOf(const BurstNode& node, Time now);
// The workloads the node was rented for, by name, each with its part by pods.
std::vector<std::pair<std::string, Amounts>> SharesOf(const BurstNode& node, const Owners& owners,
                                                      Time now);

}  // namespace spillway::server
