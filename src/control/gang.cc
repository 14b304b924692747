#include "control/gang.h"

#include <map>
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

}  // namespace spillway::control
