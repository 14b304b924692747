#include "clouds/simulated/cloud_model.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace spillway::simulated {
namespace {

using ports::InstanceState;

constexpr Duration kErrorLock{30min};    // UpCloud repairs or frees a failed server within this
constexpr Duration kBootGivenUp{45min};  // a machine that never boots is put into error then

// Stock levels as numbers of machines, drawn once per offer.
int DrawStock(Stock stock, Rng& rng) {
  switch (stock) {
    case Stock::kAvailable:
      return static_cast<int>(rng.Between(6, 16));
    case Stock::kScarce:
      return static_cast<int>(rng.Between(1, 2));
    case Stock::kNone:
      return 0;
    case Stock::kUnknown:
      return static_cast<int>(rng.Between(2, 12));
  }
  return 0;
}

std::string InstanceId(std::uint32_t number) {
  std::array<char, 12> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  const auto length = static_cast<std::size_t>(end - digits.data());
  std::string id = "i-";
  if (length < 6) id.append(6 - length, '0');
  return id.append(digits.data(), length);
}

// One way for every "the provider has none" answer, at once or later.
std::string CapacityMessage(std::string_view region, std::string_view type) {
  return "no machine of type " + std::string(type) + " is free in " + std::string(region);
}

std::string FaultMessage(const Machine& machine) {
  if (machine.fault == Code::kCapacity) {
    return "No valid host was found: " + CapacityMessage(machine.region, machine.type);
  }
  return "instance " + machine.id + " failed at the provider";
}

}  // namespace

Duration DrawDuration(Duration median, Duration p90, Rng& rng) {
  const std::int64_t m = std::max<std::int64_t>(median.count(), 1);
  const std::int64_t p = std::max(p90.count(), m);
  // Quantiles 0, 0.1, 0.5, 0.9, 0.99 and 1 of a log-normal, in units of 1/1000.
  const std::array<std::int64_t, 6> at = {0, 100, 500, 900, 990, 1000};
  const std::array<std::int64_t, 6> value = {m * m / p * 4 / 5, m * m / p,      m, p,
                                             p + (p - m) * 2,   p + (p - m) * 3};
  const std::int64_t u = rng.Between(0, 999);
  std::size_t i = 1;
  while (at[i] <= u) ++i;
  return Duration{value[i - 1] + (value[i] - value[i - 1]) * (u - at[i - 1]) / (at[i] - at[i - 1])};
}

Time Machine::PowerOff() const {
  return std::min({died, failed, stopping, delete_taken, gone});
}

InstanceState Machine::StateAt(Time t) const {
  if (stopping <= t || delete_taken <= t ||
      (shown_deleting_from <= t && t < shown_deleting_until)) {
    return InstanceState::kDeleting;
  }
  if (failed <= t || (death_shown && died <= t)) return InstanceState::kError;
  if (off <= t) return InstanceState::kOff;
  if (running <= t) return InstanceState::kRunning;
  if (stopped <= t && t < resumed) return InstanceState::kStopped;
  return InstanceState::kCreating;
}

CloudModel::CloudModel(CloudOptions options) : options_(std::move(options)) {
  SPW_CHECK(options_.goods != nullptr, "a cloud sells something");
  Rng rng(options_.seed);
  const std::vector<Offer>& offers = goods();
  stock_.reserve(offers.size());
  for (const Offer& offer : offers) stock_.push_back(DrawStock(offer.stock, rng));
  if (options_.faults.no_capacity.empty()) return;
  no_capacity_.resize(offers.size());
  for (std::size_t i = 0; i < offers.size(); ++i) {
    const std::string place = offers[i].region + "/" + offers[i].instance_type;
    const auto& listed = options_.faults.no_capacity;
    no_capacity_[i] = std::find(listed.begin(), listed.end(), place) != listed.end();
  }
}

// A generator per call: what a call draws depends on its number only, which is easily stored.
Rng CloudModel::NextRng() {
  return Rng(options_.seed ^ (++calls_ * 0xd1342543de82ef95ULL));
}

