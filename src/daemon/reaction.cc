#include "daemon/reaction.h"

#include <algorithm>

#include "metrics/instruments.h"
#include "site/objects.h"

namespace spillway::daemon {
namespace {

bool Unschedulable(const json::value& pod) {
  const json::value* scheduled = site::ConditionOf(pod, "PodScheduled");
  return scheduled != nullptr && StringOr(*scheduled, "status", "") == "False" &&
         StringOr(*scheduled, "reason", "") == "Unschedulable";
}

}  // namespace

void Reaction::Answer(Pending& pod) {
  if (!pod.answered) --open_;
  pod.answered = true;
}

void Reaction::Changed(const std::vector<store::ObjectPtr>& objects, bool removed, Moment now) {
  for (const store::ObjectPtr& object : objects) {
    if (object->key.kind != "Pod") continue;
    // `removed` is true of at least one object. A pod that stays begins anew when it changes again.
    const bool waits = !removed && site::NodeOf(object->body).empty() &&
                       !site::Deleting(object->body) && Unschedulable(object->body);
    const std::lock_guard lock(mutex_);
    const auto it = pods_.find(object->uid);
    if (it == pods_.end() && waits && pods_.size() < kMost) {
      pods_.emplace(object->uid, Pending{now});
      ++open_;
    } else if (it != pods_.end() && !waits) {
      Answer(it->second);
      pods_.erase(it);
    }
  }
}

void Reaction::Decided(const Snapshot& snapshot, const std::vector<Decision>& decisions) {
  const std::lock_guard lock(mutex_);
  for (const Decision& decision : decisions) {
    if (open_ == 0) return;
    if (decision.verdict == Verdict::kRent || decision.verdict == Verdict::kOnItsWay) continue;
    for (const std::int32_t pod :
         snapshot.workloads[static_cast<std::size_t>(decision.workload)].pods) {
      const auto it = pods_.find(snapshot.pods[static_cast<std::size_t>(pod)].uid);
      if (it != pods_.end()) Answer(it->second);
    }
  }
}

void Reaction::Asked(const std::vector<PodRef>& pods, Moment now, std::chrono::nanoseconds waited) {
  const std::lock_guard lock(mutex_);
  for (const PodRef& pod : pods) {
    const auto it = pods_.find(pod.uid);
    if (it == pods_.end() || it->second.answered) continue;
    const std::chrono::nanoseconds took = now - it->second.since;
    metrics::OfProcess().reaction.Observe(took);
    metrics::OfProcess().reaction_own.Observe(std::max(took - waited, std::chrono::nanoseconds(0)));
    Answer(it->second);
  }
}

}  // namespace spillway::daemon
