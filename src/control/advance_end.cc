// Wiping, Deleting and the settlement.
#include <fmt/format.h>

#include <algorithm>

#include "control/turn.h"

namespace spillway::control {
namespace {

void NoteDeletion(Turn& turn) {
  if (!turn.seen.deletion) return;
  BurstNode& node = turn.node();
  const DeleteAnswer& answer = *turn.seen.deletion;
  const bool gone =
      answer.error ? answer.error->code == Code::kNotFound : answer.progress.Complete();
  if (!gone && (answer.error || !answer.progress.accepted)) return;
  if (!node.delete_accepted) {
    node.delete_accepted = true;
    node.delete_accepted_at = turn.now;
    turn.step.changed = true;
  }
  const bool stops_at_accept = node.billing.meter_stops == BillingTerms::MeterStop::kDeleteAccepted;
  if ((gone || stops_at_accept) && node.meter_start && !node.meter_stop)
    turn.Set(node.meter_stop, turn.now);
  // "Gone" is a claim. It begins the count of the listings that have to confirm it.
  if (gone && node.last_list_seen == Time{}) {
    turn.Set(node.absent_lists, 0);
    turn.Set(node.last_list_seen, turn.now);
  }
}

// The claim was false if the machine is still listed as running when listings have caught up.
void CorrectMeter(Turn& turn) {
  BurstNode& node = turn.node();
  const ports::Instance* instance = turn.instance();
  if (!node.meter_stop || instance == nullptr || !turn.seen.seen) return;
  if (instance->state == ports::InstanceState::kDeleting) return;
  if (turn.seen.seen->read_at < *node.meter_stop + kAbsenceGrace) return;
  turn.Set(node.meter_stop, std::optional<Time>{});
  turn.Set(node.delete_accepted, false);
}

// What is owed to others before the record closes: its pods are back in the queue, and a lost node
// has its certificate. Neither costs money, so both are waited for, but not for ever.
bool DebtsPaid(Turn& turn) {
  const BurstNode& node = turn.node();
  // A certificate cannot be written before the key is destroyed.
  const Time since = std::max(node.phase_since, node.key_destroyed_at);
  const bool certified =
      node.wipe_class != WipeClass::kCryptoEraseOnly || !node.certificate.empty();
  const bool pods_back =
      !node.Failed() || !node.pods_admitted || (turn.seen.pods && ToEvict(turn).empty());
  return (certified && pods_back) || turn.OverSince(since, node.deadlines.wipe);
}

// True if the key service was given its time and the run key lives.
bool KeyOverdue(Turn& turn) {
  const BurstNode& node = turn.node();
  if (node.key_destroyed) return false;
  Time wanted = node.phase_since;
  for (const auto& [phase, at] : node.history)
    if (phase == Phase::kWiping) wanted = at;
  return turn.OverSince(wanted, node.deadlines.key);
}

void OweKey(Turn& turn) {
  BurstNode& node = turn.node();
  if (node.instance_id.empty() || node.key_owed_since || !KeyOverdue(turn)) return;
  turn.Set(node.key_owed_since, turn.now);
  turn.Record("key-owed",
              fmt::format("the key service did not destroy the run key within {}: the machine is "
                          "given back without that, and the destruction is asked for until it is "
                          "done",
                          FormatDuration(node.deadlines.key)));
}

// A machine that vanished before it was deleted costs nothing while its key is waited for: from the
// first listing without it on its meter stands still (CorrectMeter sees to the second thought), and
// if nothing else is left either, listings are counted as after a claim of the adapter.
void NoteVanished(Turn& turn) {
  BurstNode& node = turn.node();
  if (node.key_destroyed || node.instance_id.empty() || !turn.seen.seen) return;
  const Seen& seen = *turn.seen.seen;
  if (seen.read_at <= node.phase_since || !seen.instances.empty()) return;
  if (node.meter_start && !node.meter_stop) turn.Set(node.meter_stop, turn.now);
  if (node.last_list_seen != Time{} || !seen.stray.empty()) return;
  turn.Set(node.absent_lists, 0);
  turn.Set(node.last_list_seen, node.phase_since);
}

// Nothing exists any more, so nothing costs.
void StopMeters(Turn& turn) {
  BurstNode& node = turn.node();
  if (node.meter_start && !node.meter_stop) turn.Set(node.meter_stop, turn.now);
  for (SideObject& object : node.side_objects) {
    if (object.gone) continue;
    object.gone = true;
    object.gone_at = turn.now;
    turn.step.changed = true;
  }
}

}  // namespace

void AdvanceWiping(Turn& turn) {
  BurstNode& node = turn.node();
  // Its results are home or given up, so a node lost here is no failure: only the wipe is lesser.
  const Time heard = turn.LastHeard();
  const bool lost =
      node.absent_lists >= kAbsentLists || turn.IsOff() || turn.now - heard >= node.deadlines.lease;
  if (node.key_destroyed && turn.seen.node && turn.seen.node->wiped) {
    // The record claims what the certificate claims: full only if every byte was read back.
    node.wipe_verified = turn.seen.node->wipe_verified;
    node.wipe_class = node.wipe_verified ? WipeClass::kFull : WipeClass::kCryptoEraseOnly;
    turn.Record("wiped", node.wipe_verified
                             ? "the cache was overwritten and read back"
                             : "crypto-erase only: the overwrite could not be verified");
    return turn.MoveTo(Phase::kDeleting, "deleting " + node.instance_id);
  }
  // It did its part, and only the key service is waited for.
  const bool key_late = turn.seen.node && turn.seen.node->overwritten && KeyOverdue(turn);
  turn.LookAgain(heard + node.deadlines.lease);
  if (!lost && !key_late && !turn.Over(node.deadlines.wipe)) return;
  node.wipe_class = WipeClass::kCryptoEraseOnly;
  turn.Record("wiped", lost       ? "crypto-erase only: the node is lost"
                       : key_late ? "it overwrote its cache, and its run key is not destroyed yet"
                                  : "crypto-erase only: the wipe did not end in time");
  turn.MoveTo(Phase::kDeleting, "deleting " + node.instance_id);
}

void AdvanceDeleting(Turn& turn) {
  BurstNode& node = turn.node();
  if (node.instance_id.empty()) {
    if (turn.create_outcome() == CreateOutcome::kRefused)
      turn.Set(node.instance_may_exist, false);
    else
      BeginLookUp(turn);
  }
  NoteDeletion(turn);
  CorrectMeter(turn);
  NoteVanished(turn);
  CountGone(turn);
  if (node.absent_lists >= kAbsentLists) turn.Set(node.instance_may_exist, false);
  OweKey(turn);
  if (node.instance_may_exist) return;
  // PrepareRun is sent only once the instance is known, so without one there is no key.
  if (!node.instance_id.empty() && !node.key_destroyed) return StopMeters(turn);
  if (!DebtsPaid(turn)) return;
  Settle(turn);
  turn.MoveTo(Phase::kGone, "the provider confirmed twice that nothing is left");
}

void Settle(Turn& turn) {
  BurstNode& node = turn.node();
  StopMeters(turn);
  const CostNow cost = CostAt(node, turn.now);
  node.paid = cost.paid;
  node.cost_compute = cost.compute;
  node.cost_side_objects = cost.side_objects;
  node.cost_egress = cost.egress;
  node.cost = cost.Total();
  node.settled = true;
  turn.step.changed = true;
  LedgerEntry& entry =
      turn.Record("settled", fmt::format("paid {}, reserved {}", FormatMoney(node.cost),
                                         FormatMoney(node.forecast.worst_case)));
  entry.reserved = -node.forecast.worst_case;
  entry.spent = node.cost;
  entry.bytes = node.bytes_in + node.bytes_out;
  entry.seconds_paid = node.paid / 1s;
  entry.seconds_computed = node.computed / 1s;
}

}  // namespace spillway::control
