#include "control/gang.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace spillway::control {
namespace {

using Attempt = std::pair<std::string_view, Time>;

// The moment of planning is in the history, which never changes; Conductor makes it unique.
Attempt AttemptOf(const BurstNode& node) {
  return {node.gang, node.history.empty() ? node.created_at : node.history.front().second};
}

struct Count {
  int staged = 0, size = 0;
  bool failed = false;
};

bool NoRoom(const BurstNode& node) {
  return !node.gang.empty() &&
         (node.failure == Failure::kCapacity || node.failure == Failure::kQuota);
}

// Takes the rentals of all gangs but `turn` out of the plan.
void KeepOneGang(Plan& plan, const std::string& turn) {
  std::vector<std::int32_t> moved(plan.rentals.size(), -1);
  std::vector<Rental> kept;
  for (std::size_t i = 0; i < plan.rentals.size(); ++i) {
    if (!plan.rentals[i].gang.empty() && plan.rentals[i].gang != turn) continue;
    moved[i] = static_cast<std::int32_t>(kept.size());
    kept.push_back(std::move(plan.rentals[i]));
  }
  plan.rentals = std::move(kept);
  for (Decision& decision : plan.decisions) {
    if (decision.rentals.empty()) continue;
    for (std::int32_t& rental : decision.rentals) rental = moved[static_cast<std::size_t>(rental)];
    std::erase(decision.rentals, -1);
    if (!decision.rentals.empty()) continue;
    decision.verdict = Verdict::kWait;
    decision.reason = Reason::kNodeLimit;
    decision.estimate.reset();
    decision.sentence =
        "waits: another gang starts first, because lately there was no room for all nodes of one";
  }
}

}  // namespace

std::vector<GangState> GangStates(const std::vector<BurstNode>& nodes) {
  std::map<Attempt, Count> attempts;
  for (const BurstNode& node : nodes) {
    if (node.gang.empty()) continue;
    Count& count = attempts[AttemptOf(node)];
    count.size = node.gang_size;
    count.failed |= node.Failed();
    if (node.phase >= Phase::kStaged && !node.Failed()) ++count.staged;
  }
  std::vector<GangState> states(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].gang.empty()) continue;
    const Count& count = attempts.at(AttemptOf(nodes[i]));
    states[i] = {count.staged >= count.size, count.failed && !nodes[i].Failed()};
  }
  return states;
}

void TakeTurns(Plan& plan, const Snapshot& snapshot) {
  const std::vector<BurstNode>& nodes = snapshot.burst_nodes;
  if (std::none_of(nodes.begin(), nodes.end(), NoRoom)) return;
  const bool one_starts = std::any_of(nodes.begin(), nodes.end(), [](const BurstNode& node) {
    return !node.gang.empty() && !node.Failed() && node.phase < Phase::kRunning;
  });
  std::string turn;
  std::size_t fewest = 0;
  for (const Rental& rental : plan.rentals) {
    if (one_starts || rental.gang.empty() || rental.gang == turn) continue;
    std::set<Time> failed;
    for (const BurstNode& node : nodes)
      if (node.Failed() && node.gang == rental.gang) failed.insert(AttemptOf(node).second);
    if (!turn.empty() && failed.size() >= fewest) continue;
    turn = rental.gang;
    fewest = failed.size();
  }
  KeepOneGang(plan, turn);
}

}  // namespace spillway::control
