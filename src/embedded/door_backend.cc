// What rented nodes are told, and what they say (gateway::DoorBackend).
#include "base/log.h"
#include "embedded/daemon.h"
#include "embedded/pod_orders.h"
#include "site/objects.h"

namespace spillway::embedded {
namespace {

// Level by level: what a node should be doing follows from its BurstNode's phase alone.
door::Want WantIn(const BurstNode& node) {
  switch (node.phase) {
    case Phase::kPlanned:
    case Phase::kRequested:
    case Phase::kProvisioned:
    case Phase::kJoined:
    case Phase::kStaged:
      return door::Want::kStage;
    case Phase::kRunning:
      return door::Want::kRun;
    case Phase::kReturning:
      return door::Want::kReturn;
    case Phase::kWiping:
      return door::Want::kWipe;
    case Phase::kDeleting:
    case Phase::kGone:
      return door::Want::kPowerOff;
  }
  return door::Want::kPowerOff;
}

}  // namespace

std::optional<gateway::DesiredState> Daemon::DesiredFor(const std::string& node) {
  Result<BurstNode> burst_node = NodeNamed(node);
  if (!burst_node) return std::nullopt;
  gateway::DesiredState desired;
  desired.want = WantIn(*burst_node);
  if (desired.want == door::Want::kRun || desired.want == door::Want::kReturn)
    desired.pods = OrdersFor(*store_, node, system_clock_.scale(), clock_->Now());
  desired.simulated = IsSimulated(burst_node->offer.provider);
  desired.node = std::move(*burst_node);
  return desired;
}

void Daemon::OnPodStatuses(const std::string& node, const std::vector<door::PodStatus>& statuses) {
  TakeStatuses(*store_, node, statuses, system_clock_.scale(), clock_->Now());
}

// A node may write the logs of pods bound to it and no others.
void Daemon::OnLog(const std::string& node, const std::string& uid, std::int64_t offset,
                   std::string_view bytes) {
  for (const store::ObjectPtr& pod : store_->List("Pod"))
    if (pod->uid == uid && site::NodeOf(pod->body) == node)
      return logs_->AppendAt(uid, offset, bytes);
  log::Warn("a node sent the log of a pod that is not its own", {{"node", node}});
}

void Daemon::OnChange(const std::string&) {
  Wake();
}

void Daemon::BeforeWipe(const std::string& node) {
  if (!inspector_ || !options_.disk_of) return;
  if (const auto disk = options_.disk_of(node)) InspectDisk(node, false, *disk);
}

}  // namespace spillway::embedded
