// What a state wants done, said anew in every step until an observation shows it done.
#include <utility>

#include "control/turn.h"

namespace spillway::control {
namespace {

// Pods that should run here and are bound nowhere yet. Before the cluster was read once after a
// restart nobody knows: then it can wait.
void NeedAdmission(Turn& turn) {
  const BurstNode& node = turn.node();
  std::vector<PodRef> waiting;
  for (const PodRef& pod : node.pods) {
    const PodReport* report = ReportOf(turn.seen, pod);
    if (report != nullptr && report->node.empty() && report->phase == PodPhase::kPending)
      waiting.push_back(pod);
  }
  if (!waiting.empty()) turn.step.commands.push_back(AdmitPods{node.name, std::move(waiting)});
}

void NeedEviction(Turn& turn) {
  const BurstNode& node = turn.node();
  std::vector<PodRef> evicted = ToEvict(turn);
  if (evicted.empty()) return;
  turn.step.commands.push_back(EvictPods{
      node.name, std::move(evicted), std::string(Name(node.failure)) + ": " + node.failure_detail});
}

// PrepareRun belongs to a known instance: a refused create leaves no key behind.
void NeedRun(Turn& turn) {
  const BurstNode& node = turn.node();
  if (!node.instance_id.empty() && !node.run_prepared)
    turn.step.commands.push_back(PrepareRun{node.name});
}

void NeedResume(Turn& turn) {
  const ports::Instance* instance = turn.instance();
  if (instance != nullptr && instance->state == ports::InstanceState::kStopped && !turn.seen.node)
    turn.step.commands.push_back(ResumeInstance{turn.node().name, instance->id});
}

void NeedDeletion(Turn& turn) {
  const BurstNode& node = turn.node();
  if (!node.instance_id.empty() && !node.key_destroyed) {
    turn.step.commands.push_back(DestroyRunKey{node.name});
    if (!node.key_owed_since) return;  // the key first, on every path
  } else if (node.wipe_class == WipeClass::kCryptoEraseOnly && node.certificate.empty())
    turn.step.commands.push_back(CertifyLoss{node.name});
  if (node.instance_id.empty()) {
    // Nothing is known to exist but what a listing shows: an address that outlived a failed create.
    if (turn.seen.seen && !turn.seen.seen->stray.empty())
      turn.step.commands.push_back(DeleteInstance{node.name, ""});
    return;
  }
  // Between the adapter's claim and its confirmation by listings there is nothing to delete.
  if (node.instance_may_exist && node.last_list_seen == Time{})
    turn.step.commands.push_back(DeleteInstance{node.name, node.instance_id});
}

}  // namespace

void Needs(Turn& turn) {
  switch (turn.node().phase) {
    case Phase::kPlanned:
      return;
    case Phase::kRequested:
    case Phase::kProvisioned:
      NeedResume(turn);
      return NeedRun(turn);
    case Phase::kJoined:
      return NeedRun(turn);
    case Phase::kStaged:
      return;
    case Phase::kRunning:
      return NeedAdmission(turn);
    case Phase::kReturning:
      return NeedEviction(turn);
    case Phase::kWiping:
      if (!turn.node().key_destroyed) turn.step.commands.push_back(DestroyRunKey{turn.node().name});
      return NeedEviction(turn);
    case Phase::kDeleting:
      NeedEviction(turn);
      return NeedDeletion(turn);
    case Phase::kGone:
      return;
  }
}

}  // namespace spillway::control
