// Turn: one step in the making. Private to control: shared by the files of advance.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "control/advance.h"

namespace spillway::control {

// What the adapter said about the create call.
enum class CreateOutcome : std::uint8_t {
  kUnanswered,  // nothing heard (yet)
  kAccepted,
  kRefused,  // certainly no effect
  kUnknown,  // may have been applied, or the name exists: look it up
};

struct Turn {
  const Observation& seen;
  Time now;
  Step step;

  BurstNode& node() { return step.node; }
  const BurstNode& node() const { return step.node; }

  // Assigns and notes that the node must be stored, if the value is another one.
  template <typename T, typename U>
  void Set(T& field, U&& value) {
    if (field == value) return;
    field = std::forward<U>(value);
    step.changed = true;
  }

  // Appends a ledger entry with the node's standing facts; the caller adds amounts.
  LedgerEntry& Record(std::string_view name, std::string text);

  // Enters a phase: history, ledger entry, evidence, a fresh count of listings.
  void MoveTo(Phase phase, std::string text);

  // Notes the failure (the first one stays) and moves to the phase from which its path goes on.
  void Fail(Failure failure, std::string detail);

  // True once this process has watched the phase for `limit`; otherwise asks to look again then.
  bool Over(Duration limit);
  // The same, counted from `since` instead of the beginning of the phase.
  bool OverSince(Time since, Duration limit);
  void LookAgain(Time when);

  // Time of the create request. Only for nodes that were requested.
  Time RequestedAt() const;
  // The newest moment at which the node showed that it lives, nullopt before it registered.
  std::optional<Time> LastHeartbeat() const;
  // When the node was last heard, or could have been heard first.
  Time LastHeard() const;
  // The node's own instance as listed or answered last; nullptr: not in the observation.
  const ports::Instance* instance() const;
  // A listing that is newer than the last heartbeat shows it in this state.
  bool IsShown(ports::InstanceState state) const;
  bool IsOff() const { return IsShown(ports::InstanceState::kOff); }
  CreateOutcome create_outcome() const;
};

// Takes over what the observation proves whatever the phase: the instance's id, its side objects
// and meter, the destroyed key, the certificate, and the moments from which offers are learned.
void Learn(Turn& turn);
// Counts listings in which the known instance of a node that is not being deleted is missing.
void CountAbsence(Turn& turn);
// The same while nothing is known to exist (Requested without id) or being deleted.
void CountGone(Turn& turn);
// True if nobody can still be about to answer the create call: the answer is here, this process
// never sent it, or the deadline for an answer is over.
bool CreateSettled(Turn& turn);
// Starts counting listings for an instance that may exist under an unknown id. Those read within
// the next kAbsenceGrace do not count: the call may have had its effect only now.
void BeginLookUp(Turn& turn);

void AdvancePlanned(Turn& turn);
void AdvanceRequested(Turn& turn);
void AdvanceProvisioned(Turn& turn);
void AdvanceJoined(Turn& turn);
void AdvanceStaged(Turn& turn);
void AdvanceRunning(Turn& turn);
void AdvanceReturning(Turn& turn);
void AdvanceWiping(Turn& turn);
void AdvanceDeleting(Turn& turn);

// Fails the node as lost if it is silent for too long or its instance is broken or vanished.
bool FailIfLost(Turn& turn);
// Fails a node that does not run yet and is of no use any more: its gang failed, its pods ran
// elsewhere or were deleted, or its data cannot be prepared.
bool FailIfUseless(Turn& turn);
// Fails a node whose lifetime is over.
bool FailIfExpired(Turn& turn);

// First start and last end of the pods that ran here, taken when Running ends.
void MeasureComputing(Turn& turn);

// Releases the reservation and books the final cost; the last thing before Gone.
void Settle(Turn& turn);

// Pods that a failed node must give back: those that run on it, and those that ended there if their
// results died with it. Only pods bound to it: one that waits may have been rented for again.
std::vector<PodRef> ToEvict(const Turn& turn);

// Appends the commands that the state wants now.
void Needs(Turn& turn);

// The pod has ended: finished, deleted, or no longer this node's to run.
bool Ended(const BurstNode& node, const PodReport* report);
// When the first of its containers ran.
std::optional<Time> BeganAt(const PodReport& pod);
const PodReport* ReportOf(const Observation& observation, const PodRef& pod);

}  // namespace spillway::control
