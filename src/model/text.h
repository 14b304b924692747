// Values as people read them in objects and Events.
#pragma once

#include <string>

#include "base/money.h"
#include "model/burst_node.h"

namespace spillway {

// Half up to cents: "6.15 EUR". For what is shown; sums are made of the exact values.
std::string RoundedMoney(Money m);

// What the phase means for this node, in one sentence: "asked verda for a 4A100.88V in FIN-03 at
// 6.15 EUR per hour". Equal while the phase is, except that Deleting may come to wait for the run
// key alone.
std::string PhaseSentence(const BurstNode& n);

// Of a node with key_owed_since: what was not done in time, and when it was.
std::string KeyDebtSentence(const BurstNode& n);

}  // namespace spillway
