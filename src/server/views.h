// Views: what people and programs see of a round, the BurstNodes, the objects and the ledger. Pure
// functions: the same input gives the same JSON. The shapes are those of api/openapi.yaml.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "server/backend.h"

namespace spillway::server {

// The moment of looking, and what every view must say.
struct ViewContext {
  Time now{};
  int time_scale = 1;
  std::vector<std::string> simulated;
};

// Everything one screen needs.
json::value StatusView(const RoundView& round, const std::vector<TransferView>& transfers,
                       const ViewContext& context);

json::value TransfersView(const std::vector<TransferView>& transfers);

// All offers; judged by the named policy, or by the one that admits the namespace, if either is
// given (not both empty). kNotFound: there is no such policy.
Result<json::value> OffersView(const RoundView& round, const std::string& policy,
                               const std::string& ns, const ViewContext& context);

// Name of the workload of each pod: "ns/name" -> "ns/Job/name", or "ns/Pod/name" for a pod that no
// Job controls.
using Owners = std::map<std::string, std::string, std::less<>>;
Owners OwnersOf(const std::vector<json::value>& pods);

// A decision as it was made, for questions asked after its workload has started or ended: when, in
// which words, and what was said of every offer. Null for one that looked at no offers.
json::value DecisionRecord(const RoundView& round, const Decision& decision, Time now);

// What is known of one workload. `nodes` are all BurstNodes; `object` is its Job or Pod, or null if
// that is gone; `record` is its newest DecisionRecord or null. kNotFound: nothing is known of it at
// all.
Result<json::value> ExplainView(const RoundView& round, const std::string& workload,
                                const json::value& object, const json::value& record,
                                const std::vector<BurstNode>& nodes, const Owners& owners,
                                const ViewContext& context);

// Seconds and money of the BurstNodes, grouped. `by` is "namespace", "workload", "provider", "node"
// or "budget" (kInvalid otherwise); nodes that were Gone before `since` are left out.
Result<json::value> CostView(const std::vector<BurstNode>& nodes, const Owners& owners,
                             std::string_view by, std::optional<Time> since,
                             const ViewContext& context);

json::value PlanView(const RoundView& round, const ViewContext& context);

struct ReportInputs {
  std::vector<json::value> jobs, pods;
  std::vector<EventView> pod_events;
  std::vector<BurstNode> nodes;  // all, oldest first
  std::vector<Inspection> inspections;
  Existing existing;
  std::int64_t ledger_records = 0;
};
json::value ReportView(const RoundView& round, const ReportInputs& inputs,
                       const ViewContext& context);

json::value EventsView(const std::vector<EventView>& events);
json::value DoctorView(const std::vector<Finding>& findings);

}  // namespace spillway::server
