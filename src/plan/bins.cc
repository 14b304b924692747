#include "plan/bins.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace spillway::plan {
namespace {

// Offers that are compared for a bin where the dearer one per hour may be the cheaper one in all.
constexpr int kCompared = 8;

bool OnHosts(const SpreadRule& rule) {
  return rule.key == kHostnameLabel;
}

}  // namespace

Bins::Bins(Market& market, int policy, std::vector<Item> items, bool together)
    : market_(market), policy_(policy), together_(together), items_(std::move(items)) {
  const Snapshot& snapshot = market_.index.snapshot;
  opened_.resize(snapshot.accounts.size());
  bin_of_.assign(items_.size(), kNowhere);
  related_ = !snapshot.groups.empty() || !market_.rented_pods().empty();
  for (const Item& item : items_) {
    related_ |= market_.ground.Related(item.shape);
    uniform_ &= item.kind == items_.front().kind ||
                (item.run == items_.front().run && item.worst_run == items_.front().worst_run);
    uniform_ &= item.input_bytes == 0 && item.own_bytes == 0 && item.result_bytes == 0;
  }
  FindFamilies();
  FindWeights();
  FindGuards();
}

Bins::~Bins() {
  for (const Bin& bin : bins_)
    for (const std::size_t item : bin.items) market_.ground.Remove(items_[item].shape, bin.node);
  for (std::size_t i = 0; i < bins_.size(); ++i) market_.ground.DropLastNode();
}

void Bins::FindFamilies() {
  const Index& index = market_.index;
  const Snapshot& snapshot = index.snapshot;
  std::map<std::int32_t, std::int32_t> classes;  // -> a shape of it
  for (const Item& item : items_)
    classes.emplace(market_.index.node_demand[static_cast<std::size_t>(item.shape)], item.shape);
  const std::size_t all_classes = classes.empty() ? 0 : std::size_t(classes.rbegin()->first) + 1;
  std::map<std::pair<std::vector<std::string>, std::vector<bool>>, std::size_t> known;
  std::vector<const OfferInfo*> firsts;
  for (std::size_t i = 0; i < index.offers.size(); ++i) {
    const auto offer = static_cast<std::int32_t>(i);
    if (market_.JudgeOffer(policy_, offer).reason != OfferReason::kChosen) continue;
    const OfferInfo& info = index.offers[i];
    std::vector<bool> takes(all_classes);
    for (const auto& [of_class, shape] : classes)
      takes[static_cast<std::size_t>(of_class)] =
          WhyNeverOn(snapshot.shapes[static_cast<std::size_t>(shape)], info.node, Entry::kAdmitted)
              .empty();
    const auto [it, fresh] =
        known.try_emplace({market_.ground.Domains(info.node), takes}, families_.size());
    if (fresh) {
      families_.push_back({{}, it->first.first, std::move(takes), 0, true});
      firsts.push_back(&info);
    }
    Family& family = families_[it->second];
    family.ladder.push_back(offer);
    // Of two that take equally long the cheaper one costs less.
    const OfferInfo& first = *firsts[it->second];
    family.by_price &= first.facts == info.facts && first.times == info.times;
  }
  const Policy& policy = snapshot.policies[static_cast<std::size_t>(policy_)];
  for (Family& family : families_) {
    // Overwriting a whole disk takes as long as the disk is large.
    family.by_price &= policy.overwrite != Overwrite::kWhole;
    std::stable_sort(family.ladder.begin(), family.ladder.end(), [&](auto a, auto b) {
      return snapshot.offers[static_cast<std::size_t>(a)].price_per_hour <
             snapshot.offers[static_cast<std::size_t>(b)].price_per_hour;
    });
  }
  if (!uniform_ || items_.empty()) return;
  cost_.assign(index.offers.size(), 0);
  const Load load{items_.front().run, items_.front().worst_run, 0, 0};
  for (const Family& family : families_)
    for (const std::int32_t offer : family.ladder)
      cost_[static_cast<std::size_t>(offer)] = ExpectedTotal(index, policy, offer, load).micro();
}

// A resource weighs the more the less of it all items together want.
void Bins::FindWeights() {
  double cpu = 0, memory = 0, gpus = 0;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Resources& wants = ShapeOf(i).requests;
    cpu += static_cast<double>(wants.cpu_milli);
    memory += static_cast<double>(wants.memory_bytes);
    gpus += static_cast<double>(wants.gpus);
  }
  cpu_weight_ = cpu > 0 ? 1 / cpu : 0;
  memory_weight_ = memory > 0 ? 1 / memory : 0;
  gpu_weight_ = gpus > 0 ? 1 / gpus : 0;
}

