// What an observation proves whatever the phase, and how listings prove absence.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "control/turn.h"

namespace spillway::control {
namespace {

// Listings that were counted while the instance was another or unknown prove nothing about it.
void ForgetAbsence(Turn& turn) {
  turn.Set(turn.node().instance_may_exist, true);
  turn.Set(turn.node().absent_lists, 0);
  turn.Set(turn.node().last_list_seen, Time{});
}

void AdoptInstance(Turn& turn) {
  BurstNode& node = turn.node();
  if (!node.instance_id.empty() || node.phase < Phase::kRequested) return;
  if (turn.seen.create && turn.seen.create->instance) {
    turn.Set(node.instance_id, turn.seen.create->instance->id);
  } else if (turn.seen.seen && !turn.seen.seen->instances.empty()) {
    // More than one is a provider's fault: the oldest is ours, the sweep takes the others.
    const auto& found = turn.seen.seen->instances;
    const auto oldest =
        std::min_element(found.begin(), found.end(), [](const auto& a, const auto& b) {
          return std::tie(a.created, a.id) < std::tie(b.created, b.id);
        });
    turn.Set(node.instance_id, oldest->id);
  }
  if (!node.instance_id.empty()) ForgetAbsence(turn);
}

// The machine that registered is the node's, if the provider lists it under the node's name;
// another one that was adopted before becomes an orphan.
void AdoptRegistered(Turn& turn) {
  BurstNode& node = turn.node();
  if (!turn.seen.node || !turn.seen.seen || node.phase < Phase::kRequested ||
      node.phase > Phase::kProvisioned)
    return;
  const std::string& id = turn.seen.node->instance_id;
  const auto& listed = turn.seen.seen->instances;
  if (id.empty() || id == node.instance_id ||
      std::none_of(listed.begin(), listed.end(), [&](const auto& i) { return i.id == id; }))
    return;
  turn.Set(node.instance_id, id);
  turn.Set(node.meter_start, std::optional<Time>{});
  ForgetAbsence(turn);
}

// The provider's clock is not ours: its moments only count between our request and now. A machine
// that broke down before it ran is metered as well; whether it is billed is the provider's to say,
// and a cost that is known too low is worse than one too high.
void StartMeter(Turn& turn, const ports::Instance& instance) {
  BurstNode& node = turn.node();
  if (node.meter_start) return;
  if (node.billing.meter_starts == BillingTerms::MeterStart::kCreate)
    turn.Set(node.meter_start, std::clamp(instance.created, turn.RequestedAt(), turn.now));
  else if (instance.state == ports::InstanceState::kRunning ||
           instance.state == ports::InstanceState::kOff || turn.seen.node)
    turn.Set(node.meter_start, turn.now);
}

void SeeSideObject(Turn& turn, const SideObject& object) {
  auto& known = turn.node().side_objects;
  const auto it = std::find_if(known.begin(), known.end(),
                               [&](const SideObject& o) { return o.id == object.id; });
  if (it == known.end()) {
    known.push_back(object);
    turn.step.changed = true;
  } else if (it->gone && !object.gone) {
    it->gone = false;  // said to be gone, and listed all the same: it still costs
    turn.step.changed = true;
  }
}

void LoseSideObject(Turn& turn, SideObject& object) {
  if (object.gone) return;
  object.gone = true;
  object.gone_at = turn.now;
  turn.step.changed = true;
}

bool Lists(const std::vector<SideObject>& objects, const std::string& id) {
  return std::any_of(objects.begin(), objects.end(),
                     [&](const SideObject& o) { return o.id == id && !o.gone; });
}

void LearnSideObjects(Turn& turn) {
  BurstNode& node = turn.node();
  if (const ports::Instance* instance = turn.instance())
    for (const SideObject& object : instance->side_objects) SeeSideObject(turn, object);
  if (turn.seen.seen)
    for (const SideObject& object : turn.seen.seen->stray) SeeSideObject(turn, object);
  if (node.phase != Phase::kDeleting) return;
  // While deleting, an adapter's "not left" is believed for the meter; a listing corrects it above.
  if (turn.seen.deletion && !turn.seen.deletion->error && turn.seen.deletion->progress.accepted)
    for (SideObject& object : node.side_objects)
      if (!Lists(turn.seen.deletion->progress.left, object.id) &&
          !(turn.seen.seen && Lists(turn.seen.seen->stray, object.id)))
        LoseSideObject(turn, object);
}

void LearnRegistered(Turn& turn) {
  BurstNode& node = turn.node();
  const bool boots = node.phase == Phase::kRequested || node.phase == Phase::kProvisioned;
  if (boots && !node.registered_at && (turn.seen.registered || turn.seen.node))
    turn.Set(node.registered_at, turn.now);
}

// How long images take is known from the first pod of which a container ran.
void LearnStart(Turn& turn) {
  BurstNode& node = turn.node();
  if (node.phase != Phase::kRunning || node.start_took || !turn.seen.pods) return;
  std::optional<Duration> took;
  std::optional<Time> first;
  for (const PodReport& pod : *turn.seen.pods) {
    const std::optional<Time> began = BeganAt(pod);
    if (pod.node != node.name || !pod.taken || !began || (first && *first <= *began)) continue;
    first = began;
    took = std::max(*began - *pod.taken, Duration{0});
  }
  if (took) turn.Set(node.start_took, took);
}

void LearnRun(Turn& turn) {
  BurstNode& node = turn.node();
  if (turn.seen.node && !turn.seen.node->certificate.empty())
    turn.Set(node.certificate, turn.seen.node->certificate);
  if (!turn.seen.run) return;
  const RunReport& run = *turn.seen.run;
  if (run.prepared && !node.run_prepared) {
    turn.Set(node.run_prepared, true);
    turn.Set(node.prepared_at, turn.now);
  }
  if (!run.certificate.empty() && node.certificate.empty())
    turn.Set(node.certificate, run.certificate);
  // The wipe was late for us, and still in time for its certificate: the record says what that
  // does.
  if (run.certificate_full && node.wipe_class == WipeClass::kCryptoEraseOnly) {
    turn.Set(node.wipe_class, WipeClass::kFull);
    turn.Set(node.wipe_verified, true);
  }
  if (!run.key_destroyed || node.key_destroyed) return;
  node.key_destroyed = true;
  node.key_destroyed_at = std::min(run.key_destroyed_at, turn.now);
  turn.step.changed = true;
  turn.Record("key-destroyed",
              node.key_owed_since
                  ? fmt::format("the run key was destroyed, {} after the machine was given back "
                                "without that: from here on no copy of the data can be read",
                                FormatDuration(std::max(
                                    node.key_destroyed_at - *node.key_owed_since, Duration{0})))
                  : "the run key was destroyed: no copy of the data can be read");
}

}  // namespace

void Learn(Turn& turn) {
  AdoptInstance(turn);
  AdoptRegistered(turn);
  LearnRegistered(turn);
  LearnRun(turn);
  LearnStart(turn);
  LearnSideObjects(turn);
  if (const ports::Instance* instance = turn.instance()) StartMeter(turn, *instance);
  CountAbsence(turn);
}

void CountAbsence(Turn& turn) {
  BurstNode& node = turn.node();
  if (!turn.seen.seen || node.instance_id.empty() || node.phase >= Phase::kDeleting) return;
  const Seen& seen = *turn.seen.seen;
  const bool shown = std::any_of(seen.instances.begin(), seen.instances.end(),
                                 [&](const auto& i) { return i.id == node.instance_id; });
  if (shown) {
    turn.Set(node.absent_lists, 0);
    return;
  }
  const Time read_at = std::min(seen.read_at, turn.now);
  if (read_at <= node.last_list_seen || read_at < turn.RequestedAt() + kAbsenceGrace) return;
  // A heartbeat is proof of life and stronger than a list; only silence lets a list count.
  const auto heartbeat = turn.LastHeartbeat();
  if (heartbeat && read_at < *heartbeat + node.deadlines.lease / 4) return;
  turn.Set(node.absent_lists, std::min(node.absent_lists + 1, kAbsentLists));
  turn.Set(node.last_list_seen, read_at);
}

void CountGone(Turn& turn) {
  BurstNode& node = turn.node();
  if (!turn.seen.seen || node.last_list_seen == Time{}) return;
  const Seen& seen = *turn.seen.seen;
  const Time read_at = std::min(seen.read_at, turn.now);
  if (read_at <= node.last_list_seen || read_at < turn.RequestedAt() + kAbsenceGrace) return;
  if (seen.instances.empty() && seen.stray.empty()) {
    turn.Set(node.absent_lists, std::min(node.absent_lists + 1, kAbsentLists));
    turn.Set(node.last_list_seen, read_at);
    return;
  }
  // Something is left. What the adapter said before counts for nothing: it has to delete again.
  if (!node.instance_id.empty()) turn.Set(node.instance_may_exist, true);
  turn.Set(node.absent_lists, 0);
  turn.Set(node.last_list_seen, node.instance_id.empty() ? read_at : Time{});
}

bool CreateSettled(Turn& turn) {
  const BurstNode& node = turn.node();
  if (turn.create_outcome() != CreateOutcome::kUnanswered) return true;
  const Time requested = turn.RequestedAt();
  if (turn.seen.watching_since > requested) return true;
  if (turn.now - requested >= node.deadlines.create) return true;
  turn.LookAgain(requested + node.deadlines.create);
  return false;
}

void BeginLookUp(Turn& turn) {
  if (turn.node().last_list_seen != Time{} || !CreateSettled(turn)) return;
  turn.Set(turn.node().absent_lists, 0);
  turn.Set(turn.node().last_list_seen, turn.now + kAbsenceGrace);
}

}  // namespace spillway::control
