// What rented nodes are told, and what they say (gateway::DoorBackend).
#include "daemon/daemon.h"

namespace spillway::daemon {
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
    desired.pods = cluster_->OrdersFor(node);
  desired.simulated = IsSimulated(burst_node->offer.provider);
  desired.node = std::move(*burst_node);
  return desired;
}

void Daemon::OnPodStatuses(const std::string& node, const std::vector<door::PodStatus>& statuses) {
  if (tunnels_) tunnels_->Settle(node);
  cluster_->TakeStatuses(node, statuses);
}

void Daemon::OnLog(const std::string& node, const std::string& uid, std::int64_t offset,
                   std::string_view bytes) {
  cluster_->TakeLog(node, uid, offset, bytes);
}

void Daemon::OnReleased(const std::string& node, const std::vector<std::string>& uids) {
  cluster_->TakeReleased(node, uids);
}

Status Daemon::OnRegister(const std::string& node, const std::string& tunnel_key) {
  return tunnel_key.empty() || !tunnels_ ? Ok() : tunnels_->Enroll(node, tunnel_key);
}

void Daemon::OnChange(const std::string&) {
  Wake();
}

void Daemon::BeforeWipe(const std::string& node) {
  if (!inspector_ || !options_.disk_of) return;
  if (const auto disk = options_.disk_of(node)) InspectDisk(node, false, *disk);
}

}  // namespace spillway::daemon
