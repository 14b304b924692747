// CommandQueue: the daemon's bounded pool that carries commands out, one at a time per subject,
// each with latency. Its memory dies with the daemon; a call that is on the wire may still arrive.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/conductor.h"
#include "sim/cluster_model.h"
#include "sim/gateway_model.h"
#include "sim/memory_journal.h"
#include "sim/providers.h"

namespace spillway::sim {

// Answers that rounds have not consumed yet.
struct Answers {
  std::map<std::string, control::CreateAnswer> creates;  // by BurstNode
  std::map<std::string, control::DeleteAnswer> deletions;
};

class CommandQueue final : public control::CommandSink {
 public:
  CommandQueue(Context& context, const MemoryJournal& journal, Providers& providers,
               ClusterModel& cluster, GatewayModel& gateway)
      : context_(context),
        journal_(journal),
        providers_(providers),
        cluster_(cluster),
        gateway_(gateway) {}

  void Send(const control::Command& command) override;

  // Events. `site_now` is the site's time.
  void Execute(int slot, int epoch, Time site_now);
  void Repeat(int slot, Time site_now) {
    CarryOut(slots_[static_cast<std::size_t>(slot)], site_now);
  }
  // True if a round should look.
  bool Deliver(int slot, int epoch);

  Answers& answers() { return answers_; }
  void SetEpoch(int epoch) { epoch_ = epoch; }
  void Die();

  // Create calls that were carried out, by BurstNode.
  const std::map<std::string, int>& creates() const { return creates_; }

 private:
  struct Slot {
    control::Command command;
    bool started = false, executed = false, over = false;
    std::optional<control::CreateAnswer> create;
    std::optional<control::DeleteAnswer> deletion;
  };
  void StartNext();
  void CarryOut(Slot& slot, Time site_now);
  bool CarryOutLocal(const control::Command& command, Time site_now);
  void Create(Slot& slot, const control::CreateInstance& command);
  void Delete(Slot& slot, const control::DeleteInstance& command);

  Context& context_;
  const MemoryJournal& journal_;
  Providers& providers_;
  ClusterModel& cluster_;
  GatewayModel& gateway_;
  std::vector<Slot> slots_;
  std::vector<int> queue_;  // slots that are not over, in order
  Answers answers_;
  int epoch_ = 0;
  std::map<std::string, int> creates_;
};

}  // namespace spillway::sim
