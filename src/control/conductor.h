// Conductor: the order of a round, shared by the daemon and the simulator.
//
//   observe -> decide (pure) -> commit state and ledger in one transaction -> send commands
//
// It owns no threads: the daemon calls Round() from one thread when something changed or a time
// has come; CommandSink hands commands to a bounded pool and returns at once.
#pragma once

#include <optional>
#include <vector>

#include "base/time.h"
#include "control/decide.h"
#include "ports/journal.h"

namespace spillway::control {

// Builds the World. Implemented by the daemon (site, gateway, door, cloud poller) and by the
// simulator. Every moment in it comes from the one RuleClock.
class Observer {
 public:
  virtual ~Observer() = default;
  // `nodes` are the BurstNodes as the journal has them; they become snapshot.burst_nodes.
  // Observation::watching_since is filled in by the Conductor. kUnavailable: try again, decide
  // nothing.
  virtual Result<World> Observe(std::vector<BurstNode> nodes, std::int64_t last_serial) = 0;
  // What the round decided, for people (events, `explain`); called after the commit and before the
  // commands are sent. Answers that the round saw are consumed now.
  virtual void Published(World world, const RoundResult& result) = 0;
};

class CommandSink {
 public:
  virtual ~CommandSink() = default;
  // Takes the command over, in order per Subject(). Never blocks, never fails: what cannot be done
  // shows up as an observation. A command that equals one still waiting may be dropped, so a slow
  // provider does not lengthen the queue.
  virtual void Send(const Command& command) = 0;
};

class Conductor {
 public:
  // All must outlive the conductor. `clock` should be a RuleClock. The conductor is the journal's
  // only writer while it lives. Watching begins now.
  Conductor(const Clock& clock, ports::Journal& journal, Observer& observer, CommandSink& sink);

  // One round. Returns when to look again without an event (nullopt: only on events). On an error
  // nothing was stored and nothing was sent. Not thread-safe.
  Result<std::optional<Time>> Round();

 private:
  Status Load();
  // Keeps for the next round what this one made of the nodes.
  void Keep(std::vector<BurstNode> nodes, std::vector<BurstNode> changed, Time now);

  const Clock& clock_;
  ports::Journal& journal_;
  Observer& observer_;
  CommandSink& sink_;
  const Time watching_since_;
  Time last_round_{};
  Memory memory_;
  // The journal's nodes as last written, by name; nullopt during a round, until the first load and
  // after a round that failed: then they are read again.
  std::optional<std::vector<BurstNode>> nodes_;
  std::int64_t last_serial_ = 0;
};

}  // namespace spillway::control
