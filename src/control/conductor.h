// Conductor: the order of a round, shared by the daemon and the simulator.
//
//   observe -> decide (pure) -> commit state and ledger in one transaction -> send commands
//
// It owns no threads: the daemon calls Round() from one thread when something changed or a time
// has come; CommandSink hands commands to a bounded pool and returns at once.
#pragma once

#include "base/time.h"
#include "control/decide.h"
#include "ports/journal.h"

namespace spillway::control {

// Builds the World. Implemented by the daemon (site, gateway, door, cloud poller) and by the
// simulator.
class Observer {
 public:
  virtual ~Observer() = default;
  // `nodes` are the BurstNodes as the journal has them. kUnavailable: try again, decide nothing.
  virtual Result<World> Observe(std::vector<BurstNode> nodes, std::int64_t last_serial) = 0;
  // What the round decided, for people (events, `explain`); called after the commit.
  virtual void Published(const World& world, const RoundResult& result) = 0;
};

class CommandSink {
 public:
  virtual ~CommandSink() = default;
  // Takes the command over, in order per Subject(). Never blocks, never fails: what cannot be done
  // shows up as an observation.
  virtual void Send(const Command& command) = 0;
};

class Conductor {
 public:
  // All must outlive the conductor.
  Conductor(const Clock& clock, ports::Journal& journal, Observer& observer, CommandSink& sink);

  // One round. Returns when to look again without an event (nullopt: only on events). On an error
  // nothing was sent. Not thread-safe.
  Result<std::optional<Time>> Round();

 private:
  const Clock& clock_;
  ports::Journal& journal_;
  Observer& observer_;
  CommandSink& sink_;
  SweepMemory sweep_;
};

}  // namespace spillway::control
