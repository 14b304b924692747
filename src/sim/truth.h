// Truth: compares what the journal says with what is, at every commit and at the end. It sees
// everything, also what the rules cannot.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/command_queue.h"
#include "sim/memory_journal.h"
#include "sim/node_model.h"

namespace spillway::sim {

class Truth final : public JournalWatcher {
 public:
  Truth(Context& context, const MemoryJournal& journal, const Providers& providers,
        const ClusterModel& cluster, const GatewayModel& gateway, const NodeModel& nodes,
        const CommandQueue& queue)
      : context_(context),
        journal_(journal),
        providers_(providers),
        cluster_(cluster),
        gateway_(gateway),
        nodes_(nodes),
        queue_(queue) {}

  void Changing(const BurstNode* before, const BurstNode& after) override;
  void Stored() override;

  // Everything that can only be judged when all is over. `reasons`: why each job is not rented for.
  void AtTheEnd(const std::vector<Reason>& reasons);

 private:
  struct Life {
    Time planned{}, returning{}, ending{};  // true times; ending: the run key is to go
    std::string gang;                       // one attempt: "gang#moment"
    int gang_size = 0;
    int failed_in = -1;  // number of the commit that stored its failure
  };
  void NewNode(const BurstNode& node);
  void Entered(const BurstNode& node, Phase from);
  void CheckGang(const BurstNode& node);
  void CheckGivenBack(const BurstNode& node);
  void CheckGone(const BurstNode& node);
  void CheckKeyDebt(const BurstNode& node);
  void CheckResults(const BurstNode& node);
  void CheckBill(const BurstNode& node);
  void CheckLedger();
  void CheckJobs(const std::vector<Reason>& reasons);
  // How far our meter may be from the provider's: rounding, latencies, outages, clocks.
  Duration Slack() const;

  Context& context_;
  const MemoryJournal& journal_;
  const Providers& providers_;
  const ClusterModel& cluster_;
  const GatewayModel& gateway_;
  const NodeModel& nodes_;
  const CommandQueue& queue_;
  std::map<std::string, Life> lives_;
  int commit_ = 0;
  bool new_reservation_ = false;
};

}  // namespace spillway::sim
