// The provider's own meter and what is left of an account.
#include <algorithm>

#include "clouds/simulated/cloud_model.h"

namespace spillway::simulated {

std::optional<InvoiceLine> CloudModel::LineOf(const Machine& machine, Time now) const {
  const BillingTerms& terms = facts().billing;
  const bool from_create = terms.meter_starts == BillingTerms::MeterStart::kCreate;
  const Time start = from_create ? machine.created : machine.running;
  Time stop = machine.gone;
  if (terms.meter_stops == BillingTerms::MeterStop::kDeleteAccepted) {
    stop = std::min(stop, machine.delete_taken);
  }
  if (start > now || start >= stop) return std::nullopt;
  InvoiceLine line;
  line.start = start;
  line.open = stop > now;
  line.stop = std::min(stop, now);
  const Metered metered = Meter(terms, machine.price_per_hour, line.start, line.stop);
  line.paid = metered.paid;
  line.cost = metered.cost;
  return line;
}

std::vector<InvoiceLine> CloudModel::Invoice(Time now) const {
  std::vector<InvoiceLine> lines;
  for (const Machine& machine : machines_) {
    std::optional<InvoiceLine> line = LineOf(machine, now);
    if (!line) continue;
    line->id = machine.id;
    line->name = machine.name;
    lines.push_back(std::move(*line));
  }
  for (const SideThing& thing : side_things_) {
    if (thing.created > now) continue;
    InvoiceLine line;
    line.id = thing.id;
    line.name = ByNumber(thing.machine)->name;
    line.kind = thing.kind;
    line.start = thing.created;
    line.open = thing.gone > now;
    line.stop = std::min(thing.gone, now);
    const Metered metered = Meter(facts().billing, thing.price_per_hour, line.start, line.stop);
    line.paid = metered.paid;
    line.cost = metered.cost;
    lines.push_back(std::move(line));
  }
  return lines;
}

Money CloudModel::InvoiceTotal(Time now) const {
  Money total;
  for (const Machine& machine : machines_) {
    if (const std::optional<InvoiceLine> line = LineOf(machine, now)) total += line->cost;
  }
  for (const SideThing& thing : side_things_) {
    if (thing.created > now) continue;
    total +=
        Meter(facts().billing, thing.price_per_hour, thing.created, std::min(thing.gone, now)).cost;
  }
  return total;
}

CloudModel::Leftovers CloudModel::Left(Time now) const {
  Leftovers left;
  for (const Machine& machine : machines_) left.machines += now < machine.gone;
  for (const SideThing& thing : side_things_) left.side_objects += now < thing.gone;
  return left;
}

std::optional<Time> CloudModel::NextChange(Time now) const {
  Time next = kNever;
  const auto consider = [&next, now](Time t) {
    if (t > now) next = std::min(next, t);
  };
  for (const Machine& machine : machines_) {
    if (machine.gone <= now) continue;
    for (const Time t :
         {machine.created, machine.visible, machine.stopped, machine.running, machine.failed,
          machine.died, machine.halted, machine.shown_deleting_until, machine.gone}) {
      consider(t);
    }
  }
  if (next == kNever) return std::nullopt;
  return next;
}

void CloudModel::Forget(Time now, std::size_t keep) {
  const auto finished = [this, now](const Machine& machine) {
    return machine.gone <= now &&
           std::none_of(side_things_.begin(), side_things_.end(), [&](const SideThing& thing) {
             return thing.machine == machine.number && now < thing.gone;
           });
  };
  // Most accounts are far below the limit; then nothing needs to be looked at.
  if (machines_.size() <= keep) return;
  std::size_t too_many = machines_.size() - keep;
  std::vector<std::uint32_t> dropped;
  for (const Machine& machine : machines_) {
    if (too_many == 0) break;
    if (!finished(machine)) continue;
    dropped.push_back(machine.number);
    --too_many;
  }
  const auto is_dropped = [&dropped](std::uint32_t number) {
    return std::binary_search(dropped.begin(), dropped.end(), number);
  };
  std::erase_if(side_things_, [&](const SideThing& thing) { return is_dropped(thing.machine); });
  std::erase_if(machines_, [&](const Machine& machine) { return is_dropped(machine.number); });
}

}  // namespace spillway::simulated
