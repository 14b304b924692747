// The parts that stand between the rules and the world when a mutant is on; see mutants.h. Without
// one they pass everything through.
#pragma once

#include <memory>

#include "control/conductor.h"
#include "sim/memory_journal.h"

namespace spillway::sim {

// What a broken rule would see instead of the world.
void Falsify(const Context& context, control::World& world);

// nullptr: the mutant leaves the journal alone.
std::unique_ptr<ports::Journal> MutantJournal(Mutant mutant, MemoryJournal& journal);

// nullptr: the mutant leaves commands alone.
std::unique_ptr<control::CommandSink> MutantSink(Mutant mutant, control::CommandSink& sink);

// Commands that a broken rule would send on top, after a round.
void SendMore(const Context& context, const control::World& world, control::CommandSink& sink);

}  // namespace spillway::sim
