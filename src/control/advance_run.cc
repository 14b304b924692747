// Running and Returning: the pods, and what they leave.
#include <fmt/format.h>

#include <algorithm>

#include "control/turn.h"

namespace spillway::control {
namespace {

// Pods were admitted, and for deadlines.boot the cluster has not put a single one here: the machine
// is not what they need, whatever it said.
bool FailIfUnused(Turn& turn) {
  const BurstNode& node = turn.node();
  if (!turn.seen.pods) return false;
  Time idle_since = std::max(node.phase_since, std::min(turn.seen.watching_since, turn.now));
  for (const PodReport& pod : *turn.seen.pods) {
    if (pod.promised) return false;
    if (pod.node != node.name) continue;
    if (!Ended(node, &pod)) return false;
    if (pod.ended) idle_since = std::max(idle_since, std::min(*pod.ended, turn.now));
  }
  if (turn.now - idle_since < node.deadlines.boot) {
    turn.LookAgain(idle_since + node.deadlines.boot);
    return false;
  }
  turn.Fail(Failure::kWrongHardware, "the cluster places none of its pods on it");
  return true;
}

// The first pod that the machine took, of those that have not ended, when that is known of all.
std::optional<Time> TakenAt(const Turn& turn) {
  const BurstNode& node = turn.node();
  std::optional<Time> first;
  for (const PodReport& pod : *turn.seen.pods) {
    if (pod.node != node.name) continue;
    if (Ended(node, &pod) || BeganAt(pod) || !pod.taken) return std::nullopt;
    first = std::min(first.value_or(*pod.taken), *pod.taken);
  }
  return first;
}

// Pods are bound here, and no container of any ever ran: an image that does not come.
bool FailIfNotStarted(Turn& turn) {
  const BurstNode& node = turn.node();
  if (node.deadlines.start == Duration{0} || node.start_took || !turn.seen.pods) return false;
  const std::optional<Time> taken = TakenAt(turn);
  if (!taken) return false;
  const Time since =
      std::min(std::max({*taken, node.phase_since, turn.seen.watching_since}), turn.now);
  if (turn.now - since < node.deadlines.start) {
    turn.LookAgain(since + node.deadlines.start);
    return false;
  }
  turn.Fail(Failure::kStartTimeout,
            fmt::format("no container of its pods ran within {}: their images did not come",
                        FormatDuration(node.deadlines.start)));
  return true;
}

bool AllEnded(const Turn& turn) {
  return turn.seen.pods &&
         std::all_of(turn.node().pods.begin(), turn.node().pods.end(), [&](const PodRef& pod) {
           return Ended(turn.node(), ReportOf(turn.seen, pod));
         });
}

// "Nothing left to send" means something only if it was said after this phase began: before, the
// node could not know that no pod would write any more.
bool ResultsHome(const Turn& turn) {
  if (!turn.seen.node || !turn.seen.run || !turn.seen.node->results_returned) return false;
  return *turn.LastHeartbeat() > turn.node().phase_since &&
         turn.seen.run->results_receipted >= turn.seen.node->results;
}

}  // namespace

std::optional<Time> BeganAt(const PodReport& pod) {
  return pod.began ? pod.began : pod.started;
}

const PodReport* ReportOf(const Observation& observation, const PodRef& pod) {
  if (!observation.pods) return nullptr;
  for (const PodReport& report : *observation.pods)
    if (report.uid == pod.uid && report.key == pod.key) return &report;
  return nullptr;
}

bool Ended(const BurstNode& node, const PodReport* report) {
  if (report == nullptr) return true;
  if (report->phase == PodPhase::kSucceeded || report->phase == PodPhase::kFailed) return true;
  return !report->node.empty() && report->node != node.name;
}

void MeasureComputing(Turn& turn) {
  if (!turn.seen.pods) return;
  BurstNode& node = turn.node();
  std::optional<Time> first, last;
  for (const PodReport& pod : *turn.seen.pods) {
    if (pod.node != node.name || !pod.started) continue;
    const Time end = std::min(pod.ended.value_or(turn.now), turn.now);
    first = first ? std::min(*first, *pod.started) : *pod.started;
    last = last ? std::max(*last, end) : end;
  }
  if (!first) return;
  turn.Set(node.computed_until, last);
  turn.Set(node.computed, std::max(node.computed, *last - *first));
}

std::vector<PodRef> ToEvict(const Turn& turn) {
  const BurstNode& node = turn.node();
  std::vector<PodRef> evicted;
  if (!node.Failed() || !node.pods_admitted) return evicted;
  const bool results_lost = node.failure == Failure::kNodeLost && !node.results_complete;
  for (const PodRef& pod : node.pods) {
    const PodReport* report = ReportOf(turn.seen, pod);
    if (report != nullptr && report->node == node.name && !report->released &&
        (results_lost || !Ended(node, report)))
      evicted.push_back(pod);
  }
  return evicted;
}

bool FailIfLost(Turn& turn) {
  const BurstNode& node = turn.node();
  if (turn.IsShown(ports::InstanceState::kError) || turn.IsOff()) {
    turn.Fail(Failure::kNodeLost, turn.IsOff() ? "the provider says that the machine is off"
                                               : "the provider says that the instance broke down");
    return true;
  }
  if (node.absent_lists >= kAbsentLists) {
    turn.Fail(Failure::kNodeLost, "the instance vanished from the provider's listings");
    return true;
  }
  const Time heard = turn.LastHeard();
  if (turn.now - heard < node.deadlines.lease) {
    turn.LookAgain(heard + node.deadlines.lease);
    return false;
  }
  turn.Fail(Failure::kNodeLost,
            fmt::format("no heartbeat for {}", FormatDuration(node.deadlines.lease)));
  return true;
}

bool FailIfExpired(Turn& turn) {
  const BurstNode& node = turn.node();
  const Time end = node.created_at + node.deadlines.lifetime;
  if (turn.now < end) {
    turn.LookAgain(end);
    return false;
  }
  turn.Fail(Failure::kLifetime,
            fmt::format("its lifetime of {} is over", FormatDuration(node.deadlines.lifetime)));
  return true;
}

void AdvanceRunning(Turn& turn) {
  if (FailIfLost(turn)) return;
  if (AllEnded(turn)) return turn.MoveTo(Phase::kReturning, "every pod ended");
  if (turn.seen.gang_failed)
    return turn.Fail(Failure::kGangFailed, "another node of its gang failed");
  if (turn.seen.end_asked) return turn.Fail(Failure::kCancelled, "somebody deleted the BurstNode");
  if (FailIfExpired(turn) || FailIfNotStarted(turn)) return;
  FailIfUnused(turn);
}

void AdvanceReturning(Turn& turn) {
  if (FailIfLost(turn)) return;
  BurstNode& node = turn.node();
  if (ResultsHome(turn)) {
    turn.Set(node.results_complete, true);
    return turn.MoveTo(Phase::kWiping, "its results are home");
  }
  if (!turn.Over(node.deadlines.give_back)) return;
  turn.MoveTo(Phase::kWiping,
              fmt::format("its results did not all come home within {}; what is missing is lost",
                          FormatDuration(node.deadlines.give_back)));
}

}  // namespace spillway::control