Status CloudModel::Gate(Time now, Rng& rng) const {
  const CloudFaults& faults = options_.faults;
  for (const CloudFaults::Outage& outage : faults.outages) {
    if (outage.from <= now && now < outage.until) {
      return Fail(Code::kUnavailable, "the provider's API does not answer");
    }
  }
  if (Hit(rng, faults.unavailable)) {
    return Fail(Code::kUnavailable, "the provider's API answered 503 Service Unavailable");
  }
  if (Hit(rng, faults.throttled)) {
    return Fail(Error{Code::kThrottled, "too many requests", Duration{rng.Between(1000, 5000)}});
  }
  if (Hit(rng, faults.denied)) {
    return Fail(Code::kDenied, "the provider does not accept these credentials");
  }
  return Ok();
}

int CloudModel::Rented(const Offer& offer, Time now) const {
  int count = 0;
  for (const Machine& machine : machines_) {
    if (now < machine.gone && machine.type == offer.instance_type &&
        machine.region == offer.region && machine.spot == (offer.capacity == CapacityType::kSpot)) {
      ++count;
    }
  }
  return count;
}

Stock CloudModel::StockOf(std::size_t i, Time now) const {
  const Offer& offer = goods()[i];
  if (offer.stock == Stock::kUnknown) return Stock::kUnknown;  // it never says
  const int left = stock_[i] - Rented(offer, now);
  if (left <= 0) return Stock::kNone;
  return left <= 2 ? Stock::kScarce : Stock::kAvailable;
}

Result<std::vector<Offer>> CloudModel::Offers(Time now) {
  Rng rng = NextRng();
  SPW_TRY(Gate(now, rng));
  std::vector<Offer> offers = goods();
  for (std::size_t i = 0; i < offers.size(); ++i) offers[i].stock = StockOf(i, now);
  return offers;
}

Status CloudModel::Preflight(Time now) {
  Rng rng = NextRng();
  SPW_TRY(Gate(now, rng));
  const int existing = Left(now).machines;
  if (options_.quota > 0 && existing >= options_.quota) {
    return Fail(Code::kQuota, "the account's quota of " + std::to_string(options_.quota) +
                                  " machines is used up (" + std::to_string(existing) +
                                  " exist); ask " + facts().name + " for more");
  }
  return Ok();
}

std::optional<std::size_t> CloudModel::FindOffer(const ports::InstanceSpec& spec) const {
  const std::vector<Offer>& offers = goods();
  for (std::size_t i = 0; i < offers.size(); ++i) {
    if (offers[i].instance_type == spec.instance_type && offers[i].region == spec.region &&
        (offers[i].capacity == CapacityType::kSpot) == spec.spot) {
      return i;
    }
  }
  return std::nullopt;
}

// Everything for which a create is refused at once.
Status CloudModel::Admit(Time now, const ports::InstanceSpec& spec, const Offer& offer,
                         Rng& rng) const {
  const CloudFaults& faults = options_.faults;
  if (options_.unique_names) {
    for (const Machine& machine : machines_) {
      if (now < machine.gone && machine.name == spec.name &&
          machine.cluster_id == spec.cluster_id) {
        return Fail(Code::kConflict, "an instance named " + spec.name + " exists already");
      }
    }
  }
  if ((options_.quota > 0 && Left(now).machines >= options_.quota) ||
      Hit(rng, faults.quota_refused)) {
    return Fail(Code::kQuota, "quotas_exceeded: the account may not have more machines now");
  }
  const bool announced = offer.stock != Stock::kUnknown;
  const auto index = static_cast<std::size_t>(&offer - goods().data());
  if ((announced && stock_[index] <= Rented(offer, now)) || Hit(rng, faults.capacity_refused)) {
    return Fail(Code::kCapacity,
                "out_of_stock: " + CapacityMessage(spec.region, spec.instance_type));
  }
  return Ok();
}

