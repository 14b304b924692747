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

// --- Calls to the Kubernetes API. ---
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

// In the order in which they are shown.
inline constexpr std::array kAll{
    &kBuildInfo, &kLeader,     &kReaction,       &kApiRequests, &kApiSeconds,
    &kStartTime, &kCpuSeconds, &kResidentMemory, &kOpenFiles,   &kMostFiles,
};

}  // namespace spillway::metrics
