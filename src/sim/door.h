// Door: where rented nodes report. Who registered is durable; what they said last is not.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/observation.h"
#include "sim/cluster_model.h"
#include "sim/context.h"
#include "sim/gateway_model.h"
#include "sim/memory_journal.h"

namespace spillway::sim {

inline constexpr Duration kNodeLease{60s};  // below Deadlines::lease, also on a clock 10% off
inline constexpr Duration kHeartbeat{10s};

// What a node says with a heartbeat.
struct Heartbeat {
  std::uint32_t sequence = 0;
  control::NodeReport report;
  struct PodState {
    int pod = 0;
    bool ended = false, success = false;
  };
  std::vector<PodState> pods;
};

// What the site wants of it: a level, said anew every time.
enum class Wish : std::uint8_t { kWait, kStage, kRun, kReturn, kWipe, kPowerOff };
struct Answer {
  Wish wish = Wish::kWait;
  std::vector<int> pods;  // to run, or to go on running
};

class Door {
 public:
  Door(Context& context, const MemoryJournal& journal, ClusterModel& cluster,
       const GatewayModel& gateway)
      : context_(context), journal_(journal), cluster_(cluster), gateway_(gateway) {}

  // The one-use token of the node's user data; the same machine may use it again, because its first
  // answer may have been lost. False: refused.
  bool Register(const std::string& node, const std::string& machine, int gpus);
  // `now` in the site's time. Sets `news` if the rules may care.
  Answer Receive(const std::string& node, const Heartbeat& heartbeat, Time now, bool& news);

  const control::NodeReport* Report(const std::string& node) const;
  void Forget() { reports_.clear(); }  // the daemon died

 private:
  struct Entry {
    std::uint32_t sequence = 0;
    control::NodeReport report;
  };
  Wish WishFor(const BurstNode* node) const;

  Context& context_;
  const MemoryJournal& journal_;
  ClusterModel& cluster_;
  const GatewayModel& gateway_;
  std::map<std::string, std::string> token_used_by_;  // durable: node -> machine
  std::map<std::string, Entry> reports_;
};

}  // namespace spillway::sim
