// Market: what the rules say about every offer, what it would cost, and how many more may be
// rented. Every question is answered once and remembered.
#pragma once

#include <map>
#include <vector>

#include "plan/budget.h"
#include "plan/index.h"
#include "plan/law.h"
#include "plan/price.h"

namespace spillway::plan {

class Market {
 public:
  // `ground` is changed by rentals and must outlive it.
  Market(const Index& index, Placement& ground);

  // The first objection to putting a pod of the shape on the offer, kChosen: none. Other pods are
  // not looked at.
  // `accounts_left` as AccountsLeft() is, or was when the decision was made.
  const Objection& Judge(int policy, std::int32_t shape, std::int32_t offer,
                         const std::vector<int>& accounts_left);

  // The same without a pod: whether anything at all may be rented from the offer now.
  const Objection& JudgeOffer(int policy, std::int32_t offer);

  // What the pods that are placed now have against it (ByPods).
  const Objection& JudgeByPods(std::int32_t shape, std::int32_t offer);

  // Expected totals in micro-euro by offer for one load; kUnpriced where nobody asked yet.
  // Valid until the next call.
  static constexpr std::int64_t kUnpriced = -1;
  std::vector<std::int64_t>& Totals(int policy, const Load& load);
  // The value of the row, priced if it was not.
  std::int64_t TotalOf(std::vector<std::int64_t>& row, int policy, const Load& load,
                       std::int32_t offer) const;

  // How many more instances may be rented.
  int PolicyLeft(int policy) const { return policy_left_[static_cast<std::size_t>(policy)]; }
  const std::vector<int>& AccountsLeft() const { return account_left_; }

  // Pods (shape, node of `ground`) of the rentals so far, where rules between pods matter.
  const std::vector<std::pair<std::int32_t, std::int32_t>>& rented_pods() const {
    return rented_pods_;
  }

  // Takes the place of one instance, reserves its worst case, and puts the pods on it.
  void Rent(const Rental& rental);

  const Index& index;
  Placement& ground;
  Purse purse;

 private:
  const std::vector<Objection>& Law(int policy);
  const std::vector<Objection>& ForLabels(std::int32_t shape);
  const Objection& TooSmall(const std::string& resource);

  std::vector<std::vector<Objection>> law_;      // by policy, then offer; empty: not asked yet
  std::vector<std::vector<Objection>> labels_;   // by node demand, then offer; empty: not asked yet
  std::map<std::string, Objection> too_small_;   // by resource
  std::vector<std::vector<Objection>> by_pods_;  // by shape, then offer; empty: not asked yet
  std::vector<Objection> state_;                 // by offer
  const Objection none_;
  int rented_ = 0;
  std::vector<std::pair<std::int32_t, std::int32_t>> rented_pods_;
  Objection full_;
  std::vector<int> policy_left_, account_left_;
  std::map<std::pair<int, Load>, std::vector<std::int64_t>> totals_;
};

}  // namespace spillway::plan
