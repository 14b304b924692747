// Simulation: one run of one scenario, from the first event until everything is over.
#pragma once

#include <cstdint>

#include "sim/checks.h"
#include "sim/faults.h"
#include "sim/mutants.h"
#include "sim/scenario.h"

namespace spillway::sim {

struct RunResult {
  Checks checks;
  Tally tally;
  std::uint64_t hash = 0;  // of everything that happened
  Duration lasted{0};      // virtual
};

// Deterministic: equal arguments give equal results. With `text` the story goes to standard output.
RunResult RunScenario(const Scenario& scenario, Mutant mutant = Mutant::kNone, bool text = false);

}  // namespace spillway::sim
