// Bins: instances that are being filled, and the moves that fill them. Each bin stands on the
// placement's ground as a node, so that the rules between pods are asked there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/bindable.h"
#include "plan/items.h"
#include "plan/market.h"

namespace spillway::plan {

struct Bin {
  std::int32_t node = -1;  // of the ground
  int family = 0;
  std::size_t rung = 0;  // of the family's ladder
  std::int32_t offer = 0;
  Resources used;
  Load load;
  std::int64_t cost = 0;           // micro-euro
  std::vector<std::size_t> items;  // indexes into Bins::items
};

class Bins {
 public:
  // For items of one policy. Refers to the market, whose ground is put back as it was at the end.
  // `together`: all bins are in the domains of the first one. There no spread constraint holds pods
  // off, and the scheduler may take them in any order.
  Bins(Market& market, int policy, std::vector<Item> items, bool together);
  ~Bins();
  Bins(const Bins&) = delete;
  Bins& operator=(const Bins&) = delete;

  const std::vector<Item>& items() const { return items_; }
  const std::vector<Bin>& bins() const { return bins_; }
  // Whether rules between pods matter for any of the items, or for pods that are there.
  bool related() const { return related_; }
  // No bin could be opened because of the limits of the policy or of an account.
  bool full() const { return full_; }

  // Those that force bins open first, then large ones.
  void SortForPlacing(std::vector<std::size_t>& items) const;
  // Bins of before take no more items.
  void StartLot() { lot_ = bins_.size(); }
  // Puts the item where it makes the sum of all costs grow the least; false: nowhere.
  bool Place(std::size_t item);
  // Bins of all lots take items again.
  void ReopenAll() { lot_ = 0; }
  // Bin of an item; kNowhere: it is not placed.
  std::size_t BinOf(std::size_t item) const { return bin_of_[item]; }
  void TakeOut(std::size_t item) { Leave(item, bin_of_[item]); }
  static constexpr std::size_t kNowhere = ~std::size_t{0};

 private:
  // Offers between which a bin can change: the same for the rules between pods and for what pods
  // ask of a node alone. Cheap ones first.
  struct Family {
    std::vector<std::int32_t> ladder;
    std::vector<std::string> domains;
    std::vector<bool> takes;  // by class
    int bins = 0;
    bool by_price = true;  // what is dearer per hour is dearer for every load
  };
  struct Seat {
    std::size_t bin = 0;
    std::size_t rung = 0;
    std::int64_t more = 0;  // cost
    double slack = 0;       // room that is left
    bool found = false;
    bool Better(const Seat& other) const {
      return !other.found || more < other.more || (more == other.more && slack < other.slack);
    }
  };
  // A spread constraint of a placed item: in its domains no more pods may come than it bears.
  struct Guard {
    std::int32_t shape = 0;   // one that has it ...
    std::size_t rule = 0;     // ... as this entry of PodShape::spread
    std::vector<int> owners;  // by domain: placed items that have it
    // By domain: placed items that it counts, those that are spread themselves apart; -1 where no
    // bin is.
    std::vector<int> met[2];
  };

  void FindFamilies();
  void FindWeights();
  void FindGuards();
  const SpreadRule& RuleOf(const Guard& guard) const {
    return market_.index.snapshot.shapes[static_cast<std::size_t>(guard.shape)].spread[guard.rule];
  }
  std::size_t AccountOf(std::int32_t offer) const {
    return static_cast<std::size_t>(market_.index.offers[static_cast<std::size_t>(offer)].account);
  }
  const PodShape& ShapeOf(std::size_t item) const {
    return market_.index.snapshot.shapes[static_cast<std::size_t>(items_[item].shape)];
  }
  const Resources& RoomOf(std::int32_t offer) const {
    return market_.index.offers[static_cast<std::size_t>(offer)].node.allocatable;
  }
  std::int32_t ClassOf(std::size_t item) const {
    return market_.index.node_demand[static_cast<std::size_t>(items_[item].shape)];
  }
  double Weight(const Resources& resources) const;
  std::int64_t CostOf(std::int32_t offer, const Load& load) const;
  Load LoadWith(const Bin& bin, std::size_t item) const;
  Load LoadWithout(const Bin& bin, std::size_t item) const;
  // The cheapest offer of the family at or above the rung that has the room; the ladder's size:
  // none.
  std::size_t Climb(const Family& family, std::size_t rung, const Resources& used,
                    const Load& load) const;
  bool RulesAllow(std::size_t item, std::int32_t node) const;
  bool Disturbs(std::size_t item, std::int32_t node) const;
  bool Uneven(const Guard& guard, std::size_t domain, bool spread) const;
  Seat BestSeat(std::size_t item) const;
  void NoteDomains(std::int32_t node);
  bool TryOpen(std::size_t item, const Seat& against);
  void Enter(std::size_t item, std::size_t bin, std::size_t rung);
  void Leave(std::size_t item, std::size_t bin);
  void Watch(std::size_t item, std::int32_t node, int change);
  void SetRung(std::size_t bin, std::size_t rung);
  bool MayOpen(std::int32_t offer) const;
  bool Away(const Family& family) const {
    return together_ && !bins_.empty() &&
           family.domains != families_[static_cast<std::size_t>(bins_.front().family)].domains;
  }
  bool TooManyOnHost(std::size_t item, std::int32_t node) const;

  Market& market_;
  const int policy_;
  const bool together_;
  std::vector<Item> items_;
  std::vector<Family> families_;
  std::vector<Bin> bins_;
  std::vector<Resources> free_;      // as bins_
  std::vector<std::size_t> bin_of_;  // by item
  std::vector<Guard> guards_;
  std::vector<std::vector<std::int32_t>> owns_, meets_;  // by shape: guards
  std::vector<bool> spread_;                             // by shape: beyond hosts
  std::vector<int> opened_;                              // by account
  std::size_t lot_ = 0;                                  // first bin of the lot
  double cpu_weight_ = 0, memory_weight_ = 0, gpu_weight_ = 0;
  bool related_ = false, uniform_ = true, full_ = false;
  // Keeps the domains of every spread constraint even, whoever is there already: then pods that
  // have it find a place in any of them later. Those that wait for nobody are even for themselves,
  // and so are the others: then the scheduler seldom finds some that wait for each other.
  bool even_ = true;
  std::vector<std::int64_t> cost_;  // by offer, of the one load there is
};

}  // namespace spillway::plan
