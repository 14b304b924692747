// Pool: units that are rented for together, because their pods are many and different.
#pragma once

#include <vector>

#include "plan/rent.h"

namespace spillway::plan {

// Rents for the pods of some units (indexes into `rest`, in decision order, alike but for what
// their pods demand) on instances that they share. What is rented for is taken out of `rest` and
// noted in `results`, where these units are then marked as together. Leaves everything to RentFor
// where the exact search does well, where waiting may be cheaper, and where limits or a budget are
// in the way of some of the pods: RentFor knows whom to prefer and what to say.
void RentTogether(Market& market, ItemMaker& maker, const std::vector<std::size_t>& pool,
                  std::vector<Unit>& rest, std::vector<UnitResult>& results, Plan& plan);

}  // namespace spillway::plan
