#include "daemon/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/quantity.h"
#include "model/text.h"
#include "server/backend.h"

namespace spillway::daemon {
namespace {

// Of a large job all pods stage the same data from the same nodes.
constexpr std::size_t kPodsToldOfStaging = 16;

Told OfPod(const std::string& key, bool warning, std::string_view reason, std::string message) {
  const std::size_t slash = key.find('/');
  return {"Pod", key.substr(0, slash), key.substr(slash + 1), warning, std::string(reason), message,
          false};
}

Told OfNode(const BurstNode& node, std::string message) {
  return {"BurstNode",        "",   node.name, node.Failed(), std::string(Name(node.phase)),
          std::move(message), false};
}

// What a pod's owner wants to know of the node's life; the rest is in the node's own Events.
std::string ForPods(const BurstNode& node) {
  switch (node.phase) {
    case Phase::kProvisioned:
      return fmt::format("{} boots; expected to join within {}", node.name,
                         HumanDuration(node.forecast.boot));
    case Phase::kRunning:
      return fmt::format("{} has joined and has its data: the pod may run there", node.name);
    default:
      return {};
  }
}

// Its pods had ended and left results that will not come any more. Kubernetes runs a pod of a Job
// that counts as complete no second time, so a person has to know.
bool ResultsLost(const BurstNode& node) {
  const bool ended = std::ranges::any_of(
      node.history, [](const auto& entry) { return entry.first == Phase::kReturning; });
  return ended && !node.results_complete && (node.Failed() || node.phase >= Phase::kWiping);
}

// To the first workload: "vision/Job/sweep".
Told OfLostResults(const BurstNode& node) {
  const std::size_t first = node.workload.find('/');
  const std::size_t last = node.workload.rfind('/');
  if (first == std::string::npos || first == last)
    return OfNode(node, "results were left behind and are lost");
  return {node.workload.substr(first + 1, last - first - 1),
          node.workload.substr(0, first),
          node.workload.substr(last + 1),
          true,
          "ResultsLost",
          fmt::format("not all results of what ran on {} came home ({}): what counts as complete "
                      "has to be run again",
                      node.name, node.Failed() ? node.failure_detail : "it took too long"),
          false};
}

Told OfKeyDebt(const BurstNode& node) {
  return {"BurstNode",
          "",
          node.name,
          !node.key_destroyed,
          node.key_destroyed ? "KeyDestroyed" : "KeyOwed",
          KeyDebtSentence(node),
          false};
}

// Never 100 before all is there.
std::int64_t StagedPercent(std::int64_t staged_bytes, std::int64_t total_bytes) {
  return static_cast<std::int64_t>(static_cast<__int128>(staged_bytes) * 100 / total_bytes);
}

}  // namespace

std::vector<Told> Story::OfNodes(const std::vector<BurstNode>& changed) {
  std::vector<Told> told;
  for (const BurstNode& node : changed) {
    const auto [it, fresh] = nodes_.try_emplace(node.name);
    Node& known = it->second;
    const bool moved = fresh || known.phase != node.phase;
    const bool failed = node.Failed() && !known.failed;
    known.phase = node.phase;
    known.failed = node.Failed();
    if (failed)
      told.push_back(OfNode(node, fmt::format("{}: {}; {}", Name(node.failure), node.failure_detail,
                                              PhaseSentence(node))));
    else if (moved)
      told.push_back(OfNode(node, node.phase == Phase::kPlanned ? node.why : PhaseSentence(node)));
    if (!std::exchange(known.results_lost, ResultsLost(node)) && known.results_lost)
      told.push_back(OfLostResults(node));
    const int debt = !node.key_owed_since ? 0 : node.key_destroyed ? 2 : 1;
    if (std::exchange(known.key_debt, debt) != debt) told.push_back(OfKeyDebt(node));
    const std::string message = moved && !node.Failed() ? ForPods(node) : std::string();
    const std::string_view reason = node.phase == Phase::kProvisioned ? "Booting" : "NodeReady";
    for (const PodRef& pod : node.pods) {
      if (failed && node.Live())
        told.push_back(OfPod(pod.key, true, "RentalFailed",
                             fmt::format("{}: {}", node.name, node.failure_detail)));
      else if (!message.empty())
        told.push_back(OfPod(pod.key, false, reason, message));
    }
    if (!node.Live()) nodes_.erase(it);
  }
  return told;
}

std::vector<Told> Story::OfStaging(const BurstNode& node, const gateway::NodeProgress& seen,
                                   Time now) {
  const std::int64_t total_bytes = seen.sealed_bytes;
  if (node.phase < Phase::kJoined || node.phase > Phase::kRunning || total_bytes <= 0) return {};
  // Nothing was told of it yet where another process told its story before.
  const auto [it, fresh] = nodes_.try_emplace(node.name);
  Node& known = it->second;
  if (fresh) {
    known.phase = node.phase;
    known.failed = node.Failed();
  }
  const std::int64_t staged = std::clamp<std::int64_t>(seen.staged_bytes, 0, total_bytes);
  const std::int64_t fifths = staged / std::max<std::int64_t>(1, total_bytes / 5);
  std::string progress =
      fmt::format("{} % of {} staged", StagedPercent(staged, total_bytes), HumanBytes(total_bytes));
  if (seen.stage_bytes_per_s > 0 && staged < total_bytes)
    progress += fmt::format(
        ", {} per second, {} left", HumanBytes(seen.stage_bytes_per_s),
        HumanDuration(std::chrono::seconds((total_bytes - staged) / seen.stage_bytes_per_s + 1)));
  const bool due = fifths > known.staged_fifths ||
                   (progress != known.staging && now - known.staging_told >= kStagingEvery);
  if (!due) return {};
  known.staged_fifths = std::max(known.staged_fifths, fifths);
  known.staging = progress;
  known.staging_told = now;
  std::vector<Told> told{{"BurstNode", "", node.name, false, "Staging", progress, true}};
  for (const PodRef& pod : node.pods) {
    if (told.size() > kPodsToldOfStaging) break;
    Told one = OfPod(pod.key, false, "Staging", fmt::format("{}: {}", node.name, progress));
    one.progress = true;
    told.push_back(std::move(one));
  }
  return told;
}

std::vector<Told> Story::OfDecisions(const Snapshot& snapshot,
                                     const std::vector<Decision>& decisions,
                                     std::vector<const Decision*>* kept) {
  std::vector<Told> told;
  for (const Decision& decision : decisions) {
    const Workload& workload = snapshot.workloads[static_cast<std::size_t>(decision.workload)];
    const std::string kind = fmt::format("{}/{}", Name(decision.verdict), Name(decision.reason));
    std::string& known = decisions_[workload.key];
    if (known == kind) continue;
    known = kind;
    kept->push_back(&decision);
    const std::string_view reason = server::DecisionEvent(decision.verdict);
    // Waiting for no reason is waiting for kube-scheduler, which says so itself.
    if (reason.empty() || (decision.verdict == Verdict::kWait && decision.reason == Reason::kNone))
      continue;
    for (const std::int32_t index : workload.pods) {
      const Pod& pod = snapshot.pods[static_cast<std::size_t>(index)];
      if (pod.node.empty()) told.push_back(OfPod(pod.key, false, reason, decision.sentence));
    }
  }
  std::erase_if(decisions_, [&](const auto& entry) {
    return std::ranges::find(snapshot.workloads, entry.first, &Workload::key) ==
           snapshot.workloads.end();
  });
  return told;
}

}  // namespace spillway::daemon
