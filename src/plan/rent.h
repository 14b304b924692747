// Rent: for the pods that may leave and will not wait, the cheapest set of rentals within the
// limits and the budget.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/plan.h"
#include "plan/items.h"
#include "plan/market.h"

namespace spillway::plan {

// The pods of one workload that are to be rented for.
struct Claim {
  std::int32_t workload = 0;
  std::size_t order = 0;  // of its workload's decision
  std::vector<std::int32_t> pods;
  // When waiting could still be the cheaper way: the expected start at the site. nullopt: it has
  // waited long enough, or nobody knows when the site has room.
  std::optional<Time> site_start;
};

// Claims that may share instances: one namespace, policy, data class, priority and demand; or one
// gang. In decision order.
struct Unit {
  int policy = 0;
  bool gang = false;
  std::vector<Claim> claims;
};

// What became of one claim. With rentals and a reason: the rest of its pods waits for the reason.
struct Outcome {
  int pods_rented = 0;
  std::vector<std::int32_t> rentals;  // indexes into Plan::rentals
  Money estimate;                     // its share of them, by pods
  Reason reason = Reason::kNone;
  std::string because;  // end of a sentence
  std::optional<Time> until;
  std::optional<Money> missing;
  int budget = -1;  // for kBudget
};

struct UnitResult {
  std::vector<Outcome> outcomes;  // as Unit::claims
  int offers_allowed = 0;
  std::vector<Item> rented;  // in packing order
  int policy_left = 0;       // limits before anything was rented
  std::vector<int> accounts_left;
  // The first of the units that were rented for together; nullopt: it was rented for alone.
  std::optional<std::size_t> together;
};

// What nothing was rented for yet.
UnitResult NothingRented(const Market& market, const Unit& unit);

// Appends to plan.rentals, and takes from the market what it rents. Goes on from `so_far`: the pods
// of `unit` are those that nothing was rented for.
UnitResult RentFor(Market& market, ItemMaker& maker, const Unit& unit, UnitResult so_far,
                   Plan& plan);

// "rents scaleway/fr-par-2/H100-SXM-4-80G for about 0.85 € (4 pods, 4m boot, 2m run): cheapest of
// 37 allowed offers".
std::string RentalSentence(const Index& index, const std::vector<const Rental*>& rentals,
                           int offers_allowed);

}  // namespace spillway::plan
