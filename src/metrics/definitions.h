// Every metric of Spillway. docs/reference/metrics.md describes the same ones; a test compares.
// Naming and units: https://prometheus.io/docs/practices/naming/
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spillway::metrics {

enum class Type : std::uint8_t { kCounter, kGauge, kHistogram };
constexpr std::string_view Name(Type type) {
  return type == Type::kCounter ? "counter" : type == Type::kGauge ? "gauge" : "histogram";
}

struct Definition {
  Type type;
  std::string_view name, help;
  std::array<std::string_view, 3> labels{};  // names; unused ones at the end are empty

  constexpr std::size_t Labels() const {
    std::size_t count = 0;
    while (count < labels.size() && !labels[count].empty()) ++count;
    return count;
  }
};

// --- This process. ---
inline constexpr Definition kBuildInfo{Type::kGauge,
                                       "spillway_build_info",
                                       "1; the labels say what runs: version and mode.",
                                       {"version", "mode"}};
inline constexpr Definition kLeader{
    Type::kGauge, "spillway_leader",
    "1 if this replica may act, 0 if it stands by. Always 1 in the embedded mode."};
inline constexpr Definition kLeaseLeft{
    Type::kGauge, "spillway_lease_left_seconds",
    "How long this replica may still act if its lease is not renewed; 0 if it does not lead."};
inline constexpr Definition kResidentMemory{Type::kGauge, "process_resident_memory_bytes",
                                            "Memory of the process that is in RAM."};
inline constexpr Definition kCpuSeconds{Type::kCounter, "process_cpu_seconds_total",
                                        "Processor time of the process, user and system."};
inline constexpr Definition kStartTime{Type::kGauge, "process_start_time_seconds",
                                       "When the process started, in seconds since 1970."};
inline constexpr Definition kOpenFiles{Type::kGauge, "process_open_fds",
                                       "File descriptors that are open."};
inline constexpr Definition kMostFiles{Type::kGauge, "process_max_fds",
                                       "File descriptors that may be open."};

// --- How fast. ---
inline constexpr Definition kReaction{
    Type::kHistogram, "spillway_reaction_seconds",
    "From the moment a pod was seen to be unschedulable until a machine for it is asked for at "
    "the provider. Pods that were first told to wait are not in it."};
inline constexpr Definition kReactionOwn{
    Type::kHistogram, "spillway_reaction_own_seconds",
    "The same without the time that the API server took for the machine's bootstrap token."};

// --- The rounds of the leader. ---
inline constexpr Definition kRounds{Type::kCounter,
                                    "spillway_rounds_total",
                                    "Looks at everything, by result: ok or failed.",
                                    {"result"}};
inline constexpr Definition kRoundSeconds{Type::kHistogram, "spillway_round_seconds",
                                          "How long such a look took."};
inline constexpr Definition kPlanSeconds{
    Type::kHistogram, "spillway_plan_seconds",
    "The part of it that decides: advance every BurstNode, then plan."};
inline constexpr Definition kRoundAge{Type::kGauge, "spillway_round_age_seconds",
                                      "Real time since the last one that did not fail."};
inline constexpr Definition kCommitSeconds{
    Type::kHistogram, "spillway_ledger_commit_seconds",
    "How long it took to store BurstNodes and ledger records, on disk."};
inline constexpr Definition kCommitFailures{Type::kCounter, "spillway_ledger_commit_failures_total",
                                            "Times that nothing could be stored."};
inline constexpr Definition kLedgerRecords{Type::kGauge, "spillway_ledger_records",
                                           "Records in the ledger."};
inline constexpr Definition kObjectProblems{
    Type::kGauge, "spillway_object_problems",
    "Objects that cannot be understood; `spillway doctor` names them."};

// --- The queue. ---
inline constexpr Definition kPodsWaiting{
    Type::kGauge,
    "spillway_pods_waiting",
    "Pods that wait, by policy and why: the reason of the decision, or what is done about it "
    "(rent, on-its-way, fits-site).",
    {"policy", "reason"}};
inline constexpr Definition kOldestWait{Type::kGauge,
                                        "spillway_oldest_wait_seconds",
                                        "How long the one that came first has waited.",
                                        {"policy"}};

// --- Rented machines. ---
inline constexpr Definition kNodes{Type::kGauge,
                                   "spillway_nodes",
                                   "BurstNodes that are not Gone, by phase, provider and type.",
                                   {"phase", "provider", "type"}};
inline constexpr Definition kNodesOverdue{
    Type::kGauge,
    "spillway_nodes_overdue",
    "Of these, those longer in their phase than its deadline; in Deleting, those that exist 10 "
    "minutes after their run key was destroyed or its deadline was over.",
    {"phase", "provider"}};
inline constexpr Definition kIdleNodes{Type::kGauge,
                                       "spillway_idle_nodes",
                                       "BurstNodes in phase Running that no pod runs on.",
                                       {"provider"}};
inline constexpr Definition kReturnAge{
    Type::kGauge,
    "spillway_return_age_seconds",
    "Of the machines whose work is over and that are not Gone: how long for the first of them.",
    {"provider"}};
inline constexpr Definition kReturned{
    Type::kGauge,
    "spillway_returned_nodes",
    "Machines given back in the last 366 days by what is proven of their wipe: full (overwritten "
    "and read back), crypto-erase only, unproven, not needed (no data was there).",
    {"provider", "wipe"}};
inline constexpr Definition kKeysOwed{
    Type::kGauge,
    "spillway_keys_owed",
    "Run keys that the key service did not destroy in time: their machines are given back without "
    "that, and it is asked again until they are destroyed.",
    {"provider"}};
inline constexpr Definition kStagingBytes{
    Type::kGauge,
    "spillway_staging_bytes",
    "Sealed bytes of the machines that are rented now, by state: arrived or missing.",
    {"state"}};
inline constexpr Definition kResultsPending{Type::kGauge, "spillway_results_pending",
                                            "Files of results that have no receipt yet."};

// --- Money. ---
inline constexpr Definition kSpent{
    Type::kGauge,
    "spillway_spent_eur",
    "Cost of the machines given back in the last 366 days, and so far of those that are rented.",
    {"provider"}};
inline constexpr Definition kRate{Type::kGauge,
                                  "spillway_rate_eur_per_hour",
                                  "What is metered now: machines, disks, addresses.",
                                  {"provider"}};
inline constexpr Definition kLiveCost{Type::kGauge,
                                      "spillway_live_cost_eur",
                                      "Cost so far of the machines that are rented.",
                                      {"provider"}};
inline constexpr Definition kLiveForecast{Type::kGauge,
                                          "spillway_live_forecast_eur",
                                          "What they were expected to cost in all.",
                                          {"provider"}};
inline constexpr Definition kAboveForecast{Type::kGauge,
                                           "spillway_above_forecast_eur",
                                           "By how much those that cost more than expected do so.",
                                           {"provider"}};
inline constexpr Definition kBudgetLimit{
    Type::kGauge, "spillway_budget_limit_eur", "Amount of the Budget for a period.", {"budget"}};
inline constexpr Definition kBudgetWarn{
    Type::kGauge, "spillway_budget_warn_eur", "The part of it at which it warns.", {"budget"}};
inline constexpr Definition kBudgetSpent{
    Type::kGauge, "spillway_budget_spent_eur", "Settled in this period.", {"budget"}};
inline constexpr Definition kBudgetReserved{Type::kGauge,
                                            "spillway_budget_reserved_eur",
                                            "Worst case of everything that is rented now, and "
                                            "what machines have cost that only owe their key.",
                                            {"budget"}};

// --- Providers. ---
inline constexpr Definition kProviderReady{Type::kGauge,
                                           "spillway_provider_ready",
                                           "1 if the account answers and has quota.",
                                           {"provider"}};
inline constexpr Definition kListingAge{Type::kGauge,
                                        "spillway_provider_listing_age_seconds",
                                        "Since the newest list of what is rented was asked for.",
                                        {"provider"}};
inline constexpr Definition kUnknownThings{
    Type::kGauge,
    "spillway_unknown_instances",
    "Machines, disks and addresses with our tag that belong to no BurstNode; they are deleted.",
    {"provider"}};
inline constexpr Definition kParkedOffers{
    Type::kGauge,
    "spillway_parked_offers",
    "Offers that rest after a failure or for lack of capacity.",
    {"provider"}};
inline constexpr Definition kProviderCalls{
    Type::kCounter,
    "spillway_provider_calls_total",
    "Calls to a provider by what was asked and what came of it: ok, or the code of the error. "
    "maybe-applied: nobody knows.",
    {"provider", "call", "outcome"}};
inline constexpr Definition kProviderSeconds{Type::kHistogram,
                                             "spillway_provider_call_seconds",
                                             "How long the provider took to answer.",
                                             {"provider", "call"}};

// --- The Kubernetes API. ---
inline constexpr Definition kApiRequests{
    Type::kCounter,
    "spillway_api_requests_total",
    "Requests to the API server by verb, resource and HTTP status, or what kept it from coming.",
    {"verb", "resource", "code"}};
inline constexpr Definition kApiSeconds{
    Type::kHistogram,
    "spillway_api_request_seconds",
    "How long the API server took to answer, without our own queue. Watches are not in it.",
    {"verb"}};
inline constexpr Definition kWatchSilence{
    Type::kGauge,
    "spillway_watch_silence_seconds",
    "Since a watch last told anything; a watch that is well tells something every minute.",
    {"resource"}};
inline constexpr Definition kWatchFailures{Type::kCounter,
                                           "spillway_watch_failures_total",
                                           "Watches that broke and were begun again.",
                                           {"resource"}};
inline constexpr Definition kRelists{Type::kCounter,
                                     "spillway_relists_total",
                                     "Times that everything of a kind was listed.",
                                     {"resource"}};
inline constexpr Definition kWritesDropped{
    Type::kCounter,
    "spillway_writes_dropped_total",
    "Writes that were given up because too many wait, by queue: events or objects.",
    {"queue"}};

// In the order in which they are shown.
inline constexpr std::array kAll{
    &kBuildInfo,      &kLeader,         &kLeaseLeft,       &kReaction,      &kReactionOwn,
    &kRounds,         &kRoundSeconds,   &kPlanSeconds,     &kRoundAge,      &kCommitSeconds,
    &kCommitFailures, &kLedgerRecords,  &kObjectProblems,  &kPodsWaiting,   &kOldestWait,
    &kNodes,          &kNodesOverdue,   &kIdleNodes,       &kReturnAge,     &kReturned,
    &kKeysOwed,       &kStagingBytes,   &kResultsPending,  &kSpent,         &kRate,
    &kLiveCost,       &kLiveForecast,   &kAboveForecast,   &kBudgetLimit,   &kBudgetWarn,
    &kBudgetSpent,    &kBudgetReserved, &kProviderReady,   &kListingAge,    &kUnknownThings,
    &kParkedOffers,   &kProviderCalls,  &kProviderSeconds, &kApiRequests,   &kApiSeconds,
    &kWatchSilence,   &kWatchFailures,  &kRelists,         &kWritesDropped, &kStartTime,
    &kCpuSeconds,     &kResidentMemory, &kOpenFiles,       &kMostFiles,
};

}  // namespace spillway::metrics
