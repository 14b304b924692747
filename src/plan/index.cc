#include "plan/index.h"

#include <algorithm>

#include "plan/fit.h"
#include "plan/parking.h"

namespace spillway::plan {

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
    for (const SideObjectTerms& side : info.facts->side_objects)
      info.side_per_hour += side.price_per_hour;
    info.place = place_ids.try_emplace({offer.provider, offer.region}, places).first->second;
    places = static_cast<int>(place_ids.size());
    info.node = NodeOf(offer, snapshot.daemons, kNewNode);
    info.parked_until = parking.Until(info.key, offer.provider);
  }
}

void Index::ResolveDemands() {
  std::vector<const PodShape*> representatives;
  demand.reserve(snapshot.shapes.size());
  for (const PodShape& shape : snapshot.shapes) {
    const auto same =
        std::find_if(representatives.begin(), representatives.end(), [&](const PodShape* other) {
          return other->requests.gpus == shape.requests.gpus &&
                 other->node_selector == shape.node_selector &&
                 other->has_required_affinity == shape.has_required_affinity &&
                 other->required_terms == shape.required_terms &&
                 other->host_ports == shape.host_ports &&
                 other->volume_rules == shape.volume_rules &&
                 other->affinity_group == shape.affinity_group &&
                 other->affinity_keys == shape.affinity_keys &&
                 other->anti_affinity == shape.anti_affinity && other->spread == shape.spread;
        });
    demand.push_back(static_cast<int>(same - representatives.begin()));
    if (same == representatives.end()) representatives.push_back(&shape);
  }
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
