// What an account remembers, as JSON and back.
#include <type_traits>

#include "clouds/simulated/cloud_model.h"

namespace spillway::simulated {
namespace {

constexpr std::int64_t kStateVersion = 1;

// One list of the fields for both directions. `visit(name, field)` is called with every field.
template <typename MachineT, typename Visitor>
void Fields(MachineT& m, const Visitor& visit) {
  visit("number", m.number);
  visit("id", m.id);
  visit("name", m.name);
  visit("clusterId", m.cluster_id);
  visit("region", m.region);
  visit("type", m.type);
  visit("spot", m.spot);
  visit("pricePerHour", m.price_per_hour);
  visit("created", m.created);
  visit("visible", m.visible);
  visit("stopped", m.stopped);
  visit("resumed", m.resumed);
  visit("running", m.running);
  visit("failed", m.failed);
  visit("fault", m.fault);
  visit("lockedUntil", m.locked_until);
  visit("died", m.died);
  visit("deathShown", m.death_shown);
  visit("off", m.off);
  visit("stopping", m.stopping);
  visit("halted", m.halted);
  visit("deleteTaken", m.delete_taken);
  visit("shownDeletingFrom", m.shown_deleting_from);
  visit("shownDeletingUntil", m.shown_deleting_until);
  visit("gone", m.gone);
}

template <typename ThingT, typename Visitor>
void SideFields(ThingT& s, const Visitor& visit) {
  visit("id", s.id);
  visit("kind", s.kind);
  visit("machine", s.machine);
  visit("pricePerHour", s.price_per_hour);
  visit("survives", s.survives);
  visit("created", s.created);
  visit("gone", s.gone);
}

struct Writer {
  json::object& out;
  void operator()(std::string_view key, Time t) const {
    if (t != kNever) out[key] = t.time_since_epoch().count();
  }
  void operator()(std::string_view key, Money m) const { out[key] = m.micro(); }
  void operator()(std::string_view key, Code code) const { out[key] = static_cast<int>(code); }
  void operator()(std::string_view key, const std::string& text) const { out[key] = text; }
  void operator()(std::string_view key, bool flag) const { out[key] = flag; }
  void operator()(std::string_view key, std::uint32_t n) const { out[key] = n; }
};

struct Reader {
  const json::value& in;
  void operator()(std::string_view key, Time& t) const {
    const json::value* value = Find(in, key);
    t = value != nullptr && value->is_int64() ? Time{Duration{value->as_int64()}} : kNever;
  }
  void operator()(std::string_view key, Money& m) const { m = Money::Micro(IntOr(in, key, 0)); }
  void operator()(std::string_view key, Code& code) const {
    const std::int64_t n = IntOr(in, key, static_cast<int>(Code::kInternal));
    const bool known = n >= 0 && n <= static_cast<int>(Code::kInternal);
    code = known ? static_cast<Code>(n) : Code::kInternal;
  }
  void operator()(std::string_view key, std::string& text) const { text = StringOr(in, key, ""); }
  void operator()(std::string_view key, bool& flag) const { flag = BoolOr(in, key, false); }
  void operator()(std::string_view key, std::uint32_t& n) const {
    n = static_cast<std::uint32_t>(IntOr(in, key, 0));
  }
};

}  // namespace

json::value CloudModel::Encode() const {
  json::array machines, side_objects;
  for (const Machine& machine : machines_) {
    json::object object;
    Fields(machine, Writer{object});
    machines.push_back(std::move(object));
  }
  for (const SideThing& thing : side_things_) {
    json::object object;
    SideFields(thing, Writer{object});
    side_objects.push_back(std::move(object));
  }
  return json::object{{"version", kStateVersion},
                      {"calls", static_cast<std::int64_t>(calls_)},
                      {"nextNumber", next_number_},
                      {"nextSide", next_side_},
                      {"lostReplies", lost_replies_},
                      {"machines", std::move(machines)},
                      {"sideObjects", std::move(side_objects)}};
}

Result<CloudModel> CloudModel::Decode(CloudOptions options, const json::value& state) {
  if (IntOr(state, "version", 0) != kStateVersion) {
    return Fail(Code::kCorrupt, "state of the simulated cloud: version: must be 1");
  }
  const json::array* machines = FindArray(state, "machines");
  const json::array* side_objects = FindArray(state, "sideObjects");
  if (machines == nullptr || side_objects == nullptr) {
    return Fail(Code::kCorrupt, "state of the simulated cloud: machines or sideObjects is missing");
  }
  CloudModel model(std::move(options));
  model.calls_ = static_cast<std::uint64_t>(IntOr(state, "calls", 0));
  model.next_number_ = static_cast<std::uint32_t>(IntOr(state, "nextNumber", 1));
  model.next_side_ = static_cast<std::uint32_t>(IntOr(state, "nextSide", 1));
  model.lost_replies_ = static_cast<int>(IntOr(state, "lostReplies", 0));
  for (const json::value& value : *machines) {
    Fields(model.machines_.emplace_back(), Reader{value});
    const std::uint32_t number = model.machines_.back().number;
    const bool ordered =
        model.machines_.size() < 2 || model.machines_[model.machines_.size() - 2].number < number;
    if (number == 0 || number >= model.next_number_ || !ordered) {
      return Fail(Code::kCorrupt, "state of the simulated cloud: machines: wrong number");
    }
  }
  for (const json::value& value : *side_objects) {
    SideFields(model.side_things_.emplace_back(), Reader{value});
    if (model.ByNumber(model.side_things_.back().machine) == nullptr) {
      return Fail(Code::kCorrupt, "state of the simulated cloud: sideObjects: no such machine");
    }
  }
  return model;
}

}  // namespace spillway::simulated
