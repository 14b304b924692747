#include "plan/mix.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "plan/bins.h"

namespace spillway::plan {
namespace {

// Items that are placed at once; their instances are closed before the next ones are placed.
constexpr std::size_t kLot = 1024;
// Rounds in which items that the scheduler could not bind are placed anew; after that they are
// taken out.
constexpr int kMaxRepairs = 3, kMaxRounds = 6;
// Of so many items one may fail for a placement to be worth a repair.
constexpr std::size_t kWorthRepair = 64;

class Mixer {
 public:
  Mixer(Market& market, int policy, const std::string& ns, const std::vector<Item>& items,
        bool together)
      : market_(market),
        index_(market.index),
        policy_(policy),
        ns_(ns),
        together_(together),
        bins_(market, policy, items, together) {}

  // nullopt: full(), or no such placement can be bound.
  std::optional<Mixed> Run() {
    // Every lot gets of everything: pods of one Job come one after the other.
    const std::size_t items = bins_.items().size(), lots = (items + kLot - 1) / kLot;
    std::vector<std::size_t> left;
    for (std::size_t lot = 0; lot < lots; ++lot) {
      std::vector<std::size_t> order = std::move(left);
      for (std::size_t item = lot; item < items; item += lots) order.push_back(item);
      bins_.SortForPlacing(order);
      bins_.StartLot();
      if (!PlaceAll(order, left)) return std::nullopt;
    }
    if (!Repair()) return std::nullopt;
    return Rentals();
  }

  bool full() const { return bins_.full(); }

 private:
  // Pods that come later may open a place for those that found none; `left` are those that none
  // did. False: the limits are reached.
  bool PlaceAll(std::vector<std::size_t> order, std::vector<std::size_t>& left) {
    for (std::size_t before = order.size() + 1; !order.empty() && order.size() < before;) {
      before = order.size();
      left.clear();
      for (const std::size_t item : order) {
        if (bins_.Place(item)) continue;
        if (bins_.full()) return false;
        left.push_back(item);
      }
      order = left;
    }
    return true;
  }

  // Finds other places for what could not be bound, and takes it out at last; false: it is not
  // worth it, or pods of before would stand in the way.
  bool Repair() {
    if (!bins_.related()) return true;
    bins_.ReopenAll();
    for (int round = 0; round < kMaxRounds; ++round) {
      const std::optional<std::vector<std::size_t>> failed = Failing();
      if (!failed) return false;
      if (failed->empty()) return true;
      if (!together_ && failed->size() * kWorthRepair > bins_.items().size()) return false;
      for (const std::size_t item : *failed) bins_.TakeOut(item);
      if (round >= kMaxRepairs) continue;
      for (const std::size_t item : *failed) bins_.Place(item);
    }
    return false;
  }

  // Items that the scheduler could not bind, if it takes pods as they came or large ones first.
  // nullopt: it could not bind a pod of an earlier rental.
  std::optional<std::vector<std::size_t>> Failing() {
    std::vector<std::size_t> came;
    for (std::size_t item = 0; item < bins_.items().size(); ++item)
      if (bins_.BinOf(item) != Bins::kNowhere) came.push_back(item);
    std::vector<std::size_t> large = came;
    std::stable_sort(large.begin(), large.end(), [&](std::size_t a, std::size_t b) {
      const Resources &left = RequestsOf(a), &right = RequestsOf(b);
      return std::tie(left.gpus, left.cpu_milli, left.memory_bytes) >
             std::tie(right.gpus, right.cpu_milli, right.memory_bytes);
    });
    std::set<std::size_t> failing;
    for (const std::vector<std::size_t>* order : {&came, &large}) {
      std::vector<Bound> pods;
      for (const std::size_t item : *order)
        pods.emplace_back(bins_.items()[item].shape, bins_.bins()[bins_.BinOf(item)].node);
      pods.insert(pods.end(), market_.rented_pods().begin(), market_.rented_pods().end());
      for (const std::size_t at : Unbindable(market_.ground, pods)) {
        if (at >= order->size()) return std::nullopt;
        failing.insert((*order)[at]);
      }
    }
    return std::vector<std::size_t>(failing.begin(), failing.end());
  }

  const Resources& RequestsOf(std::size_t item) const {
    return index_.snapshot.shapes[static_cast<std::size_t>(bins_.items()[item].shape)].requests;
  }

  Mixed Rentals() const {
    Mixed mixed;
    const Policy& policy = index_.snapshot.policies[static_cast<std::size_t>(policy_)];
    for (const Bin& bin : bins_.bins()) {
      if (bin.items.empty()) continue;
      Rental& rental = mixed.rentals.emplace_back();
      rental.offer = bin.offer;
      rental.policy = policy_;
      rental.ns = ns_;
      for (const std::size_t at : bin.items) {
        const Item& item = bins_.items()[at];
        rental.pods.push_back(item.pod);
        mixed.items.push_back(item);
      }
      rental.forecast = MakeForecast(index_, policy, bin.offer, bin.load);
      rental.deadlines = MakeDeadlines(index_, policy, bin.offer, bin.load);
      mixed.worst_case += rental.forecast.worst_case;
    }
    return mixed;
  }

  Market& market_;
  const Index& index_;
  const int policy_;
  const std::string& ns_;
  const bool together_;
  Bins bins_;
};

}  // namespace

std::optional<Mixed> Mix(Market& market, int policy, const std::string& ns,
                         const std::vector<Item>& items) {
  for (const bool together : {false, true}) {
    Mixer mixer(market, policy, ns, items, together);
    if (std::optional<Mixed> mixed = mixer.Run(); mixed || mixer.full()) return mixed;
  }
  return std::nullopt;
}

}  // namespace spillway::plan
