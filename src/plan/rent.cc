#include "plan/rent.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <set>

#include "plan/draft.h"

namespace spillway::plan {
namespace {

// Pods that are packed at once; more are packed one lot after the other.
constexpr std::size_t kLot = 128;
// The same for pods with rules about other pods, where every combination is tried out.
constexpr std::size_t kRelatedLot = 16;
// Times that claims which rather wait are taken out before the rest is rented for anyway.
constexpr int kMaxSecondThoughts = 8;

// Different claims that are refused by the budget one by one before the rest is refused at once.
constexpr int kMaxBudgetRefusals = 16;
// The same for claims whose rules about other pods cannot be kept.
constexpr int kMaxRuleRefusals = 16;

// Why a draft is not possible.
struct Obstacle {
  Reason reason = Reason::kNone;
  Money missing;
  bool rules = false;  // the pods' rules about other pods
};

// One call of RentFor.
class Renter {
 public:
  Renter(Market& market, ItemMaker& maker, const Unit& unit, UnitResult so_far, Plan& plan)
      : market_(market),
        index_(market.index),
        unit_(unit),
        policy_(index_.snapshot.policies[static_cast<std::size_t>(unit.policy)]),
        plan_(plan),
        result_(std::move(so_far)) {
    ns_ = index_.snapshot.workloads[static_cast<std::size_t>(unit.claims.front().workload)].ns;
    for (std::size_t claim = 0; claim < unit.claims.size(); ++claim)
      for (const std::int32_t pod : unit.claims[claim].pods)
        queue_.push_back({maker.Make(pod, unit.policy), claim});
  }

  UnitResult Run() {
    if (!queue_.empty()) FindOffers();
    while (!queue_.empty() && RentLot()) {
    }
    SortForPacking(index_, result_.rented);
    return std::move(result_);
  }

 private:
  struct Queued {
    Item item;
    std::size_t claim;
  };

  // The offers that are allowed for at least one shape. Pods of a shape without any are told why;
  // a gang is told as a whole.
  void FindOffers() {
    std::set<std::int32_t> shapes, offers;
    for (const Queued& queued : queue_) shapes.insert(queued.item.shape);
    std::map<std::int32_t, Outcome> hopeless;
    for (const std::int32_t shape : shapes) {
      std::vector<OfferReason> reasons;
      bool some = false;
      for (std::size_t i = 0; i < index_.offers.size(); ++i) {
        const auto offer = static_cast<std::int32_t>(i);
        reasons.push_back(market_.Judge(unit_.policy, shape, offer, market_.AccountsLeft()).reason);
        if (reasons.back() == OfferReason::kChosen && !unit_.gang)
          reasons.back() = market_.JudgeByPods(shape, offer).reason;
        if (reasons.back() != OfferReason::kChosen) continue;
        some = true;
        offers.insert(offer);
      }
      if (!some) hopeless.emplace(shape, WhyNoOffer(reasons));
    }
    if (unit_.gang && !hopeless.empty()) return Block(hopeless.begin()->second);
    for (const Queued& queued : queue_)
      if (const auto it = hopeless.find(queued.item.shape); it != hopeless.end())
        Give(it->second, result_.outcomes[queued.claim]);
    std::erase_if(queue_, [&](const Queued& queued) {
      return hopeless.find(queued.item.shape) != hopeless.end();
    });
    result_.offers_allowed = static_cast<int>(offers.size());
    drafter_.emplace(market_, unit_.policy, ns_, unit_.gang, std::move(shapes),
                     std::vector<std::int32_t>(offers.begin(), offers.end()));
  }

  // Rents for the first pods of the queue, or tells at least one claim why not. False: nothing
  // more can be done.
  bool RentLot() {
    const std::size_t lot = unit_.gang
                                ? queue_.size()
                                : std::min(queue_.size(), drafter_->related() ? kRelatedLot : kLot);
    Obstacle obstacle;
    for (int thought = 0;; ++thought) {
      std::optional<Draft> draft;
      const std::size_t most = LargestDraft(std::min(lot, queue_.size()), draft, obstacle);
      if (most > 0 && thought < kMaxSecondThoughts && DropCheaperToWait(*draft, most)) {
        if (queue_.empty()) return false;
        continue;
      }
      if (most > 0) Accept(std::move(*draft), most);
      if (obstacle.reason == Reason::kNone) return true;
      if (obstacle.reason == Reason::kBudget) {
        // The next claims may be cheaper.
        if (most == 0) TellBudget(obstacle.missing);
        return true;
      }
      if (obstacle.rules) {
        // On other instances, or after the next claims, there may be a way.
        if (most == 0) TellRules();
        return true;
      }
      TellLimit(obstacle);
      return false;
    }
  }

