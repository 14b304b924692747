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

void Conductor::Keep(std::vector<BurstNode> changed, Time now) {
  for (BurstNode& node : changed) {
    last_serial_ = std::max(last_serial_, node.serial);
    const auto it =
        std::lower_bound(nodes_->begin(), nodes_->end(), node.name,
                         [](const BurstNode& n, const std::string& key) { return n.name < key; });
    if (it != nodes_->end() && it->name == node.name)
      *it = std::move(node);
    else
      nodes_->insert(it, std::move(node));
  }
  std::erase_if(*nodes_, [&](const BurstNode& node) {
    return !node.Live() && node.phase_since < now - kKeepGone;
  });
}

Result<std::optional<Time>> Conductor::Round() {
  SPW_TRY(Load());
  SPW_ASSIGN(World world, observer_.Observe(*nodes_, last_serial_));
  // Two rounds never share a moment: it tells one attempt of a gang from the next.
  world.snapshot.now = std::max(world.snapshot.now, last_round_ + Duration{1});
  for (auto& [name, observation] : world.observations) observation.watching_since = watching_since_;

  RoundResult result = Decide(world, memory_);
  if (!result.changed.empty() || !result.entries.empty()) {
    const Status committed = journal_.Commit(result.changed, result.entries);
    if (!committed) {
      nodes_.reset();  // read again what is really there
      return Fail(committed.error());
    }
  }
  last_round_ = world.snapshot.now;
  memory_ = std::move(result.memory);
  Keep(result.changed, world.snapshot.now);
  observer_.Published(world, result);
  for (const Command& command : result.commands) sink_.Send(command);
  return result.look_again;
}

}  // namespace spillway::control
