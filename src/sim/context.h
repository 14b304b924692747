// Context: what every part of one run shares.
#pragma once

#include <string>

#include "sim/checks.h"
#include "sim/faults.h"
#include "sim/kernel.h"
#include "sim/mutants.h"
#include "sim/scenario.h"
#include "sim/trace.h"

namespace spillway::sim {

inline constexpr const char* kCluster = "sim";  // cluster id at the providers

struct Context {
  Context(const Scenario& the_scenario, Mutant the_mutant, Trace& the_trace)
      : scenario(the_scenario),
        mutant(the_mutant),
        trace(the_trace),
        agenda(the_scenario.start),
        dice(the_scenario.rates, the_scenario.seed ^ 0x5b1fULL, tally),
        rng(the_scenario.seed + 17) {}

  const Scenario& scenario;
  const Mutant mutant;
  Trace& trace;
  Agenda agenda;
  Tally tally;
  FaultDice dice;
  Rng rng;  // for what is no fault: latencies
  Checks checks;

  bool daemon_up = false;
  // The daemon died in the middle of something: from then on nothing that it does has an effect.
  bool crashing = false;

  Time now() const { return agenda.now(); }
  bool Is(Mutant m) const { return mutant == m; }
  Duration Latency(std::int64_t low_ms, std::int64_t high_ms) {
    return Duration{rng.Between(low_ms, high_ms)};
  }
  // True if the daemon dies, or died, at this point.
  bool Crash(CrashPoint point) {
    if (!crashing && daemon_up && dice.Crash(point)) {
      crashing = true;
      if (trace.text()) trace.Line(now(), "crash", Name(point));
    }
    return crashing;
  }
  bool DiskFull() const { return Holds(scenario.disk_full); }
  bool KeyServiceDown() const { return Holds(scenario.key_service_down); }
  bool Holds(const std::vector<Interval>& intervals) const {
    for (const Interval& interval : intervals)
      if (interval.Holds(now())) return true;
    return false;
  }
};

}  // namespace spillway::sim