  // The most pods from the front of the queue for which a draft exists. For fewer than asked for
  // `obstacle` says what stands against one more.
  std::size_t LargestDraft(std::size_t lot, std::optional<Draft>& draft, Obstacle& obstacle) {
    obstacle = {};
    draft = TryDraft(lot, obstacle);
    if (draft) return lot;
    if (unit_.gang) return 0;
    std::size_t possible = 0, impossible = lot;
    while (impossible - possible > 1) {
      const std::size_t middle = possible + (impossible - possible) / 2;
      Obstacle this_obstacle;
      std::optional<Draft> attempt = TryDraft(middle, this_obstacle);
      if (attempt) {
        draft = std::move(attempt);
        possible = middle;
      } else {
        obstacle = this_obstacle;
        impossible = middle;
      }
    }
    return possible;
  }

  std::optional<Draft> TryDraft(std::size_t count, Obstacle& obstacle) {
    Draft draft;
    for (std::size_t i = 0; i < count; ++i) draft.items.push_back(queue_[i].item);
    if (!drafter_->Fill(draft)) {
      if (drafter_->related() && market_.PolicyLeft(unit_.policy) > 0) {
        obstacle = {Reason::kNoOfferFits, Money(), true};
        return std::nullopt;
      }
      const bool for_good = unit_.gang && !drafter_->SomeLimitInUse();
      obstacle = {for_good ? Reason::kNoOfferFits : Reason::kNodeLimit, Money(), false};
      return std::nullopt;
    }
    const Money missing = market_.purse.Missing(ns_, draft.worst_case);
    if (missing > Money()) {
      obstacle = {Reason::kBudget, missing, false};
      return std::nullopt;
    }
    obstacle = {};
    return draft;
  }

  // The claim's share of `cost` of the draft's rentals; rounded up.
  template <typename CostOf>
  Money Share(const Draft& draft, std::size_t claim, const CostOf& cost) const {
    Money share;
    for (const Rental& rental : draft.rentals) {
      const auto own = std::count_if(rental.pods.begin(), rental.pods.end(), [&](std::int32_t pod) {
        return index_.snapshot.pods[static_cast<std::size_t>(pod)].workload ==
               unit_.claims[claim].workload;
      });
      const auto all = static_cast<std::int64_t>(rental.pods.size());
      share += Money::Micro((cost(rental.forecast).micro() * own + all - 1) / all);
    }
    return share;
  }

  // When the last of the claim's pods would start on the draft's machines.
  Time StartAway(const Draft& draft, std::size_t claim) const {
    Duration longest{0};
    for (const Rental& rental : draft.rentals)
      if (Holds(rental, unit_.claims[claim].workload))
        longest = std::max(
            longest,
            StartsIn(rental.forecast, index_.offers[static_cast<std::size_t>(rental.offer)]));
    return index_.snapshot.now + longest;
  }

  // Takes out of the queue the claims for which waiting for the site, from when they would start
  // away, costs less than their share; true: there were some.
  bool DropCheaperToWait(const Draft& draft, std::size_t count) {
    if (!policy_.hour_is_worth) return false;
    std::set<std::size_t> claims, drop;
    for (std::size_t i = 0; i < count; ++i) claims.insert(queue_[i].claim);
    for (const std::size_t claim : claims) {
      const std::optional<Time> start = unit_.claims[claim].site_start;
      if (!start) continue;
      const Time away = StartAway(draft, claim);
      const Money waiting = CostCeil(*policy_.hour_is_worth, std::max(*start - away, Duration{0}));
      const Money renting = Share(draft, claim, std::mem_fn(&Forecast::WithTries));
      if (waiting >= renting) continue;
      drop.insert(claim);
      Outcome& outcome = result_.outcomes[claim];
      outcome.reason = Reason::kCheaperToWait;
      outcome.because = fmt::format(
          "the site is expected to have room at {}, a rented machine would start it at "
          "{}; the wait between costs {}, renting {}",
          FormatTime(*start), FormatTime(away), HumanMoney(waiting), HumanMoney(renting));
      outcome.until = start;
    }
    std::erase_if(queue_, [&](const Queued& queued) { return drop.count(queued.claim) != 0; });
    return !drop.empty();
  }