void Bins::FindGuards() {
  const Snapshot& snapshot = market_.index.snapshot;
  owns_.resize(snapshot.shapes.size());
  meets_.resize(snapshot.shapes.size());
  spread_.resize(snapshot.shapes.size());
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, std::int32_t> known;
  std::vector<std::int32_t> shapes;
  for (const Item& item : items_) shapes.push_back(item.shape);
  std::sort(shapes.begin(), shapes.end());
  shapes.erase(std::unique(shapes.begin(), shapes.end()), shapes.end());
  for (const std::int32_t shape : shapes) {
    const std::vector<SpreadRule>& spread = snapshot.shapes[static_cast<std::size_t>(shape)].spread;
    for (std::size_t rule = 0; rule < spread.size(); ++rule) {
      if (spread[rule].group < 0) continue;
      if (!OnHosts(spread[rule])) spread_[static_cast<std::size_t>(shape)] = true;
      const std::int32_t shared = market_.ground.SpreadIndex(shape, rule, Entry::kAdmitted);
      const auto [it, fresh] =
          known.try_emplace({shared, spread[rule].max_skew, spread[rule].min_domains},
                            static_cast<std::int32_t>(guards_.size()));
      if (fresh) guards_.push_back({shape, rule, {}, {}});
      owns_[static_cast<std::size_t>(shape)].push_back(it->second);
    }
  }
  for (const std::int32_t shape : shapes)
    for (std::size_t i = 0; i < guards_.size(); ++i)
      if (snapshot.shapes[static_cast<std::size_t>(shape)].MemberOf(RuleOf(guards_[i]).group))
        meets_[static_cast<std::size_t>(shape)].push_back(static_cast<std::int32_t>(i));
}

double Bins::Weight(const Resources& resources) const {
  return static_cast<double>(resources.cpu_milli) * cpu_weight_ +
         static_cast<double>(resources.memory_bytes) * memory_weight_ +
         static_cast<double>(resources.gpus) * gpu_weight_;
}

std::int64_t Bins::CostOf(std::int32_t offer, const Load& load) const {
  if (uniform_) return cost_[static_cast<std::size_t>(offer)];
  const Snapshot& snapshot = market_.index.snapshot;
  return ExpectedTotal(market_.index, snapshot.policies[static_cast<std::size_t>(policy_)], offer,
                       load)
      .micro();
}

Load Bins::LoadWith(const Bin& bin, std::size_t at) const {
  Load load = bin.load;
  const Item& item = items_[at];
  load.run = std::max(load.run, item.run);
  load.worst_run = std::max(load.worst_run, item.worst_run);
  load.result_bytes += item.result_bytes;
  load.stage_bytes += item.own_bytes;
  if (item.input_bytes > 0 &&
      std::none_of(bin.items.begin(), bin.items.end(),
                   [&](std::size_t other) { return items_[other].input == item.input; }))
    load.stage_bytes += item.input_bytes;
  return load;
}

Load Bins::LoadWithout(const Bin& bin, std::size_t at) const {
  if (uniform_) return bin.load;
  Bin rest;
  for (const std::size_t item : bin.items) {
    if (item == at) continue;
    rest.load = LoadWith(rest, item);
    rest.items.push_back(item);
  }
  return rest.load;
}

std::size_t Bins::Climb(const Family& family, std::size_t rung, const Resources& used,
                        const Load& load) const {
  std::size_t best = family.ladder.size();
  std::int64_t best_cost = 0;
  for (int compared = 0; rung < family.ladder.size(); ++rung) {
    const std::int32_t offer = family.ladder[rung];
    if (!RoomOf(offer).Covers(used) || !MayOpen(offer)) continue;
    if (family.by_price) return rung;
    const std::int64_t cost = CostOf(offer, load);
    if (best == family.ladder.size() || cost < best_cost) best = rung, best_cost = cost;
    if (++compared == kCompared) break;
  }
  return best;
}

bool Bins::MayOpen(std::int32_t offer) const {
  const auto account =
      static_cast<std::size_t>(market_.index.offers[static_cast<std::size_t>(offer)].account);
  return opened_[account] < market_.AccountsLeft()[account];
}

void Bins::SortForPlacing(std::vector<std::size_t>& items) const {
  auto ease = [&](std::size_t item) {
    const PodShape& shape = ShapeOf(item);
    return !shape.anti_affinity.empty()                            ? 0
           : spread_[static_cast<std::size_t>(items_[item].shape)] ? 1
                                                                   : 2;
  };
  std::vector<std::tuple<int, double, std::size_t>> keys;
  for (const std::size_t item : items)
    keys.emplace_back(ease(item), -Weight(ShapeOf(item).requests), item);
  std::sort(keys.begin(), keys.end());
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = std::get<2>(keys[i]);
}

