// Draft: the cheapest instances for some pods, priced but not rented yet.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "model/plan.h"
#include "plan/items.h"
#include "plan/market.h"

namespace spillway::plan {

struct Draft {
  std::vector<Item> items;  // set by the caller; put into packing order
  std::vector<Rental> rentals;
  Money worst_case;  // of all rentals
};

// Drafts for the pods of one unit: one policy, one namespace, and perhaps one gang.
class Drafter {
 public:
  // `offers` are allowed for at least one of `shapes`, ascending. Refers to the market.
  Drafter(Market& market, int policy, std::string ns, bool gang, std::set<std::int32_t> shapes,
          std::vector<std::int32_t> offers);

  // Fills in rentals for all items within the node limits, the cheapest there are; false: there
  // are none. A gang stays in one region: its pods talk to each other.
  bool Fill(Draft& draft);

  // Whether rules about other pods decide who may share an instance.
  bool related() const { return related_; }

  // Whether there would be room for more instances if none ran now.
  bool SomeLimitInUse() const;

 private:
  bool TooMany(const std::vector<Item>& items) const;
  bool AllFit(const std::vector<Item>& items, int first, int count, std::int32_t offer);
  bool Together(const std::vector<Item>& items, int first, int count, std::int32_t offer);
  bool RulesHold(const Draft& draft);
  void AddRental(Draft& draft, int first, int count, std::int32_t offer) const;

  Market& market_;
  const Index& index_;
  int policy_;
  std::string ns_;
  std::set<std::int32_t> shapes_;
  bool related_ = false;
  std::vector<std::vector<std::int32_t>> alternatives_;  // offers that may be mixed
  std::int64_t most_gpus_ = 0;                           // of one offer
};

}  // namespace spillway::plan