  void Accept(Draft draft, std::size_t count) {
    const auto first = static_cast<std::int32_t>(plan_.rentals.size());
    for (std::size_t i = 0; i < count; ++i) ++result_.outcomes[queue_[i].claim].pods_rented;
    std::set<std::size_t> claims;
    for (std::size_t i = 0; i < count; ++i) claims.insert(queue_[i].claim);
    for (const std::size_t claim : claims) {
      Outcome& outcome = result_.outcomes[claim];
      outcome.estimate += Share(draft, claim, std::mem_fn(&Forecast::total));
      for (std::size_t r = 0; r < draft.rentals.size(); ++r)
        if (Holds(draft.rentals[r], unit_.claims[claim].workload))
          outcome.rentals.push_back(first + static_cast<std::int32_t>(r));
    }
    for (Rental& rental : draft.rentals) {
      std::sort(rental.pods.begin(), rental.pods.end());
      rental.budget = market_.purse.Tightest(ns_);
      rental.workload = FirstWorkload(rental, claims);
      if (unit_.gang) {
        rental.gang = rental.workload;
        rental.gang_size = static_cast<int>(draft.rentals.size());
      }
      rental.why = RentalSentence(index_, {&rental}, result_.offers_allowed);
      market_.Rent(rental);
      plan_.rentals.push_back(std::move(rental));
    }
    result_.rented.insert(result_.rented.end(), draft.items.begin(), draft.items.end());
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
  }

  bool Holds(const Rental& rental, std::int32_t workload) const {
    return std::any_of(rental.pods.begin(), rental.pods.end(), [&](std::int32_t pod) {
      return index_.snapshot.pods[static_cast<std::size_t>(pod)].workload == workload;
    });
  }

  std::string FirstWorkload(const Rental& rental, const std::set<std::size_t>& claims) const {
    for (const std::size_t claim : claims)
      if (Holds(rental, unit_.claims[claim].workload))
        return index_.snapshot.workloads[static_cast<std::size_t>(unit_.claims[claim].workload)]
            .key;
    return {};
  }

  void Block(const Outcome& why) {
    for (const Queued& queued : queue_) Give(why, result_.outcomes[queued.claim]);
    queue_.clear();
  }

  // Tells the rest of the queue that no more instances may be rented.
  void TellLimit(const Obstacle& obstacle) {
    Outcome why;
    why.reason = obstacle.reason;
    if (obstacle.reason == Reason::kNoOfferFits)
      why.because = fmt::format("no region has instances for all {} pods at once", queue_.size());
    else if (market_.PolicyLeft(unit_.policy) == 0 || unit_.gang)
      why.because = fmt::format("BurstPolicy {} has room for {} of {} nodes", policy_.name,
                                market_.PolicyLeft(unit_.policy), policy_.max_nodes);
    else
      why.because = fmt::format(
          "no more nodes within nodes.max of BurstPolicy {} and limits.nodes of the providers",
          policy_.name);
    Block(why);
  }

  // Tells the first claim of the queue that its pods' rules about other pods cannot be kept; after
  // many of them the rest, too.
  void TellRules() {
    Outcome why;
    why.reason = Reason::kNoOfferFits;
    why.because =
        "no new node would keep its pods' rules about other pods (affinity, "
        "anti-affinity, topology spread, host ports)";
    if (unit_.gang || ++refused_by_rules_ >= kMaxRuleRefusals) return Block(why);
    const std::size_t claim = queue_.front().claim;
    Give(why, result_.outcomes[claim]);
    std::erase_if(queue_, [&](const Queued& queued) { return queued.claim == claim; });
  }

  // Takes the first claim out of the queue and tells it what its rental lacks, after everything
  // that was rented before it; and all claims like it. After many such claims the rest is told,
  // too, without another search. `first_pod_lacks` is what its first pod alone lacks.
  void TellBudget(Money first_pod_lacks) {
    const int budget = market_.purse.Tightest(ns_);
    const BudgetState& state = index_.snapshot.budgets[static_cast<std::size_t>(budget)];
    const bool all = ++refused_by_budget_ >= kMaxBudgetRefusals;
    std::map<std::vector<int>, Outcome> known;  // by kinds of a claim's pods
    std::deque<Queued> rest;
    for (std::size_t first = 0, end = 0; first < queue_.size(); first = end) {
      Draft draft;
      std::vector<int> kinds;
      for (; end < queue_.size() && queue_[end].claim == queue_[first].claim; ++end) {
        draft.items.push_back(queue_[end].item);
        kinds.push_back(queue_[end].item.kind);
      }
      auto it = known.find(kinds);
      if (it == known.end() && (first == 0 || all))
        it = known.emplace(kinds, BudgetOutcome(draft, first_pod_lacks, budget, state)).first;
      if (it == known.end())
        for (std::size_t i = first; i < end; ++i) rest.push_back(queue_[i]);
      else
        Give(it->second, result_.outcomes[queue_[first].claim]);
    }
    queue_ = std::move(rest);
  }

  // Hands over a reason, and keeps what was rented.
  static void Give(const Outcome& why, Outcome& outcome) {
    outcome.reason = why.reason;
    outcome.because = why.because;
    outcome.until = why.until;
    outcome.missing = why.missing;
    outcome.budget = why.budget;
  }

