#include "sim/door.h"

namespace spillway::sim {

bool Door::Register(const std::string& node, const std::string& machine, int gpus) {
  const BurstNode* stored = journal_.Find(node);
  if (stored == nullptr || stored->phase >= Phase::kWiping) return false;
  const auto [it, fresh] = token_used_by_.try_emplace(node, machine);
  if (!fresh && it->second != machine) return false;
  cluster_.AddNode(node, gpus);
  return true;
}

Wish Door::WishFor(const BurstNode* node) const {
  if (node == nullptr) return Wish::kPowerOff;
  switch (node->phase) {
    case Phase::kPlanned:
    case Phase::kRequested:
    case Phase::kProvisioned:
    case Phase::kStaged:
      return Wish::kWait;
    case Phase::kJoined:
      // The run key goes to the node only now, when it is trusted, and only if it exists.
      return node->run_prepared && gateway_.KeyAlive(node->name) ? Wish::kStage : Wish::kWait;
    case Phase::kRunning:
      return Wish::kRun;
    case Phase::kReturning:
      return Wish::kReturn;
    case Phase::kWiping:
      return Wish::kWipe;
    case Phase::kDeleting:
    case Phase::kGone:
      return Wish::kPowerOff;
  }
  return Wish::kPowerOff;
}

Answer Door::Receive(const std::string& node, const Heartbeat& heartbeat, Time now, bool& news) {
  Entry& entry = reports_[node];
  const bool first = entry.sequence == 0;
  if (!first && heartbeat.sequence <= entry.sequence) return {};  // an old one that was late
  const control::NodeReport& was = entry.report;
  const control::NodeReport& is = heartbeat.report;
  news |= first || was.staged != is.staged || was.results_returned != is.results_returned ||
          was.overwritten != is.overwritten || was.wiped != is.wiped;
  entry.sequence = heartbeat.sequence;
  entry.report = heartbeat.report;
  entry.report.last_heartbeat = now;

  const BurstNode* stored = journal_.Find(node);
  // A node that was given up has nothing more to say about pods: they may run elsewhere.
  if (stored != nullptr && stored->phase <= Phase::kReturning) {
    for (const Heartbeat::PodState& pod : heartbeat.pods) {
      news |= cluster_.ReportStarted(pod.pod, node, now);
      if (pod.ended) news |= cluster_.ReportEnded(pod.pod, node, pod.success, now);
    }
  }
  if (news && context_.trace.text())
    context_.trace.Line(context_.now(), node,
                        std::string("reports") + (is.staged ? " staged" : "") +
                            (is.results_returned ? " results-returned" : "") +
                            (is.wiped ? " wiped" : ""));
  return Answer{WishFor(stored), cluster_.RunningOn(node)};
}

const control::NodeReport* Door::Report(const std::string& node) const {
  const auto it = reports_.find(node);
  return it == reports_.end() ? nullptr : &it->second.report;
}

}  // namespace spillway::sim
