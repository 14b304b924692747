#include "sim/node_model.h"

#include <algorithm>

namespace spillway::sim {
namespace {

constexpr Duration kStuck{100h};
constexpr Duration kRegisterFor{15min};  // without an answer it gives up and powers off

}  // namespace

void NodeModel::Boot(std::size_t provider, std::uint32_t number) {
  for (const simulated::Machine& machine : providers_.cloud(provider).machines()) {
    if (machine.number != number) continue;
    Agent& agent = agents_.emplace_back();
    agent.provider = provider;
    agent.node = machine.name;
    agent.machine = machine.id;
    for (const Offer& offer : providers_.cloud(provider).goods())
      if (offer.instance_type == machine.type) agent.hardware = offer.allocatable;
    if (context_.dice.Hit(Fault::kWrongHardware)) --agent.hardware.gpus;
    agent.cannot_return = context_.dice.Hit(Fault::kReturnStuck);
    agent.no_images = context_.dice.Hit(Fault::kImageStuck);
    agent.lease_until = context_.now() + kRegisterFor;
    context_.agenda.In(context_.Latency(100, 3000), EventKind::kTick,
                       static_cast<int>(agents_.size()) - 1);
    return;
  }
}

const Agent* NodeModel::On(const std::string& provider, const std::string& machine) const {
  for (const Agent& agent : agents_)
    if (agent.machine == machine && providers_.name(agent.provider) == provider) return &agent;
  return nullptr;
}

bool NodeModel::Powered(const Agent& agent) const {
  const simulated::Machine* machine = providers_.cloud(agent.provider).FindMachine(agent.machine);
  return machine != nullptr && machine->PoweredAt(context_.now());
}

bool NodeModel::HoldsKey(const Agent& agent) const {
  return agent.key && !agent.over && Powered(agent);
}

bool NodeModel::Reaches(std::size_t index) const {
  if (!uplink_.Up()) return false;
  for (const Partition& partition : context_.scenario.partitions)
    if (partition.when.Holds(context_.now()) &&
        (partition.parity < 0 || partition.parity == static_cast<int>(index % 2)))
      return false;
  return true;
}

void NodeModel::PowerOff(Agent& agent, std::string_view why) {
  if (context_.trace.text())
    context_.trace.Line(context_.now(), agent.node, std::string("powers off: ") + std::string(why));
  agent.over = true;
  agent.key = false;
  providers_.cloud(agent.provider).PowerOff(context_.now(), agent.machine);
}

void NodeModel::Tick(int index) {
  Agent& agent = agents_[static_cast<std::size_t>(index)];
  if (agent.over) return;
  if (!Powered(agent)) {  // dead or deleted: its memory is gone
    agent.over = true;
    agent.key = false;
    return;
  }
  Progress(agent);
  if (!Reaches(static_cast<std::size_t>(index))) {
    if (uplink_.Up()) context_.dice.Count(Fault::kPartition);
  } else if (!context_.dice.Hit(Fault::kHeartbeatLost)) {
    Talk(agent);
  }
  if (agent.over) return;
  if (context_.now() >= agent.lease_until && !context_.Is(Mutant::kNodeIgnoresLease)) {
    agent.wiped = true;
    return PowerOff(agent, "its lease is over");
  }
  context_.agenda.In(kHeartbeat + context_.Latency(-300, 300), EventKind::kTick, index);
}

void NodeModel::Progress(Agent& agent) {
  for (Agent::RunningPod& pod : agent.pods)
    if (!pod.ended && !pod.killed && pod.end <= context_.now()) pod.ended = true;
  if (agent.wiped_at && *agent.wiped_at <= context_.now()) agent.wiped = true;
}

Heartbeat NodeModel::Say(Agent& agent) const {
  Heartbeat heartbeat;
  heartbeat.sequence = ++agent.sequence;
  heartbeat.report.instance_id = agent.machine;
  heartbeat.report.hardware = agent.hardware;
  heartbeat.report.labels = {{"gpu", "H100"}};
  heartbeat.report.staged = agent.staged_at && *agent.staged_at <= context_.now();
  heartbeat.report.staged_bytes = heartbeat.report.staged ? 1 << 20 : 0;
  bool all_home = agent.returning;
  for (const Agent::RunningPod& pod : agent.pods) {
    if (pod.killed) continue;
    all_home &= pod.ended && pod.receipted;
    heartbeat.report.results += pod.ended;
    heartbeat.pods.push_back({pod.pod, pod.ended, pod.success});
  }
  heartbeat.report.results_returned = all_home;
  heartbeat.report.overwritten = agent.wiped;
  // The certificate is written at once, but not before the run key is destroyed.
  const bool wiped = agent.wiped && !gateway_.KeyAlive(agent.node);
  heartbeat.report.wiped = heartbeat.report.wipe_verified = wiped;
  if (wiped) heartbeat.report.certificate = agent.node + ".json";
  return heartbeat;
}

void NodeModel::Talk(Agent& agent) {
  bool news = false;
  if (!agent.registered) {
    if (!door_.Register(agent.node, agent.machine, static_cast<int>(agent.hardware.gpus))) return;
    if (context_.dice.Hit(Fault::kHeartbeatUnanswered)) return;
    agent.registered = true;
  }
  const Heartbeat heartbeat = Say(agent);
  const Answer answer = door_.Receive(agent.node, heartbeat, uplink_.SiteNow(), news);
  if (agent.last && context_.dice.Hit(Fault::kHeartbeatStale))
    door_.Receive(agent.node, *agent.last, uplink_.SiteNow(), news);
  if (agent.sequence % 4 == 1) agent.last = heartbeat;
  SendResults(agent);
  if (news) uplink_.Wake();
  if (context_.dice.Hit(Fault::kHeartbeatUnanswered)) return;
  agent.lease_until = context_.now() + kNodeLease;
  Obey(agent, answer);
}

// Sealed with the run key and sent until there is a receipt.
void NodeModel::SendResults(Agent& agent) {
  if (!agent.key || agent.cannot_return || context_.DiskFull()) return;
  for (Agent::RunningPod& pod : agent.pods) {
    if (!pod.ended || pod.killed || pod.receipted) continue;
    if (!gateway_.Receive(agent.node, pod.pod)) continue;
    if (!context_.dice.Hit(Fault::kReceiptLost)) pod.receipted = true;
  }
}

void NodeModel::Obey(Agent& agent, const Answer& answer) {
  const Time now = context_.now();
  switch (answer.wish) {
    case Wish::kWait:
      return;
    case Wish::kStage:
      agent.key = true;
      if (!agent.staged_at)
        agent.staged_at =
            now +
            (context_.dice.Hit(Fault::kStagingStuck) ? kStuck : context_.Latency(3'000, 40'000));
      return;
    case Wish::kRun:
    case Wish::kReturn: {
      for (Agent::RunningPod& pod : agent.pods)
        if (!pod.ended &&
            std::find(answer.pods.begin(), answer.pods.end(), pod.pod) == answer.pods.end())
          pod.killed = true;
      agent.returning = answer.wish == Wish::kReturn;
      if (answer.wish == Wish::kReturn || !agent.key || agent.no_images) return;
      for (const int pod : answer.pods) {
        const bool known = std::any_of(agent.pods.begin(), agent.pods.end(),
                                       [&](const auto& p) { return p.pod == pod; });
        if (known) continue;
        const SimPod& wanted = cluster_.pods()[static_cast<std::size_t>(pod)];
        const Duration run = cluster_.jobs()[static_cast<std::size_t>(wanted.job)].plan.run;
        const bool fails = context_.dice.Hit(Fault::kPodFailed);
        agent.pods.push_back({pod, now + (fails ? run / 2 : run), false, !fails, false, false});
      }
      return;
    }
    case Wish::kWipe:
      agent.key = false;
      if (!agent.wiped_at)
        agent.wiped_at =
            now + (context_.dice.Hit(Fault::kWipeStuck) ? kStuck : context_.Latency(2'000, 30'000));
      return;
    case Wish::kPowerOff:
      return PowerOff(agent, "the site wants it to");
  }
}

}  // namespace spillway::sim