Result<ports::Instance> CloudModel::Create(Time now, const ports::InstanceSpec& spec) {
  Rng rng = NextRng();
  const CloudFaults& faults = options_.faults;
  SPW_TRY(ports::CheckSpec(spec));
  SPW_TRY(Gate(now, rng));
  const std::optional<std::size_t> offer = FindOffer(spec);
  if (!offer) {
    return Fail(Code::kInvalid, facts().name + " sells no " + spec.instance_type +
                                    (spec.spot ? " as spot" : "") + " in " + spec.region);
  }
  const auto lost = [&spec] {
    return Fail(Code::kMaybeApplied, "no answer to the request to create " + spec.name);
  };
  if (Hit(rng, faults.create_lost_before)) return lost();
  SPW_TRY(Admit(now, spec, goods()[*offer], rng));
  if (Hit(rng, faults.create_late)) {
    AddMachine(now + Duration{rng.Between(1, std::max<std::int64_t>(faults.late_by.count(), 1))},
               spec, *offer, rng);
    return lost();
  }
  const Machine& machine = AddMachine(now, spec, *offer, rng);
  const std::uint32_t number = machine.number;
  if (Hit(rng, faults.create_doubled)) AddMachine(now, spec, *offer, rng);
  if (LoseReply() || Hit(rng, faults.create_lost_after)) return lost();
  return Show(*ByNumber(number), now);
}

// Scripted: the reply to a call that had its effect is lost.
bool CloudModel::LoseReply() {
  if (lost_replies_ >= options_.faults.lose_replies) return false;
  ++lost_replies_;
  ++revision_;
  return true;
}

Machine& CloudModel::AddMachine(Time created, const ports::InstanceSpec& spec, std::size_t offer,
                                Rng& rng) {
  const CloudFaults& faults = options_.faults;
  const Offer& goods_offer = goods()[offer];
  // A provider that announces no stock finds out after accepting.
  const bool sold_out = stock_[offer] <= Rented(goods_offer, created);
  ++revision_;
  Machine& machine = machines_.emplace_back();
  machine.number = next_number_++;
  machine.id = InstanceId(machine.number);
  machine.name = spec.name;
  machine.cluster_id = spec.cluster_id;
  machine.region = spec.region;
  machine.type = spec.instance_type;
  machine.spot = spec.spot;
  machine.price_per_hour = goods_offer.price_per_hour;
  machine.created = created;
  machine.visible = created;
  if (Hit(rng, faults.list_stale)) {
    machine.visible += Duration{rng.Between(0, faults.list_lag.count())};
  }
  const bool scripted = !no_capacity_.empty() && no_capacity_[offer];
  if (scripted || sold_out || Hit(rng, faults.capacity_late)) {
    machine.failed = created + Duration{rng.Between(500, 6000)};
    machine.fault = Code::kCapacity;
  } else if (facts().create_phases > 1) {
    machine.stopped = created + Duration{rng.Between(500, 4000)};
  } else {
    StartBoot(machine, created, rng);
  }
  if (machine.failed != kNever && Hit(rng, faults.error_locked)) {
    machine.locked_until = machine.failed + Duration{rng.Between(0, kErrorLock.count())};
  }
  AddSideThings(machine, rng);
  return machine;
}

// Draws how the boot that starts at `from` ends, and whether the machine dies later.
void CloudModel::StartBoot(Machine& machine, Time from, Rng& rng) {
  const CloudFaults& faults = options_.faults;
  const LifecycleTimes& times = facts().times;
  const Time boots = from + DrawDuration(times.boot_median, times.boot_p90, rng);
  if (Hit(rng, faults.boot_stuck)) {
    machine.failed = from + kBootGivenUp;
  } else if (Hit(rng, faults.boot_failed)) {
    machine.failed = boots;
  } else {
    machine.running = boots;
    std::optional<Duration> dies;
    if (faults.die_after && machine.number == faults.die_node) {
      dies = *faults.die_after;
    } else if (Hit(rng, faults.dies)) {
      dies = Duration{rng.Between(0, faults.dies_within.count())};
    }
    if (dies) {
      machine.died = boots + *dies;
      machine.death_shown = Hit(rng, faults.death_shown);
      if (Hit(rng, faults.vanishes)) machine.gone = machine.died;
    }
  }
}

