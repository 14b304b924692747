// Daemon: the process that runs the rounds. It holds what a crash loses: the conductor, the
// answers, the newest listings, what nodes reported. It is also the Observer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/conductor.h"
#include "control/rule_clock.h"
#include "sim/command_queue.h"
#include "sim/node_model.h"

namespace spillway::sim {

// The machine's clocks as the daemon sees them: a wall clock that somebody may set, and a steady
// one.
class MachineClock final : public Clock {
 public:
  explicit MachineClock(const Agenda& agenda) : agenda_(agenda) {}
  Time Now() const override { return agenda_.now() + offset_; }
  Duration SteadyNow() const override { return agenda_.now().time_since_epoch(); }
  void Jump(Duration by) { offset_ += by; }

 private:
  const Agenda& agenda_;
  Duration offset_{0};
};

class Daemon final : public control::Observer, public Uplink {
 public:
  Daemon(Context& context, MemoryJournal& journal, Providers& providers, ClusterModel& cluster,
         GatewayModel& gateway);
  ~Daemon() override;

  Door& door() { return door_; }
  CommandQueue& queue() { return queue_; }
  MachineClock& clock() { return clock_; }

  void Start();
  // Everything it knew is gone; it comes back some time later.
  void Die();
  // If it died in the middle of something, now it is dead.
  void DieIfCrashing();

  // Events; those of an earlier life are ignored.
  void Round(int epoch);
  void Poll(int provider, int epoch);
  void Listed(int slot, int epoch);
  void Synced(int epoch);

  // Uplink
  bool Up() const override { return context_.daemon_up; }
  Time SiteNow() const override;
  void Wake() override;

  // Observer
  Result<control::World> Observe(std::vector<BurstNode> nodes, std::int64_t last_serial) override;
  void Published(control::World world, const control::RoundResult& result) override;

  // The last reason that the plan gave for each job; kNone if it was none or it is not waiting.
  const std::vector<Reason>& reasons() const { return reasons_; }
  int epoch() const { return epoch_; }

 private:
  // The clock that the rules live by.
  const Clock& site_clock() const {
    if (!rule_clock_ || context_.Is(Mutant::kWallClock)) return clock_;
    return *rule_clock_;
  }
  struct Listing {
    ports::Inventory inventory;
    bool fresh = false;  // no round saw it yet
    bool known = false;
  };
  void FillSnapshot(Snapshot& snapshot);
  void FillObservation(const BurstNode& node, bool pods_seen, control::Observation& observation);
  bool Interesting(std::size_t provider, const ports::Inventory& listing) const;
  void SayWhatChanged(const control::RoundResult& result) const;

  Context& context_;
  MemoryJournal& journal_;
  Providers& providers_;
  ClusterModel& cluster_;
  GatewayModel& gateway_;
  Door door_;
  CommandQueue queue_;
  MachineClock clock_;
  std::unique_ptr<ports::Journal> mutant_journal_;
  std::unique_ptr<control::CommandSink> mutant_sink_;

  // Of one life.
  int epoch_ = 0;
  bool synced_ = false;
  std::optional<control::RuleClock> rule_clock_;
  std::optional<control::Conductor> conductor_;
  std::vector<Listing> listings_;  // newest, by provider
  struct Pending {
    std::size_t provider = 0;
    ports::Inventory inventory;
  };
  std::vector<Pending> pending_;  // listings on their way
  std::optional<Time> round_at_;
  std::vector<Reason> reasons_;
  Snapshot template_;  // what never changes
};

}  // namespace spillway::sim