bool Bins::Disturbs(std::size_t item, std::int32_t node) const {
  for (const std::int32_t at : meets_[static_cast<std::size_t>(items_[item].shape)]) {
    const Guard& guard = guards_[static_cast<std::size_t>(at)];
    const auto view = market_.ground.ViewSpread(guard.shape, guard.rule, node, Entry::kAdmitted);
    const auto domain = static_cast<std::size_t>(view.domain);
    const SpreadRule& rule = RuleOf(guard);
    const bool owned = view.domain >= 0 && domain < guard.owners.size() && guard.owners[domain] > 0;
    if (view.domain < 0 || (!owned && (!even_ || OnHosts(rule)))) continue;
    if (even_ && !OnHosts(rule) &&
        Uneven(guard, domain, spread_[static_cast<std::size_t>(items_[item].shape)]))
      return true;
    if (view.pods + 1 - (OnHosts(rule) ? 0 : view.fewest) > rule.max_skew) return true;
  }
  return false;
}

bool Bins::Uneven(const Guard& guard, std::size_t domain, bool spread) const {
  const std::vector<int>& met = guard.met[spread ? 1 : 0];
  if (domain >= met.size() || met[domain] < 0) return false;  // the first there
  int fewest = met[domain];
  for (const int there : met)
    if (there >= 0) fewest = std::min(fewest, there);
  return met[domain] + 1 - fewest > RuleOf(guard).max_skew;
}

// Another host may come at any time: what a host has is never measured by the fewest of today.
bool Bins::TooManyOnHost(std::size_t item, std::int32_t node) const {
  const std::vector<SpreadRule>& spread = ShapeOf(item).spread;
  for (std::size_t rule = 0; rule < spread.size(); ++rule)
    if (OnHosts(spread[rule]) && spread[rule].group >= 0 &&
        market_.ground.ViewSpread(items_[item].shape, rule, node, Entry::kAdmitted).pods +
                (spread[rule].counts_self ? 1 : 0) >
            spread[rule].max_skew)
      return true;
  return false;
}

bool Bins::RulesAllow(std::size_t item, std::int32_t node) const {
  return !related_ || (market_.ground.MayJoin(items_[item].shape, node, Entry::kAdmitted) &&
                       !TooManyOnHost(item, node) && !Disturbs(item, node));
}

Bins::Seat Bins::BestSeat(std::size_t item) const {
  const Resources& wants = ShapeOf(item).requests;
  const auto of_class = static_cast<std::size_t>(ClassOf(item));
  const auto most = static_cast<std::size_t>(market_.index.options.max_pods_per_rental);
  Seat best;
  for (const bool grow : {false, true}) {
    // Nothing is cheaper than a seat for nothing.
    if (grow && best.found && best.more <= 0) break;
    for (std::size_t i = lot_; i < bins_.size(); ++i) {
      const Bin& bin = bins_[i];
      if (free_[i].Covers(wants) == grow) continue;
      const Family& family = families_[static_cast<std::size_t>(bin.family)];
      if (!family.takes[of_class] || bin.items.size() >= most || Away(family)) continue;
      Seat seat{i, bin.rung, 0, 0, true};
      const Load load = uniform_ ? bin.load : LoadWith(bin, item);
      Resources used = bin.used;
      used += wants;
      if (grow) seat.rung = Climb(family, bin.rung + 1, used, load);
      if (seat.rung == family.ladder.size()) continue;
      const std::int32_t offer = family.ladder[seat.rung];
      if (grow || !uniform_) seat.more = CostOf(offer, load) - bin.cost;
      if (best.found && seat.more > best.more) continue;
      seat.slack = Weight(RoomOf(offer)) - Weight(used);
      if (seat.Better(best) && RulesAllow(item, bin.node)) best = seat;
    }
  }
  return best;
}

