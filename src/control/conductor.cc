#include "control/conductor.h"

#include <algorithm>
#include <utility>

namespace spillway::control {
namespace {

// Gone nodes stay this long, so that the planner knows which offers rest.
constexpr Duration kKeepGone{1h};

}  // namespace

Conductor::Conductor(const Clock& clock, ports::Journal& journal, Observer& observer,
                     CommandSink& sink)
    : clock_(clock),
      journal_(journal),
      observer_(observer),
      sink_(sink),
      watching_since_(clock.Now()) {}

Status Conductor::Load() {
  if (nodes_) return Ok();
  SPW_ASSIGN(last_serial_, journal_.LastSerial());
  SPW_ASSIGN(nodes_, journal_.Nodes(clock_.Now() - kKeepGone));
  return Ok();
}

void Conductor::Keep(std::vector<BurstNode> nodes, std::vector<BurstNode> changed, Time now) {
  std::erase_if(nodes, [&](const BurstNode& node) {
    return !node.Live() && node.phase_since < now - kKeepGone;
  });
  for (BurstNode& node : changed) {
    last_serial_ = std::max(last_serial_, node.serial);
    const auto it =
        std::lower_bound(nodes.begin(), nodes.end(), node.name,
                         [](const BurstNode& n, const std::string& key) { return n.name < key; });
    if (it != nodes.end() && it->name == node.name)
      *it = std::move(node);
    else
      nodes.insert(it, std::move(node));
  }
  nodes_ = std::move(nodes);
}

Result<std::optional<Time>> Conductor::Round() {
  SPW_TRY(Load());
  // Moved, not copied: the world brings them back. Whatever fails below leaves nodes_ empty.
  std::vector<BurstNode> nodes = std::move(*nodes_);
  nodes_.reset();
  SPW_ASSIGN(World world, observer_.Observe(std::move(nodes), last_serial_));
  // Two rounds never share a moment: it tells one attempt of a gang from the next.
  world.snapshot.now = std::max(world.snapshot.now, last_round_ + Duration{1});
  for (auto& [name, observation] : world.observations) observation.watching_since = watching_since_;

  RoundResult result = Decide(world, memory_);
  if (!result.changed.empty() || !result.entries.empty())
    SPW_TRY(journal_.Commit(result.changed, result.entries));
  last_round_ = world.snapshot.now;
  memory_ = std::move(result.memory);
  std::vector<BurstNode> kept = world.snapshot.burst_nodes;
  observer_.Published(std::move(world), result);
  Keep(std::move(kept), std::move(result.changed), last_round_);
  for (const Command& command : result.commands) sink_.Send(command);
  return result.look_again;
}

}  // namespace spillway::control
