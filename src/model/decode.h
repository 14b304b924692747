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
Result<PodShape> DecodePodShape(const json::value& pod_spec);
QuotaState DecodeQuota(const json::value& object);

// Requests of one pod: the larger of sum of containers and any init container, plus overhead;
// extended resources from limits count as requests, as Kubernetes defaults them.
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
