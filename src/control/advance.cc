#include "control/advance.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/turn.h"

namespace spillway::control {
namespace {

// Stored moments in the future come from a clock that was set back; see advance.h. The history is
// evidence and stays as it was written.
void Rebase(Turn& turn) {
  BurstNode& node = turn.node();
  auto clamp = [&](Time& moment) { turn.Set(moment, std::min(moment, turn.now)); };
  clamp(node.created_at);
  clamp(node.phase_since);
  // May lie ahead by the grace of a look-up that began just now; see BeginLookUp.
  turn.Set(node.last_list_seen, std::min(node.last_list_seen, turn.now + kAbsenceGrace));
  if (node.meter_start) clamp(*node.meter_start);
}

void AdvancePhase(Turn& turn) {
  switch (turn.node().phase) {
    case Phase::kPlanned:
      return AdvancePlanned(turn);
    case Phase::kRequested:
      return AdvanceRequested(turn);
    case Phase::kProvisioned:
      return AdvanceProvisioned(turn);
    case Phase::kJoined:
      return AdvanceJoined(turn);
    case Phase::kStaged:
      return AdvanceStaged(turn);
    case Phase::kRunning:
      return AdvanceRunning(turn);
    case Phase::kReturning:
      return AdvanceReturning(turn);
    case Phase::kWiping:
      return AdvanceWiping(turn);
    case Phase::kDeleting:
      return AdvanceDeleting(turn);
    case Phase::kGone:
      return;
  }
}

// Where a failed node's path goes on. Data may be on the machine once it has joined; a machine that
// is lost cannot be wiped any more.
Phase AfterFailure(const BurstNode& node, Failure failure) {
  switch (node.phase) {
    case Phase::kPlanned:
      return Phase::kGone;
    case Phase::kRequested:
      return node.instance_may_exist ? Phase::kDeleting : Phase::kGone;
    case Phase::kProvisioned:
      return Phase::kDeleting;
    case Phase::kJoined:
    case Phase::kStaged:
      return failure == Failure::kNodeLost ? Phase::kDeleting : Phase::kWiping;
    case Phase::kRunning:
    case Phase::kReturning:
      return failure == Failure::kNodeLost ? Phase::kDeleting : Phase::kReturning;
    case Phase::kWiping:
    case Phase::kDeleting:
    case Phase::kGone:
      return node.phase;
  }
  return node.phase;
}

void TakeEvidence(Turn& turn) {
  BurstNode& node = turn.node();
  if (node.phase == Phase::kRunning) MeasureComputing(turn);
  if (!turn.seen.run) return;
  // Counters of the gateway may restart with it; what was proven once stays proven.
  const RunReport& run = *turn.seen.run;
  turn.Set(node.bytes_in, std::max(node.bytes_in, run.bytes_in));
  turn.Set(node.bytes_out, std::max(node.bytes_out, run.bytes_out));
  turn.Set(node.never_left_objects, std::max(node.never_left_objects, run.never_left_objects));
  turn.Set(node.never_left_bytes, std::max(node.never_left_bytes, run.never_left_bytes));
  turn.Set(node.results_receipted, std::max(node.results_receipted, run.results_receipted));
}

}  // namespace

LedgerEntry& Turn::Record(std::string_view name, std::string text) {
  LedgerEntry entry;
  entry.node = node().name;
  entry.step = name;
  entry.at = now;
  entry.ns = node().ns;
  entry.budget = node().budget;
  entry.workload = node().workload;
  entry.provider = node().offer.provider;
  entry.text = std::move(text);
  return step.entries.emplace_back(std::move(entry));
}

void Turn::MoveTo(Phase phase, std::string text) {
  BurstNode& n = node();
  TakeEvidence(*this);
  n.phase = phase;
  n.phase_since = now;
  n.history.emplace_back(phase, now);
  n.absent_lists = 0;
  n.last_list_seen = Time{};
  step.changed = true;
  step.look_again.reset();  // the wait was the former phase's
  Record(Name(phase), std::move(text));
}

void Turn::Fail(Failure failure, std::string detail) {
  BurstNode& n = node();
  if (!n.Failed()) {
    n.failure = failure;
    n.failure_detail = std::move(detail);
    step.changed = true;
    Record("failed", fmt::format("{}: {}", Name(failure), n.failure_detail));
  }
  const Phase next = AfterFailure(n, failure);
  if (next == n.phase) return;
  if (failure == Failure::kNodeLost && n.phase >= Phase::kJoined)
    n.wipe_class = WipeClass::kCryptoEraseOnly;
  if (next == Phase::kGone) Settle(*this);
  MoveTo(next, fmt::format("after failure {}", Name(failure)));
}

bool Turn::Over(Duration limit) {
  return OverSince(node().phase_since, limit);
}

bool Turn::OverSince(Time since, Duration limit) {
  const Time from = std::min(std::max(since, seen.watching_since), now);
  if (now - from >= limit) return true;
  LookAgain(from + limit);
  return false;
}

void Turn::LookAgain(Time when) {
  if (!step.look_again || when < *step.look_again) step.look_again = when;
}

Time Turn::RequestedAt() const {
  for (const auto& [phase, at] : node().history)
    if (phase == Phase::kRequested) return std::min(at, now);
  return std::min(node().created_at, now);
}

std::optional<Time> Turn::LastHeartbeat() const {
  if (!seen.node) return std::nullopt;
  return std::min(seen.node->last_heartbeat, now);
}

Time Turn::LastHeard() const {
  return std::max(LastHeartbeat().value_or(node().phase_since), std::min(seen.watching_since, now));
}

const ports::Instance* Turn::instance() const {
  if (node().instance_id.empty()) return nullptr;
  if (seen.seen)
    for (const ports::Instance& listed : seen.seen->instances)
      if (listed.id == node().instance_id) return &listed;
  if (seen.create && seen.create->instance && seen.create->instance->id == node().instance_id)
    return &*seen.create->instance;
  return nullptr;
}

bool Turn::IsShown(ports::InstanceState state) const {
  const ports::Instance* shown = instance();
  if (shown == nullptr || shown->state != state || !seen.seen) return false;
  const auto heartbeat = LastHeartbeat();
  return !heartbeat || *heartbeat <= seen.seen->read_at;
}

CreateOutcome Turn::create_outcome() const {
  if (!seen.create) return CreateOutcome::kUnanswered;
  if (seen.create->instance) return CreateOutcome::kAccepted;
  if (!seen.create->error) return CreateOutcome::kUnanswered;
  switch (seen.create->error->code) {
    case Code::kCapacity:
    case Code::kQuota:
    case Code::kDenied:
    case Code::kInvalid:
    case Code::kNotFound:  // no such region or type
    case Code::kThrottled:
    case Code::kUnavailable:
      return CreateOutcome::kRefused;
    case Code::kMaybeApplied:
    case Code::kConflict:
    case Code::kCorrupt:   // an answer that cannot be read
    case Code::kInternal:  // our own fault: trust nothing
      return CreateOutcome::kUnknown;
  }
  return CreateOutcome::kUnknown;
}

Step Advance(BurstNode node, const Observation& observation, Time now) {
  Turn turn{observation, now, Step{std::move(node), false, {}, {}, std::nullopt}};
  if (turn.node().phase == Phase::kGone) return std::move(turn.step);
  Rebase(turn);
  Learn(turn);
  // A phase is entered at most once, so this ends; ten phases bound it.
  for (Phase before = turn.node().phase;; before = turn.node().phase) {
    AdvancePhase(turn);
    if (turn.node().phase == before) break;
  }
  Needs(turn);
  return std::move(turn.step);
}

}  // namespace spillway::control
