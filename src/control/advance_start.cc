// From Planned to Staged: until the node is there, trusted, and has its data.
#include <fmt/format.h>

#include <algorithm>

#include "control/turn.h"

namespace spillway::control {
namespace {

// What a refused create means for the offer. The call is sent once only, so even a refusal that
// might pass soon ends this node; as kRefused it rests the provider, and the workload is planned
// again at once for another.
Failure FailureOf(Code code) {
  switch (code) {
    case Code::kCapacity:
      return Failure::kCapacity;
    case Code::kQuota:
      return Failure::kQuota;
    default:
      return Failure::kRefused;
  }
}

// The provider took the request and gave up later.
bool FailIfBroken(Turn& turn) {
  const ports::Instance* instance = turn.instance();
  if (instance == nullptr || instance->state != ports::InstanceState::kError) return false;
  const Code code = instance->fault ? instance->fault->code : Code::kInternal;
  const std::string why = instance->fault ? instance->fault->message : "no reason given";
  if (code == Code::kCapacity || code == Code::kQuota)
    turn.Fail(FailureOf(code), "the provider accepted it and then refused: " + why);
  else
    turn.Fail(Failure::kBootTimeout, "the provider could not start the instance: " + why);
  return true;
}

// Whatever it does when it is started again, it registers no more: the image or the agent failed.
bool FailIfOff(Turn& turn) {
  if (!turn.IsOff()) return false;
  turn.Fail(Failure::kBootTimeout, "the machine switched itself off before it joined");
  return true;
}

bool FailIfVanished(Turn& turn) {
  if (turn.node().absent_lists < kAbsentLists || turn.node().instance_id.empty()) return false;
  turn.Fail(Failure::kNodeLost, "the instance vanished from the provider's listings");
  return true;
}

// First way in which the machine is less than the offer promised, or an empty string.
std::string WrongHardware(const BurstNode& node, const NodeReport& report) {
  const Offer& offer = node.offer;
  const std::string shortage = report.hardware.FirstShortage(offer.allocatable);
  if (!shortage.empty()) return "it has less " + shortage + " than the offer promised";
  for (const auto& [key, value] : offer.labels) {
    const auto it = report.labels.find(key);
    if (it == report.labels.end()) return "its label " + key + " is missing";
    if (it->second != value)
      return fmt::format("its label {} is {}, the offer promised {}", key, it->second, value);
  }
  if (node.scratch == Scratch::kSealed) {
    const auto it = report.labels.find(kScratchLabel);
    if (it == report.labels.end() || it->second != kScratchSealed)
      return fmt::format(
          "its scratch is not sealed, and policy {} has scratch: sealed; the machine's image or "
          "network: none may be why",
          node.policy);
  }
  return {};
}

// It registered, and the cluster has not taken it for deadlines.join.
bool FailIfNotTaken(Turn& turn) {
  const BurstNode& node = turn.node();
  if (node.deadlines.join == Duration{0} || !node.registered_at) return false;
  const Time since = std::min(std::max(*node.registered_at, turn.seen.watching_since), turn.now);
  if (turn.now - since < node.deadlines.join) {
    turn.LookAgain(since + node.deadlines.join);
    return false;
  }
  turn.Fail(Failure::kBootTimeout, "it registered, but the cluster did not take it in time");
  return true;
}

}  // namespace

bool FailIfUseless(Turn& turn) {
  const BurstNode& node = turn.node();
  if (turn.seen.gang_failed) {
    turn.Fail(Failure::kGangFailed, "another node of its gang failed");
    return true;
  }
  if (turn.seen.end_asked) {
    turn.Fail(Failure::kCancelled, "somebody deleted the BurstNode");
    return true;
  }
  if (turn.seen.run && turn.seen.run->failed && node.phase > Phase::kPlanned) {
    turn.Fail(Failure::kDataFailed, turn.seen.run->failed->message);
    return true;
  }
  const bool wanted =
      !turn.seen.pods || std::any_of(node.pods.begin(), node.pods.end(), [&](const PodRef& pod) {
        return !Ended(node, ReportOf(turn.seen, pod));
      });
  if (wanted) return false;
  turn.Fail(Failure::kCancelled, "its pods ran elsewhere or were deleted");
  return true;
}

void AdvancePlanned(Turn& turn) {
  if (FailIfUseless(turn)) return;
  BurstNode& node = turn.node();
  node.instance_may_exist = true;
  turn.MoveTo(Phase::kRequested, fmt::format("asked {} in {} for {}", node.offer.provider,
                                             node.offer.region, node.offer.instance_type));
  // The only place that creates: the state that comes back is stored first and never Planned again.
  turn.step.commands.push_back(CreateInstance{node.name});
}

void AdvanceRequested(Turn& turn) {
  BurstNode& node = turn.node();
  if (node.instance_id.empty() && turn.create_outcome() == CreateOutcome::kRefused) {
    node.instance_may_exist = false;
    const Error& error = *turn.seen.create->error;
    return turn.Fail(FailureOf(error.code), error.message);
  }
  if (FailIfBroken(turn) || FailIfOff(turn) || FailIfUseless(turn) || FailIfExpired(turn)) return;

  if (node.instance_id.empty()) {
    // A registered node is a proof of existence; only its id is missing.
    if (!turn.seen.node) {
      BeginLookUp(turn);
      CountGone(turn);
      if (node.absent_lists >= kAbsentLists) {
        node.instance_may_exist = false;
        return turn.Fail(Failure::kCreateLost,
                         "the create call's outcome was unknown, and two "
                         "listings do not show the instance");
      }
      if (turn.Over(node.deadlines.create + 2 * kAbsenceGrace))
        turn.Fail(Failure::kCreateLost, "no answer and no listing shows the instance");
      return;
    }
    if (turn.Over(node.deadlines.boot))
      turn.Fail(Failure::kBootTimeout, "it registered, but no listing shows the instance");
    return;
  }

  if (FailIfVanished(turn)) return;
  const ports::Instance* instance = turn.instance();
  const bool runs = instance != nullptr && instance->state == ports::InstanceState::kRunning;
  if (runs || turn.seen.node)
    return turn.MoveTo(Phase::kProvisioned, "the provider says it runs: " + node.instance_id);
  if (turn.Over(node.deadlines.boot))
    turn.Fail(Failure::kBootTimeout, "the instance did not run in time");
}

void AdvanceProvisioned(Turn& turn) {
  BurstNode& node = turn.node();
  if (FailIfBroken(turn) || FailIfOff(turn) || FailIfUseless(turn) || FailIfExpired(turn) ||
      FailIfVanished(turn))
    return;
  // A machine of ours under another id than the adopted one is waited for until a listing shows it.
  const bool ours = turn.seen.node && (turn.seen.node->instance_id.empty() ||
                                       turn.seen.node->instance_id == node.instance_id);
  if (ours) {
    const std::string wrong = WrongHardware(node, *turn.seen.node);
    if (!wrong.empty()) return turn.Fail(Failure::kWrongHardware, wrong);
    return turn.MoveTo(Phase::kJoined, "the node proved its identity and hardware");
  }
  if (FailIfNotTaken(turn)) return;
  if (turn.Over(node.deadlines.boot))
    turn.Fail(Failure::kBootTimeout, node.registered_at
                                         ? "the cluster did not take the node in time"
                                         : "the node did not register in time");
}

void AdvanceJoined(Turn& turn) {
  if (FailIfLost(turn) || FailIfUseless(turn) || FailIfExpired(turn)) return;
  if (turn.node().run_prepared && turn.seen.node && turn.seen.node->staged)
    return turn.MoveTo(Phase::kStaged,
                       fmt::format("{} sealed bytes are there", turn.seen.node->staged_bytes));
  if (turn.Over(turn.node().deadlines.stage))
    turn.Fail(Failure::kStageTimeout, "its data did not arrive in time");
}

void AdvanceStaged(Turn& turn) {
  if (FailIfLost(turn) || FailIfUseless(turn) || FailIfExpired(turn)) return;
  // The gang's other nodes have deadlines of their own: they come, or fail and fail this one.
  // And nothing starts on a node that was not heard since this process began.
  if (!turn.seen.gang_all_staged || !turn.seen.node || !turn.seen.pods) return;
  turn.Set(turn.node().pods_admitted, true);
  turn.Set(turn.node().running_since, turn.now);
  turn.MoveTo(Phase::kRunning, "its pods may run");
}

}  // namespace spillway::control
