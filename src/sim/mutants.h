// Mutants: rules that are broken on purpose, to prove that the search would find them broken. None
// of them is a switch in `control`: each one stands between the rules and the world and falsifies
// what the rules see, what they store, or what they send.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace spillway::sim {

enum class Mutant : std::uint8_t {
  kNone,
  kRecordAfterCall,           // commands leave before the state is stored
  kTrustAccepted,             // a delete is over when it was accepted
  kNoSweep,                   // orphans are left alone
  kLeaseIgnored,              // the site takes every node as alive
  kNodeIgnoresLease,          // a node that is cut off goes on for ever
  kReceiptNotAwaited,         // results count as home when the pods ended
  kReservationKept,           // a settled node goes on holding its reservation
  kKeyKept,                   // the run key is only said to be destroyed
  kKeyDebtForgotten,          // a key that is owed counts as destroyed
  kSecondCreate,              // no answer to a create: it is sent again
  kSideObjectsForgotten,      // listings and deletes look at instances only
  kCapacityNotParked,         // "no capacity" is forgotten at once
  kGangInParts,               // each node of a gang goes its own way
  kOneListing,                // missing from one listing is gone
  kLedgerTwice,               // a replay writes its entries again
  kBudgetIgnored,             // money is never short
  kWipeNotAwaited,            // wiped is what was told to wipe
  kDeleteOnce,                // one delete pass, then hope
  kCancelledCreateForgotten,  // who is cancelled during create is gone at once
  kWallClock,                 // waits follow the wall clock and its jumps
  kCount,
};
std::string_view Name(Mutant mutant);
std::optional<Mutant> MutantFrom(std::string_view name);

}  // namespace spillway::sim
