#include "sim/simulation.h"

#include <algorithm>

#include "sim/daemon.h"
#include "sim/truth.h"

namespace spillway::sim {
namespace {

class Simulation {
 public:
  Simulation(const Scenario& scenario, Mutant mutant, Trace& trace)
      : context_(scenario, mutant, trace),
        journal_(context_),
        providers_(context_),
        cluster_(scenario),
        daemon_(context_, journal_, providers_, cluster_, gateway_),
        nodes_(context_, providers_, daemon_.door(), cluster_, gateway_, daemon_),
        truth_(context_, journal_, providers_, cluster_, gateway_, nodes_, daemon_.queue()) {
    journal_.Watch(&truth_);
    ScheduleWhatIsDrawn();
  }

  RunResult Run() {
    daemon_.Start();
    Event event;
    while (context_.agenda.Next(event) && event.at < context_.scenario.deadline) {
      Mix(event);
      Handle(event);
      daemon_.DieIfCrashing();
      if (!context_.checks.Ok() || Over()) break;
    }
    if (context_.checks.Ok()) truth_.AtTheEnd(daemon_.reasons());
    RunResult result;
    result.checks = context_.checks;
    result.tally = context_.tally;
    result.hash = context_.trace.hash();
    result.lasted = context_.now() - context_.scenario.start;
    return result;
  }

 private:
  void ScheduleWhatIsDrawn() {
    const Scenario& scenario = context_.scenario;
    Agenda& agenda = context_.agenda;
    for (std::size_t j = 0; j < scenario.jobs.size(); ++j)
      agenda.At(scenario.jobs[j].submitted, EventKind::kSubmit, static_cast<int>(j));
    if (scenario.site_frees_at) agenda.At(*scenario.site_frees_at, EventKind::kSiteFrees);
    for (std::size_t i = 0; i < scenario.jumps.size(); ++i)
      agenda.At(scenario.jumps[i].at, EventKind::kJump, static_cast<int>(i));
    for (const Time at : scenario.idle_crashes) agenda.At(at, EventKind::kCrash);
    agenda.At(scenario.calm_at, EventKind::kCalm);
  }

  void Mix(const Event& event) {
    context_.trace.Mix(static_cast<std::uint64_t>(event.at.time_since_epoch().count()));
    context_.trace.Mix(static_cast<std::uint64_t>(event.kind) << 32 |
                       static_cast<std::uint32_t>(event.a));
  }

  void Handle(const Event& event) {
    switch (event.kind) {
      case EventKind::kRound:
        return daemon_.Round(event.a);
      case EventKind::kPoll:
        return daemon_.Poll(event.a, event.b);
      case EventKind::kListed:
        return daemon_.Listed(event.a, event.b);
      case EventKind::kExecute:
        return daemon_.queue().Execute(event.a, event.b, daemon_.SiteNow());
      case EventKind::kRepeat:
        return daemon_.queue().Repeat(event.a, daemon_.SiteNow());
      case EventKind::kAnswer:
        if (daemon_.queue().Deliver(event.a, event.b)) daemon_.Wake();
        return;
      case EventKind::kSynced:
        return daemon_.Synced(event.a);
      case EventKind::kBoot:
        return nodes_.Boot(static_cast<std::size_t>(event.a), static_cast<std::uint32_t>(event.b));
      case EventKind::kTick:
        return Tick(event.a);
      default:
        return HandleRare(event);
    }
  }

  void HandleRare(const Event& event) {
    switch (event.kind) {
      case EventKind::kSubmit:
        cluster_.Submit(event.a, daemon_.SiteNow());
        Schedule();
        return daemon_.Wake();
      case EventKind::kSiteFrees:
        cluster_.FreeSite();
        return Schedule();
      case EventKind::kSchedule:
        return Schedule();
      case EventKind::kCrash:
        if (!context_.daemon_up || context_.dice.calm()) return;
        context_.dice.CountCrash(CrashPoint::kIdle);
        return daemon_.Die();
      case EventKind::kRestart:
        return daemon_.Start();
      case EventKind::kJump: {
        const Duration by = context_.scenario.jumps[static_cast<std::size_t>(event.a)].by;
        context_.dice.Count(by > Duration{0} ? Fault::kClockForward : Fault::kClockBack);
        if (context_.trace.text())
          context_.trace.Line(context_.now(), "clock", "jumps by " + std::to_string(by.count()));
        return daemon_.clock().Jump(by);
      }
      case EventKind::kCalm:
        context_.dice.Calm();
        providers_.Calm();
        if (context_.trace.text()) context_.trace.Line(context_.now(), "world", "is calm now");
        return;
      default:
        return;
    }
  }

  void Tick(int agent) {
    nodes_.Tick(agent);
    if (cluster_.TakeNews()) Schedule();
  }

  // The site's own controllers: new pods for owed ones, then the scheduler, then what ends here.
  void Schedule() {
    const Time now = daemon_.SiteNow();
    bool changed = cluster_.Replace(now);
    changed |= cluster_.Schedule(now);
    std::optional<Time> next;
    changed |= cluster_.EndSitePods(now, next);
    if (next) context_.agenda.In(std::max(*next - now, Duration{1000}), EventKind::kSchedule, -1);
    if (changed) daemon_.Wake();
    if (changed && context_.trace.text()) ShowPods();
  }

  void ShowPods() {
    std::string text;
    for (const SimPod& pod : cluster_.pods())
      if (pod.exists)
        text += pod.key + "/" + pod.uid + "=" + std::string(Name(pod.phase)) +
                (pod.node.empty() ? "" : "@" + pod.node) + " ";
    context_.trace.Line(context_.now(), "pods", text);
  }

  bool Over() const {
    for (const BurstNode& node : journal_.all())
      if (node.Live()) return false;
    for (std::size_t j = 0; j < cluster_.jobs().size(); ++j) {
      const SimJob& job = cluster_.jobs()[j];
      if (job.Done()) continue;
      if (!job.submitted || !context_.dice.calm() || context_.scenario.site_frees_at) return false;
      if (daemon_.reasons()[j] != Reason::kBudget && daemon_.reasons()[j] != Reason::kNoOfferFits)
        return false;
    }
    return providers_.Empty();
  }

  Context context_;
  MemoryJournal journal_;
  Providers providers_;
  ClusterModel cluster_;
  GatewayModel gateway_;
  Daemon daemon_;
  NodeModel nodes_;
  Truth truth_;
};

}  // namespace

std::string_view Name(EventKind kind) {
  static constexpr std::string_view kNames[] = {
      "submit", "site-frees", "schedule", "round", "poll",  "listed",  "execute", "repeat",
      "answer", "synced",     "boot",     "tick",  "crash", "restart", "jump",    "calm"};
  return kNames[static_cast<std::size_t>(kind)];
}

RunResult RunScenario(const Scenario& scenario, Mutant mutant, bool text) {
  Trace trace(text, scenario.start);
  return Simulation(scenario, mutant, trace).Run();
}

}  // namespace spillway::sim
