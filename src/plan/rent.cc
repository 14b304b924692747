#include "plan/rent.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <set>

#include "plan/pack.h"

namespace spillway::plan {
namespace {

// Pods that are packed at once; more are packed one lot after the other.
constexpr std::size_t kLot = 128;
// Times that claims which rather wait are taken out before the rest is rented for anyway.
constexpr int kMaxSecondThoughts = 8;

// Instances for some items, not rented yet.
struct Draft {
  std::vector<Rental> rentals;
  std::vector<Item> items;  // in packing order
  Money worst_case;
};

// Why a draft is not possible.
struct Obstacle {
  Reason reason = Reason::kNone;
  Money missing;
};

// One call of RentFor.
class Renter {
 public:
  Renter(Market& market, ItemMaker& maker, const Unit& unit, Plan& plan)
      : market_(market),
        index_(market.index),
        unit_(unit),
        policy_(index_.snapshot.policies[static_cast<std::size_t>(unit.policy)]),
        plan_(plan) {
    result_.outcomes.resize(unit.claims.size());
    for (std::size_t claim = 0; claim < unit.claims.size(); ++claim) {
      for (const std::int32_t pod : unit.claims[claim].pods) {
        queue_.push_back({maker.Make(pod, unit.policy), claim});
        shapes_.insert(queue_.back().item.shape);
      }
    }
    ns_ = index_.snapshot.workloads[static_cast<std::size_t>(unit.claims.front().workload)].ns;
    result_.policy_left = market.PolicyLeft(unit.policy);
    result_.accounts_left = market.AccountsLeft();
    JudgeOffers();
  }