void CloudModel::AddSideThings(const Machine& machine, Rng& rng) {
  for (const SideObjectTerms& terms : facts().side_objects) {
    SideThing& thing = side_things_.emplace_back();
    thing.id = machine.name + "/" + terms.kind + "-" + std::to_string(next_side_++);
    thing.kind = terms.kind;
    thing.machine = machine.number;
    thing.price_per_hour = terms.price_per_hour;
    thing.survives = !terms.deleted_with_instance || Hit(rng, options_.faults.side_survives);
    thing.created = machine.created;
    // One that needs no deletion of its own goes with a machine that vanishes.
    if (!thing.survives) thing.gone = machine.gone;
  }
}

// Machines are kept in the order of their numbers; Forget makes gaps.
const Machine* CloudModel::ByNumber(std::uint32_t number) const {
  const auto it = std::lower_bound(
      machines_.begin(), machines_.end(), number,
      [](const Machine& machine, std::uint32_t wanted) { return machine.number < wanted; });
  return it != machines_.end() && it->number == number ? &*it : nullptr;
}

const Machine* CloudModel::FindMachine(std::string_view instance_id) const {
  if (!instance_id.starts_with("i-")) return nullptr;
  std::uint32_t number = 0;
  const char* end = instance_id.data() + instance_id.size();
  const auto parsed = std::from_chars(instance_id.data() + 2, end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return nullptr;
  return ByNumber(number);
}

Machine* CloudModel::Find(std::string_view instance_id) {
  return const_cast<Machine*>(FindMachine(instance_id));
}

Status CloudModel::Resume(Time now, std::string_view instance_id) {
  Rng rng = NextRng();
  SPW_TRY(Gate(now, rng));
  Machine* machine = Find(instance_id);
  if (machine == nullptr || !machine->Exists(now)) {
    return Fail(Code::kNotFound, "instance " + std::string(instance_id) + " does not exist");
  }
  const InstanceState state = machine->StateAt(now);
  if (state == InstanceState::kCreating && machine->resumed == kNever &&
      facts().create_phases > 1) {
    return Fail(Code::kUnavailable, "transient_state: " + machine->id + " is still being created");
  }
  const bool lost = Hit(rng, options_.faults.resume_lost);
  if (state == InstanceState::kStopped && !(lost && rng.Chance(1, 2))) {
    machine->resumed = now;
    ++revision_;
    StartBoot(*machine, now, rng);
  }
  if (lost) {
    return Fail(Code::kMaybeApplied, "no answer to the request to start " + machine->id);
  }
  return Ok();
}

ports::Instance CloudModel::Show(const Machine& machine, Time t) const {
  ports::Instance out;
  out.id = machine.id;
  out.name = machine.name;
  out.state = machine.StateAt(t);
  out.created = machine.created;
  if (out.state == InstanceState::kError) {
    const Code code = machine.failed <= t ? machine.fault : Code::kInternal;
    out.fault = Error{code, FaultMessage(machine), std::nullopt};
  }
  AppendSideThings(machine, t, out.side_objects);
  return out;
}

void CloudModel::AppendSideThings(const Machine& machine, Time t,
                                  std::vector<SideObject>& out) const {
  for (const SideThing& thing : side_things_) {
    if (thing.machine == machine.number && thing.Exists(t)) {
      out.push_back({thing.kind, thing.id, thing.price_per_hour, false, {}});
    }
  }
}

Result<ports::Inventory> CloudModel::List(Time now, std::string_view cluster_id) {
  Rng rng = NextRng();
  SPW_TRY(Gate(now, rng));
  Time t = now;
  if (Hit(rng, options_.faults.list_stale)) {
    t -= Duration{rng.Between(0, options_.faults.list_lag.count())};
  }
  ports::Inventory out;
  out.read_at = now;
  for (const Machine& machine : machines_) {
    if (machine.visible <= t && t < machine.gone && machine.cluster_id == cluster_id) {
      out.instances.push_back(Show(machine, t));
    }
  }
  for (const SideThing& thing : side_things_) {
    if (!thing.Exists(t)) continue;
    const Machine& machine = *ByNumber(thing.machine);
    if (machine.gone <= t && machine.cluster_id == cluster_id) {
      out.stray.push_back({thing.kind, thing.id, thing.price_per_hour, false, {}});
    }
  }
  return out;
}

Result<ports::DeleteProgress> CloudModel::Delete(Time now, std::string_view instance_id,
                                                 std::string_view name,
                                                 std::string_view cluster_id) {
  Rng rng = NextRng();
  SPW_TRY(Gate(now, rng));
  const auto lost = [name] {
    return Fail(Code::kMaybeApplied, "no answer to the request to delete " + std::string(name));
  };
  if (Hit(rng, options_.faults.delete_lost_before)) return lost();
  ports::DeleteProgress progress;
  bool effect = false;
  Machine* machine = Find(instance_id);
  if (machine != nullptr && (machine->name != name || machine->cluster_id != cluster_id)) {
    return Fail(Code::kInvalid, "instance " + machine->id + " is " + machine->name +
                                    " of another owner or name, not " + std::string(name));
  }
  if (machine == nullptr || !machine->Exists(now)) {
    progress.accepted = progress.instance_gone = true;
    machine = nullptr;
  } else {
    const Time before = machine->delete_taken;
    SPW_TRY(DeleteMachine(now, *machine, progress, rng));
    effect = machine->delete_taken != before;
  }
  DeleteSideThings(now, name, cluster_id, rng);
  if (effect && LoseReply()) return lost();
  if (Hit(rng, options_.faults.delete_lost_after)) return lost();
  for (const SideThing& thing : side_things_) {
    if (!thing.Exists(now)) continue;
    const Machine& owner = *ByNumber(thing.machine);
    if (owner.name != name || owner.cluster_id != cluster_id) continue;
    if (&owner == machine || owner.gone <= now) {
      progress.left.push_back({thing.kind, thing.id, thing.price_per_hour, false, {}});
    }
  }
  return progress;
}

Status CloudModel::DeleteMachine(Time now, Machine& machine, ports::DeleteProgress& progress,
                                 Rng& rng) {
  const InstanceState state = machine.StateAt(now);
  if (machine.delete_taken != kNever || now < machine.shown_deleting_until) {
    progress.accepted = true;
    return Ok();
  }
  if (now < machine.locked_until) {
    return Fail(Code::kUnavailable, "409: " + machine.id + " is in error and being repaired");
  }
  if (state == InstanceState::kCreating && facts().delete_refused_while_creating) {
    return Fail(Code::kUnavailable, "can't delete " + machine.id + " while it is provisioning");
  }
  const LifecycleTimes& times = facts().times;
  const Duration takes = DrawDuration(times.delete_median, times.delete_p90, rng);
  if (facts().delete_phases > 1 && machine.running <= now) {
    if (machine.stopping == kNever) {
      machine.stopping = now;
      ++revision_;
      machine.halted = now + takes / 2;
      return Ok();
    }
    if (now < machine.halted) return Ok();
  }
  progress.accepted = true;
  ++revision_;
  if (Hit(rng, options_.faults.delete_ignored)) {
    machine.shown_deleting_from = now;
    machine.shown_deleting_until = now + takes;
    return Ok();
  }
  machine.delete_taken = now;
  machine.gone = std::min(machine.gone, now + takes);
  for (SideThing& thing : side_things_) {
    if (thing.machine == machine.number && !thing.survives) thing.gone = machine.gone;
  }
  return Ok();
}

void CloudModel::DeleteSideThings(Time now, std::string_view name, std::string_view cluster_id,
                                  Rng& rng) {
  for (SideThing& thing : side_things_) {
    if (!thing.Exists(now)) continue;
    const Machine& owner = *ByNumber(thing.machine);
    if (now < owner.gone || owner.name != name || owner.cluster_id != cluster_id) continue;
    if (Hit(rng, options_.faults.side_refused)) continue;
    thing.gone = now;
    ++revision_;
  }
}

void CloudModel::PowerOff(Time now, std::string_view instance_id) {
  Machine* machine = Find(instance_id);
  if (machine == nullptr || !machine->PoweredAt(now)) return;
  machine->died = machine->off = now;
  ++revision_;
}

}  // namespace spillway::simulated
