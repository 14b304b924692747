#include "plan/pool.h"

#include <algorithm>
#include <map>
#include <set>

#include "plan/mix.h"

namespace spillway::plan {
namespace {

// Of so many pods that are packed exactly one may be different, as long as no rules between pods
// matter.
constexpr std::size_t kAlike = 8;

// Where a pod came from.
struct Origin {
  std::size_t unit = 0, claim = 0;
};

class Pooled {
 public:
  Pooled(Market& market, ItemMaker& maker, const std::vector<std::size_t>& pool,
         std::vector<Unit>& rest, std::vector<UnitResult>& results, Plan& plan)
      : market_(market),
        index_(market.index),
        pool_(pool),
        rest_(rest),
        results_(results),
        plan_(plan),
        policy_(rest[pool.front()].policy) {
    std::vector<std::pair<std::size_t, Item>> ordered;
    for (const std::size_t unit : pool)
      for (std::size_t claim = 0; claim < rest[unit].claims.size(); ++claim)
        for (const std::int32_t pod : rest[unit].claims[claim].pods) {
          ordered.emplace_back(rest[unit].claims[claim].order, maker.Make(pod, policy_));
          origins_[pod] = {unit, claim};
        }
    std::stable_sort(ordered.begin(), ordered.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [order, item] : ordered) items_.push_back(item);
    ns_ = index_.snapshot.workloads[static_cast<std::size_t>(items_.front().workload)].ns;
  }

  void Run() {
    if (!Suits()) return;
    const std::optional<Mixed> mixed = Mix(market_, policy_, ns_, items_);
    if (!mixed || mixed->rentals.empty()) return;
    if (market_.purse.Missing(ns_, mixed->worst_case) > Money()) return;
    Begin();
    for (const Rental& rental : mixed->rentals) Accept(rental);
    Finish(mixed->items);
  }

 private:
  bool Suits() const {
    const std::size_t exact = index_.options.exact_pods;
    if (items_.size() <= exact) return false;
    std::set<int> kinds;
    bool related = false;
    for (const Item& item : items_) {
      if (kinds.size() <= exact / kAlike) kinds.insert(item.kind);
      related |= market_.ground.Related(item.shape);
    }
    if (kinds.size() <= exact / kAlike && !related) return false;
    if (!index_.snapshot.policies[static_cast<std::size_t>(policy_)].hour_is_worth) return true;
    return std::none_of(pool_.begin(), pool_.end(), [&](std::size_t unit) {
      return std::any_of(rest_[unit].claims.begin(), rest_[unit].claims.end(),
                         [](const Claim& claim) { return claim.site_start.has_value(); });
    });
  }

  void Begin() {
    int allowed = 0;
    for (std::size_t i = 0; i < index_.offers.size(); ++i)
      allowed +=
          market_.JudgeOffer(policy_, static_cast<std::int32_t>(i)).reason == OfferReason::kChosen;
    for (const std::size_t unit : pool_) {
      results_[unit] = NothingRented(market_, rest_[unit]);
      results_[unit].together = pool_.front();
      results_[unit].offers_allowed = allowed;
    }
  }

  void Accept(Rental rental) {
    const auto number = static_cast<std::int32_t>(plan_.rentals.size());
    std::map<std::pair<std::size_t, std::size_t>, int> pods_of;  // by unit, claim
    std::size_t first = ~std::size_t{0};
    for (const std::int32_t pod : rental.pods) {
      const Origin& origin = origins_.at(pod);
      ++pods_of[{origin.unit, origin.claim}];
      const Claim& claim = rest_[origin.unit].claims[origin.claim];
      if (claim.order >= first) continue;
      first = claim.order;
      rental.workload = index_.snapshot.workloads[static_cast<std::size_t>(claim.workload)].key;
    }
    const auto all = static_cast<std::int64_t>(rental.pods.size());
    for (const auto& [origin, own] : pods_of) {
      Outcome& outcome = results_[origin.first].outcomes[origin.second];
      outcome.pods_rented += own;
      outcome.rentals.push_back(number);
      outcome.estimate += Money::Micro((rental.forecast.total.micro() * own + all - 1) / all);
    }
    std::sort(rental.pods.begin(), rental.pods.end());
    rental.budget = market_.purse.Tightest(ns_);
    rental.why = RentalSentence(index_, {&rental}, results_[pool_.front()].offers_allowed);
    market_.Rent(rental);
    plan_.rentals.push_back(std::move(rental));
  }

  void Finish(const std::vector<Item>& rented) {
    std::set<std::int32_t> done;
    for (const Item& item : rented) {
      results_[origins_.at(item.pod).unit].rented.push_back(item);
      done.insert(item.pod);
    }
    for (const std::size_t unit : pool_)
      for (Claim& claim : rest_[unit].claims)
        std::erase_if(claim.pods, [&](std::int32_t pod) { return done.contains(pod); });
  }

  Market& market_;
  const Index& index_;
  const std::vector<std::size_t>& pool_;
  std::vector<Unit>& rest_;
  std::vector<UnitResult>& results_;
  Plan& plan_;
  const int policy_;
  std::string ns_;
  std::vector<Item> items_;  // in decision order
  std::map<std::int32_t, Origin> origins_;
};

}  // namespace

void RentTogether(Market& market, ItemMaker& maker, const std::vector<std::size_t>& pool,
                  std::vector<Unit>& rest, std::vector<UnitResult>& results, Plan& plan) {
  Pooled(market, maker, pool, rest, results, plan).Run();
}

}  // namespace spillway::plan
