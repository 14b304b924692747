// Pack: puts items on rented instances so that the sum of all rentals is the lowest. Knows nothing
// about pods and offers; the caller prices.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace spillway::plan {

inline constexpr std::int64_t kDoesNotFit = INT64_MAX;

// Items are packed in runs: an instance takes items [first, first + count). For equally large items
// sorted by falling computing time that loses nothing: an instance costs what its longest item
// makes it cost, so the longest one is best joined by the next longest.
struct PackProblem {
  std::vector<int> kinds;     // by item; items of one kind are alike and adjacent
  std::vector<int> accounts;  // by choice (what can be rented): index into account_limits
  std::vector<int> account_limits;
  int max_instances = 0;
  int max_items_per_instance = 1;
  // Costs of putting items [first, first + count) on each of `choices`: writes one value per entry
  // of `choices`, kDoesNotFit where they do not fit. More items never fit where fewer do not.
  std::function<void(int first, int count, const std::vector<int>& choices,
                     std::vector<std::int64_t>& costs)>
      cost;
};

struct Packed {
  int choice = 0, first = 0, count = 0;
  bool operator==(const Packed&) const = default;
};

struct Packing {
  std::int64_t cost = 0;
  std::vector<Packed> instances;  // by first item
};

// All items placed at the lowest cost, then with the fewest instances, then on the earliest
// choices; nullopt: it cannot be done within the limits. Exact as long as the limits that bind are
// few (kMaxStates), greedy beyond; runs that mix kinds look at the best choices only
// (kAllChoices).
std::optional<Packing> Pack(const PackProblem& problem);

inline constexpr int kAllChoices = 32;
inline constexpr std::int64_t kMaxStates = 200'000;

}  // namespace spillway::plan
