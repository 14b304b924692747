#include "plan/index.h"

#include <algorithm>
#include <tuple>

#include "plan/fit.h"
#include "plan/parking.h"

namespace spillway::plan {
namespace {

// What was not learned is as the catalogue and the options say; they know nothing of joining,
// images and failures.
OfferTimes TimesOf(const Snapshot& snapshot, const Options& options, const std::string& key,
                   const LifecycleTimes& catalogue) {
  const auto learned = snapshot.times.find(key);
  OfferTimes times = learned == snapshot.times.end() ? OfferTimes{} : learned->second;
  if (times.boot.machines == 0) times.boot = {catalogue.boot_median, catalogue.boot_p90, 0};
  if (times.stage_rate.machines == 0)
    times.stage_rate = {options.wan_bytes_per_second, options.wan_bytes_per_second, 0};
  return times;
}

}  // namespace

Index::Index(const Snapshot& the_snapshot, const Options& the_options)
    : snapshot(the_snapshot), options(the_options) {
  ResolveOffers();
  ResolveDemands();
  ResolvePolicies();
}

void Index::ResolveOffers() {
  std::map<std::string_view, int> account_by_name;
  for (std::size_t i = 0; i < snapshot.accounts.size(); ++i)
    account_by_name.emplace(snapshot.accounts[i].name, static_cast<int>(i));
  std::map<std::string_view, const ProviderFacts*> facts_by_id;
  for (const ProviderFacts& facts : snapshot.facts) facts_by_id.emplace(facts.id, &facts);
  const Parking parking(snapshot, options.park);
  std::map<std::pair<std::string_view, std::string_view>, int> place_ids;

  offers.reserve(snapshot.offers.size());
  for (const Offer& offer : snapshot.offers) {
    OfferInfo& info = offers.emplace_back();
    info.key = offer.Key();
    if (const auto it = account_by_name.find(offer.provider); it != account_by_name.end())
      info.account = it->second;
    const auto facts = facts_by_id.find(offer.catalog);
    info.facts = facts != facts_by_id.end() ? facts->second : &unknown_facts_;
    info.times = TimesOf(snapshot, options, info.key, info.facts->times);
    for (const SideObjectTerms& side : info.facts->side_objects)
      info.side_per_hour += side.price_per_hour;
    info.place = place_ids.try_emplace({offer.provider, offer.region}, places).first->second;
    places = static_cast<int>(place_ids.size());
    info.node = NodeOf(offer, snapshot.daemons, kNewNode);
    info.parked_until = parking.Until(info.key, offer.provider);
  }
}

void Index::ResolveDemands() {
  auto wants = [](const PodShape& shape) {
    return std::tie(shape.requests.gpus, shape.node_selector, shape.has_required_affinity,
                    shape.required_terms, shape.host_ports, shape.volume_rules,
                    shape.affinity_group, shape.affinity_keys, shape.anti_affinity, shape.spread);
  };
  auto less = [&](const PodShape* a, const PodShape* b) { return wants(*a) < wants(*b); };
  std::map<const PodShape*, int, decltype(less)> known(less);
  node_demand = NodeDemands(snapshot.shapes);
  auto smaller = [&](std::size_t a, std::size_t b) {
    const Resources& left = snapshot.shapes[a].requests;
    const Resources& right = snapshot.shapes[b].requests;
    return std::tie(node_demand[a], left) < std::tie(node_demand[b], right);
  };
  std::map<std::size_t, int, decltype(smaller)> sizes(smaller);
  for (std::size_t i = 0; i < snapshot.shapes.size(); ++i) {
    demand.push_back(
        known.try_emplace(&snapshot.shapes[i], static_cast<int>(known.size())).first->second);
    footprint.push_back(sizes.try_emplace(i, static_cast<int>(sizes.size())).first->second);
  }
  footprints = static_cast<int>(sizes.size());
}

void Index::ResolvePolicies() {
  for (std::size_t i = 0; i < snapshot.policies.size(); ++i) {
    for (const std::string& ns : snapshot.policies[i].namespaces) {
      int& best = policy_by_ns_.emplace(ns, static_cast<int>(i)).first->second;
      // Policies are sorted by name: of equal priorities the first stays.
      if (snapshot.policies[i].priority >
          snapshot.policies[static_cast<std::size_t>(best)].priority)
        best = static_cast<int>(i);
    }
  }
}

int Index::PolicyFor(std::string_view ns) const {
  const auto it = policy_by_ns_.find(ns);
  return it == policy_by_ns_.end() ? -1 : it->second;
}

}  // namespace spillway::plan
