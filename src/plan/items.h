// Items: the pods that are to be rented for, as the search for the cheapest packing sees them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "plan/index.h"
#include "plan/price.h"

namespace spillway::plan {

// One pod to be rented for. Items of one kind are alike in everything that makes a price.
struct Item {
  std::int32_t pod = 0;
  std::int32_t workload = 0;
  std::int32_t shape = 0;
  int kind = 0;
  int input = 0;                 // equal for items that read the same input
  std::int64_t input_bytes = 0;  // of that one
  std::int64_t own_bytes = 0;    // that no other item reads
  std::int64_t result_bytes = 0;
  Duration run{0}, worst_run{0};
};

// Gives equal numbers to equal kinds.
class ItemMaker {
 public:
  explicit ItemMaker(const Index& index) : index_(index) {}
  Item Make(std::int32_t pod, int policy);

 private:
  using Input = std::pair<std::string, std::int64_t>;
  using Kind = std::tuple<std::int32_t, int, std::int64_t, std::int64_t, Duration, Duration>;
  const Index& index_;
  std::map<Input, int> inputs_;
  std::map<Kind, int> kinds_;
};

// In the order in which they are packed: large ones first, then long ones, alike ones together.
void SortForPacking(const Index& index, std::vector<Item>& items);

// What items [first, first + count) put on one instance: the longest run, every shared input once
// and all others, all results; and the resources they ask for.
struct Bundle {
  Load load;
  Resources requests;
};
Bundle BundleOf(const Index& index, const std::vector<Item>& items, int first, int count);

}  // namespace spillway::plan
