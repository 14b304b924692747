#include "plan/draft.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "plan/bindable.h"
#include "plan/pack.h"

namespace spillway::plan {
namespace {

PackProblem ProblemFor(const Market& market, int policy, const std::vector<Item>& items,
                       const std::vector<std::int32_t>& offers) {
  PackProblem problem;
  for (const Item& item : items) problem.kinds.push_back(item.kind);
  for (const std::int32_t offer : offers)
    problem.accounts.push_back(market.index.offers[static_cast<std::size_t>(offer)].account);
  problem.account_limits = market.AccountsLeft();
  problem.max_instances = market.PolicyLeft(policy);
  problem.max_items_per_instance = market.index.options.max_pods_per_rental;
  return problem;
}

}  // namespace

Drafter::Drafter(Market& market, int policy, std::string ns, bool gang,
                 std::set<std::int32_t> shapes, std::vector<std::int32_t> offers)
    : market_(market),
      index_(market.index),
      policy_(policy),
      ns_(std::move(ns)),
      shapes_(std::move(shapes)) {
  related_ = std::any_of(shapes_.begin(), shapes_.end(),
                         [&](std::int32_t shape) { return market_.ground.Related(shape); });
  for (const std::int32_t offer : offers)
    most_gpus_ =
        std::max(most_gpus_, index_.offers[static_cast<std::size_t>(offer)].node.allocatable.gpus);
  if (!gang) {
    alternatives_.push_back(std::move(offers));
    return;
  }
  alternatives_.resize(static_cast<std::size_t>(index_.places));
  for (const std::int32_t offer : offers)
    alternatives_[static_cast<std::size_t>(index_.offers[static_cast<std::size_t>(offer)].place)]
        .push_back(offer);
  std::erase_if(alternatives_, [](const auto& place) { return place.empty(); });
}

bool Drafter::SomeLimitInUse() const {
  if (market_.PolicyLeft(policy_) <
      index_.snapshot.policies[static_cast<std::size_t>(policy_)].max_nodes)
    return true;
  const std::vector<ProviderAccount>& accounts = index_.snapshot.accounts;
  for (std::size_t i = 0; i < accounts.size(); ++i)
    if (accounts[i].max_nodes > 0 && market_.AccountsLeft()[i] < accounts[i].max_nodes) return true;
  return false;
}

// A bound that saves the search: GPUs asked for against GPUs of the most instances.
bool Drafter::TooMany(const std::vector<Item>& items) const {
  std::int64_t wanted = 0;
  for (const Item& item : items)
    wanted += index_.snapshot.shapes[static_cast<std::size_t>(item.shape)].requests.gpus;
  return wanted > most_gpus_ * market_.PolicyLeft(policy_);
}

bool Drafter::Fill(Draft& draft) {
  SortForPacking(index_, draft.items);
  if (TooMany(draft.items)) return false;
  std::optional<Packing> best;
  const std::vector<std::int32_t>* best_offers = nullptr;
  for (const std::vector<std::int32_t>& offers : alternatives_) {
    PackProblem problem = ProblemFor(market_, policy_, draft.items, offers);
    problem.cost = [&](int first, int count, const std::vector<int>& choices,
                       std::vector<std::int64_t>& costs) {
      const Bundle bundle = BundleOf(index_, draft.items, first, count);
      std::vector<std::int64_t>& totals = market_.Totals(policy_, bundle.load);
      for (std::size_t i = 0; i < choices.size(); ++i) {
        const std::int32_t offer = offers[static_cast<std::size_t>(choices[i])];
        const Resources& room = index_.offers[static_cast<std::size_t>(offer)].node.allocatable;
        if (room.Covers(bundle.requests) && AllFit(draft.items, first, count, offer) &&
            (!related_ || Together(draft.items, first, count, offer)))
          costs[i] = market_.TotalOf(totals, policy_, bundle.load, offer);
      }
    };
    std::optional<Packing> packing = Pack(problem);
    if (!packing || (best && std::pair(packing->cost, packing->instances.size()) >=
                                 std::pair(best->cost, best->instances.size())))
      continue;
    best = std::move(packing);
    best_offers = &offers;
  }
  if (!best) return false;
  for (const Packed& packed : best->instances)
    AddRental(draft, packed.first, packed.count,
              (*best_offers)[static_cast<std::size_t>(packed.choice)]);
  return (!related_ && market_.rented_pods().empty()) || RulesHold(draft);
}

// Whether the rules between pods let these items share one new instance, as things stand now.
bool Drafter::Together(const std::vector<Item>& items, int first, int count, std::int32_t offer) {
  Placement& ground = market_.ground;
  const std::int32_t at = ground.AddNode(index_.offers[static_cast<std::size_t>(offer)].node);
  int placed = 0;
  auto shape = [&](int i) {
    return items[static_cast<std::size_t>(first) + static_cast<std::size_t>(i)].shape;
  };
  while (placed < count && ground.Fits(shape(placed), at, Entry::kAdmitted))
    ground.Put(shape(placed++), at);
  for (int i = 0; i < placed; ++i) ground.Remove(shape(i), at);
  ground.DropLastNode();
  return placed == count;
}

// Whether the scheduler could bind all pods of the draft and of the rentals before it. All of these
// nodes may be there before the first pod is bound.
bool Drafter::RulesHold(const Draft& draft) {
  Placement& ground = market_.ground;
  std::vector<Bound> pods;
  for (std::size_t i = 0; i < draft.rentals.size(); ++i) {
    Node node = NodeOf(index_.snapshot.offers[static_cast<std::size_t>(draft.rentals[i].offer)],
                       index_.snapshot.daemons, fmt::format("{} no. {}", kNewNode, i));
    const std::int32_t at = ground.AddNode(std::move(node));
    for (const std::int32_t pod : draft.rentals[i].pods)
      pods.emplace_back(index_.snapshot.pods[static_cast<std::size_t>(pod)].shape, at);
  }
  for (const auto& [shape, node] : pods) ground.Put(shape, node);
  pods.insert(pods.end(), market_.rented_pods().begin(), market_.rented_pods().end());
  const bool hold = Unbindable(ground, pods).empty();
  pods.resize(pods.size() - market_.rented_pods().size());
  for (const auto& [shape, node] : pods) ground.Remove(shape, node);
  for (std::size_t i = 0; i < draft.rentals.size(); ++i) ground.DropLastNode();
  return hold;
}

bool Drafter::AllFit(const std::vector<Item>& items, int first, int count, std::int32_t offer) {
  if (shapes_.size() == 1) return true;  // the offers are allowed for it
  return std::all_of(items.begin() + first, items.begin() + first + count, [&](const Item& item) {
    return market_.Judge(policy_, item.shape, offer, market_.AccountsLeft()).reason ==
           OfferReason::kChosen;
  });
}

void Drafter::AddRental(Draft& draft, int first, int count, std::int32_t offer) const {
  const Policy& policy = index_.snapshot.policies[static_cast<std::size_t>(policy_)];
  const Load load = BundleOf(index_, draft.items, first, count).load;
  Rental& rental = draft.rentals.emplace_back();
  rental.offer = offer;
  rental.policy = policy_;
  rental.ns = ns_;
  for (int i = first; i < first + count; ++i)
    rental.pods.push_back(draft.items[static_cast<std::size_t>(i)].pod);
  rental.forecast = MakeForecast(index_, policy, offer, load);
  rental.deadlines = MakeDeadlines(index_, policy, offer, load);
  draft.worst_case += rental.forecast.worst_case;
}

}  // namespace spillway::plan