  Outcome BudgetOutcome(Draft& draft, Money first_pod_lacks, int budget, const BudgetState& state) {
    Outcome outcome;
    outcome.reason = Reason::kBudget;
    outcome.budget = budget;
    if (state.period_ends > index_.snapshot.now) outcome.until = state.period_ends;
    // Where the node limits leave no room for all its pods, the sum is that of the first one.
    const Money missing =
        drafter_->Fill(draft) ? market_.purse.Missing(ns_, draft.worst_case) : Money();
    outcome.missing = std::max(missing, first_pod_lacks);
    const Money left = market_.purse.Left(budget);
    outcome.because =
        fmt::format("Budget {} has {} left of {}; the rental may cost up to {}: {} missing",
                    state.name, HumanMoney(left), HumanMoney(state.amount),
                    HumanMoney(left + *outcome.missing), HumanMoney(*outcome.missing));
    return outcome;
  }

  // `reasons` are the objections to all offers.
  Outcome WhyNoOffer(const std::vector<OfferReason>& reasons) const {
    int by_rule = 0, by_fit = 0, full = 0, resting = 0;
    std::optional<Time> until;
    for (std::size_t i = 0; i < reasons.size(); ++i) {
      const OfferReason reason = reasons[i];
      if (reason <= OfferReason::kTooExpensive) {
        ++by_rule;
      } else if (reason <= OfferReason::kLabels) {
        ++by_fit;
      } else if (reason == OfferReason::kProviderFull) {
        ++full;
      } else {
        ++resting;
        const auto& parked = index_.offers[i].parked_until;
        if (parked && (!until || *parked < *until)) until = parked;
      }
    }
    Outcome why;
    why.until = until;
    if (full > 0) {
      why.reason = Reason::kNodeLimit;
      why.because = "limits.nodes of every provider that fits is reached";
    } else if (resting > 0) {
      why.reason = Reason::kAllParked;
      why.because = fmt::format("{} fitting offer{} no capacity at the moment", resting,
                                resting == 1 ? " has" : "s have");
    } else if (by_fit > 0) {
      why.reason = Reason::kNoOfferFits;
      why.because = fmt::format(
          "none of {} allowed offers is large enough and has the labels and neighbours it "
          "asks for",
          by_fit);
    } else {
      why.reason = Reason::kNoOfferAllowed;
      why.because = by_rule == 0 ? std::string("no offer is known")
                                 : fmt::format("none of {} offers is allowed by BurstPolicy {}",
                                               by_rule, policy_.name);
    }
    return why;
  }

  Market& market_;
  const Index& index_;
  const Unit& unit_;
  const Policy& policy_;
  Plan& plan_;
  std::string ns_;
  std::deque<Queued> queue_;        // pods that nothing was decided for, in decision order
  std::optional<Drafter> drafter_;  // unless nothing is allowed for a gang
  int refused_by_budget_ = 0, refused_by_rules_ = 0;
  UnitResult result_;
};

}  // namespace

UnitResult NothingRented(const Market& market, const Unit& unit) {
  UnitResult result;
  result.outcomes.resize(unit.claims.size());
  result.policy_left = market.PolicyLeft(unit.policy);
  result.accounts_left = market.AccountsLeft();
  return result;
}

UnitResult RentFor(Market& market, ItemMaker& maker, const Unit& unit, UnitResult so_far,
                   Plan& plan) {
  return Renter(market, maker, unit, std::move(so_far), plan).Run();
}

std::string RentalSentence(const Index& index, const std::vector<const Rental*>& rentals,
                           int offers_allowed) {
  std::map<std::int32_t, int> instances;
  std::size_t pods = 0;
  Money total;
  Duration boot{0}, run{0};
  for (const Rental* rental : rentals) {
    ++instances[rental->offer];
    pods += rental->pods.size();
    total += rental->forecast.total;
    boot = std::max(boot, rental->forecast.boot);
    run = std::max(run, rental->forecast.run);
  }
  std::string what;
  for (const auto& [offer, count] : instances) {
    if (!what.empty()) what += ", ";
    if (count > 1) what += fmt::format("{} x ", count);
    what += index.offers[static_cast<std::size_t>(offer)].key;
  }
  return fmt::format(
      "rents {} for about {} ({} pod{}, {} boot, {} run): cheapest of {} allowed "
      "offer{}",
      what, HumanMoney(total), pods, pods == 1 ? "" : "s", HumanDuration(boot), HumanDuration(run),
      offers_allowed, offers_allowed == 1 ? "" : "s");
}

}  // namespace spillway::plan
