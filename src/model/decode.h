// Kubernetes-style JSON objects <-> values. Objects were validated against their schema before;
// what is still impossible (a reference to nothing) is reported as kInvalid with the field.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/plan.h"
#include "model/snapshot.h"

namespace spillway {

// A map of strings; empty for nullptr.
Labels DecodeLabels(const json::value* value);

Result<Policy> DecodePolicy(const json::value& object);
Result<ProviderAccount> DecodeProvider(const json::value& object);
Result<DatasetInfo> DecodeDataset(const json::value& object);
// spent, reserved and period_ends are filled by control (FillBudgets).
Result<BudgetState> DecodeBudget(const json::value& object);
Result<Node> DecodeNode(const json::value& object);
QuotaState DecodeQuota(const json::value& object);

// Requests of one pod: its containers and sidecars together, or the most that starting them needs,
// plus overhead; limits count as requests where there are none, as Kubernetes defaults them. Shapes
// of pods: decode_pods.h.
Result<Resources> DecodePodRequests(const json::value& pod_spec);

// BurstNode as the custom resource: spec holds the decision, status the life. Exact both ways.
json::value EncodeBurstNode(const BurstNode& node);
Result<BurstNode> DecodeBurstNode(const json::value& object);

json::value EncodeOffer(const Offer& offer);
json::value EncodeForecast(const Forecast& forecast);

// The plan as the API shows it: {"decisions": [{workload, verdict, reason, sentence, ...,
// "offers": [{provider, region, type, reason, detail, total}]}], "rentals": [...]}.
json::value EncodePlan(const Plan& plan, const Snapshot& snapshot);

}  // namespace spillway