// Opens a bin for the item if that costs less than `against`.
bool Bins::TryOpen(std::size_t item, const Seat& against) {
  const auto opened = static_cast<int>(bins_.size());
  const Load load = LoadWith(Bin{}, item);
  std::vector<std::tuple<std::int64_t, int, std::size_t, std::size_t>> ways;
  for (std::size_t f = 0; f < families_.size(); ++f) {
    const Family& family = families_[f];
    if (!family.takes[static_cast<std::size_t>(ClassOf(item))] || Away(family)) continue;
    const std::size_t rung = Climb(family, 0, ShapeOf(item).requests, load);
    if (rung == family.ladder.size()) continue;
    const std::int64_t cost = CostOf(family.ladder[rung], load);
    if (!against.found || cost < against.more) ways.emplace_back(cost, family.bins, f, rung);
  }
  if (!ways.empty() && opened >= market_.PolicyLeft(policy_)) {
    full_ = true;
    return false;
  }
  std::sort(ways.begin(), ways.end());
  for (const auto& [cost, bins, f, rung] : ways) {
    const std::int32_t offer = families_[f].ladder[rung];
    const OfferInfo& info = market_.index.offers[static_cast<std::size_t>(offer)];
    const std::int32_t node = market_.ground.AddNode(
        NodeOf(market_.index.snapshot.offers[static_cast<std::size_t>(offer)],
               market_.index.snapshot.daemons, fmt::format("{} no. {}", kNewNode, opened)));
    if (!RulesAllow(item, node)) {
      market_.ground.DropLastNode();
      continue;
    }
    Bin& bin = bins_.emplace_back();
    bin.node = node;
    bin.family = static_cast<int>(f);
    bin.rung = rung;
    bin.offer = offer;
    free_.push_back(info.node.allocatable);
    ++opened_[static_cast<std::size_t>(info.account)];
    ++families_[f].bins;
    NoteDomains(node);
    Enter(item, bins_.size() - 1, rung);
    return true;
  }
  return false;
}

bool Bins::Place(std::size_t item) {
  for (const bool even : {true, false}) {
    if (!even && meets_[static_cast<std::size_t>(items_[item].shape)].empty()) break;
    even_ = even;
    const Seat seat = BestSeat(item);
    if (TryOpen(item, seat)) return true;
    if (!seat.found) continue;
    Enter(item, seat.bin, seat.rung);
    return true;
  }
  return false;
}

void Bins::SetRung(std::size_t at, std::size_t rung) {
  Bin& bin = bins_[at];
  const std::int32_t offer = families_[static_cast<std::size_t>(bin.family)].ladder[rung];
  bin.rung = rung;
  bin.cost = CostOf(offer, bin.load);
  if (offer == bin.offer) return;
  --opened_[AccountOf(bin.offer)];
  ++opened_[AccountOf(offer)];
  bin.offer = offer;
  free_[at] = RoomOf(offer);
  free_[at] -= bin.used;
  if (related_)
    market_.ground.Exchange(bin.node, market_.index.offers[static_cast<std::size_t>(offer)].node);
}

void Bins::Enter(std::size_t item, std::size_t at, std::size_t rung) {
  Bin& bin = bins_[at];
  const Resources& wants = ShapeOf(item).requests;
  bin.load = LoadWith(bin, item);
  bin.used += wants;
  free_[at] -= wants;
  bin.items.push_back(item);
  bin_of_[item] = at;
  SetRung(at, rung);
  market_.ground.Put(items_[item].shape, bin.node);
  Watch(item, bin.node, 1);
}

void Bins::Leave(std::size_t item, std::size_t at) {
  Bin& bin = bins_[at];
  const Resources& wants = ShapeOf(item).requests;
  bin.load = LoadWithout(bin, item);
  bin.used -= wants;
  free_[at] += wants;
  bin.items.erase(std::find(bin.items.begin(), bin.items.end(), item));
  bin_of_[item] = kNowhere;
  market_.ground.Remove(items_[item].shape, bin.node);
  Watch(item, bin.node, -1);
}

void Bins::NoteDomains(std::int32_t node) {
  for (Guard& guard : guards_) {
    const auto view = market_.ground.ViewSpread(guard.shape, guard.rule, node, Entry::kAdmitted);
    if (view.domain < 0) continue;
    const auto domain = static_cast<std::size_t>(view.domain);
    if (domain >= guard.owners.size()) guard.owners.resize(domain + 1);
    for (std::vector<int>& met : guard.met) {
      if (domain >= met.size()) met.resize(domain + 1, -1);
      met[domain] = std::max(met[domain], 0);
    }
  }
}

void Bins::Watch(std::size_t item, std::int32_t node, int change) {
  const auto shape = static_cast<std::size_t>(items_[item].shape);
  for (const std::int32_t at : meets_[shape]) {
    Guard& guard = guards_[static_cast<std::size_t>(at)];
    const auto view = market_.ground.ViewSpread(guard.shape, guard.rule, node, Entry::kAdmitted);
    if (view.domain >= 0)
      guard.met[spread_[shape] ? 1 : 0][static_cast<std::size_t>(view.domain)] += change;
  }
  for (const std::int32_t at : owns_[shape]) {
    Guard& guard = guards_[static_cast<std::size_t>(at)];
    const auto view = market_.ground.ViewSpread(guard.shape, guard.rule, node, Entry::kAdmitted);
    if (view.domain >= 0) guard.owners[static_cast<std::size_t>(view.domain)] += change;
  }
}

}  // namespace spillway::plan
