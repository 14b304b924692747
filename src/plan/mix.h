// Mix: many different pods on one set of instances. Pods with different needs share instances here,
// as far as the rules between pods let them. Not exact, as `pack` is, but good, and fast.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/items.h"
#include "plan/market.h"

namespace spillway::plan {

struct Mixed {
  std::vector<Rental> rentals;
  std::vector<Item> items;  // those on the rentals
  Money worst_case;
};

// Finds instances for items of one policy and namespace. Items that cannot be placed are left out.
// nullopt: it takes more instances than may be rented. The market is left as it was.
std::optional<Mixed> Mix(Market& market, int policy, const std::string& ns,
                         const std::vector<Item>& items);

}  // namespace spillway::plan
