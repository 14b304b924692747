// NodeModel: the agents on the rented machines. An agent registers, heartbeats, stages, runs pods,
// returns results, wipes. When the site does not renew its lease it wipes itself and powers off.
// Its key is in memory: it dies with the machine.
#pragma once

#include <string>
#include <vector>

#include "sim/door.h"
#include "sim/providers.h"

namespace spillway::sim {

struct Agent {
  std::size_t provider = 0;
  std::string node;     // BurstNode name, from its user data
  std::string machine;  // instance id
  Resources hardware;
  bool registered = false;
  bool over = false;  // powered off or dead; nothing is in its memory any more
  bool key = false;
  std::optional<Time> staged_at, wiped_at;
  bool wiped = false;  // overwritten, on order or by itself
  bool returning = false;
  bool cannot_return = false;
  bool no_images = false;
  Time lease_until{};

  struct RunningPod {
    int pod = 0;
    Time end{};
    bool ended = false, success = true, killed = false, receipted = false;
  };
  std::vector<RunningPod> pods;
  std::uint32_t sequence = 0;
  std::optional<Heartbeat> last;  // for reports that arrive late
};

// How an agent reaches the site. The daemon implements it; nothing is heard while it is down.
class Uplink {
 public:
  virtual ~Uplink() = default;
  virtual bool Up() const = 0;
  virtual Time SiteNow() const = 0;
  virtual void Wake() = 0;
};

class NodeModel {
 public:
  NodeModel(Context& context, Providers& providers, Door& door, ClusterModel& cluster,
            GatewayModel& gateway, Uplink& uplink)
      : context_(context),
        providers_(providers),
        door_(door),
        cluster_(cluster),
        gateway_(gateway),
        uplink_(uplink) {}

  void Boot(std::size_t provider, std::uint32_t machine);
  void Tick(int agent);

  const std::vector<Agent>& agents() const { return agents_; }
  // The agent on this machine, nullptr: it never booted.
  const Agent* On(const std::string& provider, const std::string& machine) const;
  // Its memory still holds a run key, and it has power.
  bool HoldsKey(const Agent& agent) const;

 private:
  bool Reaches(std::size_t index) const;
  bool Powered(const Agent& agent) const;
  void Progress(Agent& agent);
  void Talk(Agent& agent);
  void Obey(Agent& agent, const Answer& answer);
  void SendResults(Agent& agent);
  void PowerOff(Agent& agent, std::string_view why);
  Heartbeat Say(Agent& agent) const;

  Context& context_;
  Providers& providers_;
  Door& door_;
  ClusterModel& cluster_;
  GatewayModel& gateway_;
  Uplink& uplink_;
  std::vector<Agent> agents_;
};

}  // namespace spillway::sim