  UnitResult Run() {
    if (choices_.empty()) {
      Block(WhyNoOffer());
      return std::move(result_);
    }
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

  void JudgeOffers() {
    for (std::size_t i = 0; i < index_.offers.size(); ++i) {
      const auto offer = static_cast<std::int32_t>(i);
      const Objection* first = nullptr;
      bool some_shape_fits = false;
      for (const std::int32_t shape : shapes_) {
        const Objection& objection =
            market_.Judge(unit_.policy, shape, offer, result_.accounts_left);
        if (objection.reason == OfferReason::kChosen) some_shape_fits = true;
        if (first == nullptr ||
            (first->reason == OfferReason::kChosen && objection.reason != OfferReason::kChosen))
          first = &objection;
      }
      // An offer that takes a part of a gang is allowed.
      objections_.push_back(some_shape_fits ? OfferReason::kChosen : first->reason);
      if (some_shape_fits) choices_.push_back(offer);
    }
    result_.offers_allowed = static_cast<int>(choices_.size());
  }

  // Rents for the first pods of the queue; false: nothing more can be done, and the rest of the
  // queue was told why.
  bool RentLot() {
    const std::size_t lot = unit_.gang ? queue_.size() : std::min(queue_.size(), kLot);
    Obstacle obstacle;
    for (int thought = 0;; ++thought) {
      std::optional<Draft> draft;
      const std::size_t most = LargestDraft(std::min(lot, queue_.size()), draft, obstacle);
      if (most == 0) {
        Tell(obstacle);
        return false;
      }
      if (thought < kMaxSecondThoughts && DropCheaperToWait(*draft, most)) {
        if (queue_.empty()) return false;
        continue;
      }
      Accept(std::move(*draft), most);
      if (obstacle.reason == Reason::kNone) return true;
      Tell(obstacle);
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
    SortForPacking(index_, draft.items);
    if (TooManyForInstances(draft.items) || !PackInto(draft)) {
      const bool for_good = unit_.gang && !SomeLimitInUse();
      obstacle = {for_good ? Reason::kNoOfferFits : Reason::kNodeLimit, Money()};
      return std::nullopt;
    }
    const Money missing = market_.purse.Missing(ns_, draft.worst_case);
    if (missing > Money()) {
      obstacle = {Reason::kBudget, missing};
      return std::nullopt;
    }
    obstacle = {};
    return draft;
  }

  // Whether there would be room for more instances if none ran now.
  bool SomeLimitInUse() const {
    if (market_.PolicyLeft(unit_.policy) < policy_.max_nodes) return true;
    const std::vector<ProviderAccount>& accounts = index_.snapshot.accounts;
    for (std::size_t i = 0; i < accounts.size(); ++i)
      if (accounts[i].max_nodes > 0 && market_.AccountsLeft()[i] < accounts[i].max_nodes)
        return true;
    return false;
  }

  // A bound that saves the search: GPUs asked for against GPUs of the most instances.
  bool TooManyForInstances(const std::vector<Item>& items) const {
    std::int64_t wanted = 0, largest = 0;
    for (const Item& item : items) wanted += Shape(item.shape).requests.gpus;
    for (const std::int32_t offer : choices_)
      largest = std::max(largest, OfferAt(offer).allocatable.gpus);
    return wanted > largest * market_.PolicyLeft(unit_.policy);
  }

  bool PackInto(Draft& draft) {
    std::optional<Packing> best;
    std::vector<std::int32_t> best_choices;
    if (!unit_.gang) {
      best = PackOn(draft.items, choices_);
      best_choices = choices_;
    } else {
      // A gang stays in one region: its pods talk to each other.
      std::vector<std::vector<std::int32_t>> by_place(static_cast<std::size_t>(index_.places));
      for (const std::int32_t offer : choices_)
        by_place[static_cast<std::size_t>(Info(offer).place)].push_back(offer);
      for (const std::vector<std::int32_t>& choices : by_place) {
        if (choices.empty()) continue;
        std::optional<Packing> packing = PackOn(draft.items, choices);
        if (!packing || (best && std::pair(packing->cost, packing->instances.size()) >=
                                     std::pair(best->cost, best->instances.size())))
          continue;
        best = std::move(packing);
        best_choices = choices;
      }
    }
    if (!best) return false;
    for (const Packed& packed : best->instances)
      AddRental(draft, packed, best_choices[static_cast<std::size_t>(packed.choice)]);
    return true;
  }

  std::optional<Packing> PackOn(const std::vector<Item>& items,
                                const std::vector<std::int32_t>& offers) {
    PackProblem problem;
    for (const Item& item : items) problem.kinds.push_back(item.kind);
    for (const std::int32_t offer : offers) problem.accounts.push_back(Info(offer).account);
    problem.account_limits = market_.AccountsLeft();
    problem.max_instances = market_.PolicyLeft(unit_.policy);
    problem.max_items_per_instance = index_.options.max_pods_per_rental;
    problem.cost = [&](int first, int count, const std::vector<int>& choices,
                       std::vector<std::int64_t>& costs) {
      const Bundle bundle = BundleOf(index_, items, first, count);
      std::set<std::int32_t> shapes;
      for (int i = first; i < first + count; ++i)
        shapes.insert(items[static_cast<std::size_t>(i)].shape);
      std::vector<std::int64_t>& totals = market_.Totals(unit_.policy, bundle.load);
      for (std::size_t i = 0; i < choices.size(); ++i) {
        const std::int32_t offer = offers[static_cast<std::size_t>(choices[i])];
        if (OfferAt(offer).allocatable.Covers(bundle.requests) && AllFit(shapes, offer))
          costs[i] = market_.TotalOf(totals, unit_.policy, bundle.load, offer);
      }
    };
    return Pack(problem);
  }

  bool AllFit(const std::set<std::int32_t>& shapes, std::int32_t offer) {
    if (shapes_.size() == 1) return true;  // choices were judged for it
    return std::all_of(shapes.begin(), shapes.end(), [&](std::int32_t shape) {
      return market_.Judge(unit_.policy, shape, offer, market_.AccountsLeft()).reason ==
             OfferReason::kChosen;
    });
  }

  void AddRental(Draft& draft, const Packed& packed, std::int32_t offer) {
    const Load load = BundleOf(index_, draft.items, packed.first, packed.count).load;
    Rental& rental = draft.rentals.emplace_back();
    rental.offer = offer;
    rental.policy = unit_.policy;
    rental.ns = ns_;
    for (int i = packed.first; i < packed.first + packed.count; ++i)
      rental.pods.push_back(draft.items[static_cast<std::size_t>(i)].pod);
    rental.forecast = MakeForecast(index_, policy_, offer, load);
    rental.deadlines = MakeDeadlines(index_, policy_, offer, load);
    draft.worst_case += rental.forecast.worst_case;
  }

  // The claim's share of what the draft costs; rounded up.
  Money Share(const Draft& draft, std::size_t claim) const {
    Money share;
    for (const Rental& rental : draft.rentals) {
      const auto own = std::count_if(rental.pods.begin(), rental.pods.end(), [&](std::int32_t pod) {
        return index_.snapshot.pods[static_cast<std::size_t>(pod)].workload ==
               unit_.claims[claim].workload;
      });
      const auto all = static_cast<std::int64_t>(rental.pods.size());
      share += Money::Micro((rental.forecast.total.micro() * own + all - 1) / all);
    }
    return share;
  }

  // Takes out of the queue the claims for which waiting costs less than their share; true: there
  // were some.
  bool DropCheaperToWait(const Draft& draft, std::size_t count) {
    if (!policy_.hour_is_worth) return false;
    std::set<std::size_t> claims, drop;
    for (std::size_t i = 0; i < count; ++i) claims.insert(queue_[i].claim);
    for (const std::size_t claim : claims) {
      const std::optional<Time> start = unit_.claims[claim].site_start;
      if (!start) continue;
      const Money waiting = CostCeil(*policy_.hour_is_worth, *start - index_.snapshot.now);
      const Money renting = Share(draft, claim);
      if (waiting >= renting) continue;
      drop.insert(claim);
      Outcome& outcome = result_.outcomes[claim];
      outcome.reason = Reason::kCheaperToWait;
      outcome.because =
          fmt::format("the site is expected to have room at {}; waiting costs {}, renting {}",
                      FormatTime(*start), HumanMoney(waiting), HumanMoney(renting));
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
      outcome.estimate += Share(draft, claim);
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
      market_.Rent(unit_.policy, rental.offer, ns_, rental.forecast.worst_case);
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
    for (const Queued& queued : queue_) {
      Outcome& outcome = result_.outcomes[queued.claim];
      outcome.reason = why.reason;
      outcome.because = why.because;
      outcome.until = why.until;
      outcome.missing = why.missing;
      outcome.budget = why.budget;
    }
    queue_.clear();
  }

  // Tells the rest of the queue what stands against it.
  void Tell(const Obstacle& obstacle) {
    Outcome why;
    why.reason = obstacle.reason;
    if (obstacle.reason == Reason::kBudget) return TellBudget();
    if (obstacle.reason == Reason::kNoOfferFits)
      why.because = fmt::format("no region has instances for all {} pods at once", queue_.size());
    else if (market_.PolicyLeft(unit_.policy) == 0 || unit_.gang)
      why.because = fmt::format("BurstPolicy {} has room for {} of {} nodes", policy_.name,
                                market_.PolicyLeft(unit_.policy), policy_.max_nodes);
    else
      why.because = fmt::format(
          "no more nodes within nodes.max of BurstPolicy {} and limits.nodes "
          "of the providers",
          policy_.name);
    Block(why);
  }

  // Each claim is told what its own rental lacks, after everything that was rented before it.
  void TellBudget() {
    const int budget = market_.purse.Tightest(ns_);
    const BudgetState& state = index_.snapshot.budgets[static_cast<std::size_t>(budget)];
    std::map<std::vector<int>, Outcome> known;  // by kinds of the claim's items
    while (!queue_.empty()) {
      const std::size_t claim = queue_.front().claim;
      Draft draft;
      std::vector<int> kinds;
      for (const Queued& queued : queue_) {
        if (queued.claim != claim) break;
        draft.items.push_back(queued.item);
        kinds.push_back(queued.item.kind);
      }
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(kinds.size()));
      const auto [it, fresh] = known.try_emplace(std::move(kinds));
      if (fresh) it->second = BudgetOutcome(draft, budget, state);
      Outcome& outcome = result_.outcomes[claim];
      const Outcome& why = it->second;
      outcome.reason = why.reason;
      outcome.because = why.because;
      outcome.missing = why.missing;
      outcome.budget = why.budget;
      outcome.until = why.until;
    }
  }

  Outcome BudgetOutcome(Draft& draft, int budget, const BudgetState& state) {
    Outcome outcome;
    outcome.reason = Reason::kBudget;
    outcome.budget = budget;
    if (state.period_ends > index_.snapshot.now) outcome.until = state.period_ends;
    SortForPacking(index_, draft.items);
    // Where the limits leave no room for all its pods, the sum is that of the first one.
    if (!PackInto(draft)) {
      draft.items.resize(1);
      draft.rentals.clear();
      if (!PackInto(draft)) {
        outcome.because = fmt::format("Budget {} has {} left", state.name,
                                      HumanMoney(market_.purse.Left(budget)));
        return outcome;
      }
    }
    const Money missing = market_.purse.Missing(ns_, draft.worst_case);
    outcome.missing = missing;
    outcome.because =
        missing > Money()
            ? fmt::format("Budget {} has {} left of {}; the rental may cost up to {}: {} missing",
                          state.name, HumanMoney(market_.purse.Left(budget)),
                          HumanMoney(state.amount), HumanMoney(draft.worst_case),
                          HumanMoney(missing))
            : fmt::format("Budget {} has {} left, which others before it may need", state.name,
                          HumanMoney(market_.purse.Left(budget)));
    return outcome;
  }

  Outcome WhyNoOffer() const {
    int by_rule = 0, by_fit = 0, full = 0, resting = 0;
    std::optional<Time> until;
    for (std::size_t i = 0; i < objections_.size(); ++i) {
      const OfferReason reason = objections_[i];
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
          "none of {} allowed offers is large enough and has the labels it "
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

  const OfferInfo& Info(std::int32_t offer) const {
    return index_.offers[static_cast<std::size_t>(offer)];
  }
  const Offer& OfferAt(std::int32_t offer) const {
    return index_.snapshot.offers[static_cast<std::size_t>(offer)];
  }
  const PodShape& Shape(std::int32_t shape) const {
    return index_.snapshot.shapes[static_cast<std::size_t>(shape)];
  }

  Market& market_;
  const Index& index_;
  const Unit& unit_;
  const Policy& policy_;
  Plan& plan_;
  std::string ns_;
  std::deque<Queued> queue_;             // pods that nothing was decided for, in decision order
  std::set<std::int32_t> shapes_;        // of all pods
  std::vector<std::int32_t> choices_;    // allowed offers
  std::vector<OfferReason> objections_;  // by offer, kChosen: allowed
  UnitResult result_;
};

}  // namespace

UnitResult RentFor(Market& market, ItemMaker& maker, const Unit& unit, Plan& plan) {
  return Renter(market, maker, unit, plan).Run();
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
