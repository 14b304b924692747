#include "plan/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace spillway::plan {
namespace {

// All items put on instances of one offer.
struct Alone {
  std::int64_t total = 0;
  int instances = 0;
};

// One call of ExplainOffers.
class Explainer {
 public:
  Explainer(Market& market, const Question& question)
      : market_(market),
        index_(market.index),
        question_(question),
        policy_(index_.snapshot.policies[static_cast<std::size_t>(question.policy)]) {
    for (const Item& item : question.items) AddShape(item.shape);
    for (const auto& [offer, total] : question.chosen) chosen_total_ += total.micro();
  }

  Explanation Run() {
    std::vector<std::int32_t> allowed;
    for (std::size_t i = 0; i < index_.offers.size(); ++i) {
      const auto offer = static_cast<std::int32_t>(i);
      if (const auto it = question_.chosen.find(offer); it != question_.chosen.end()) {
        entries_.push_back({0, it->second.micro(), offer, nullptr, 0});
        continue;
      }
      const Objection& objection = FirstObjection(offer);
      if (objection.reason == OfferReason::kChosen)
        allowed.push_back(offer);
      else
        entries_.push_back({RankOf(objection.reason), 0, offer, &objection, 0});
    }
    Price(allowed);
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.rank, a.total, a.offer) < std::tie(b.rank, b.total, b.offer);
    });
    Explanation explanation;
    explanation.offers.reserve(entries_.size());
    for (const Entry& entry : entries_) explanation.offers.push_back(VerdictOn(entry));
    return explanation;
  }

 private:
  // A verdict before its words: sorted as numbers.
  struct Entry {
    int rank = 0;  // 0: chosen, 1: allowed but not taken, then the rules in their order
    std::int64_t total = 0;
    std::int32_t offer = 0;
    const Objection* objection = nullptr;  // of a rule
    int instances = 0;                     // alone, of an allowed offer
  };

  // What was rented has changed how other pods stand: then a shape that asks for no more than
  // another one, and the same of a node otherwise, is not judged for itself.
  void AddShape(std::int32_t shape) {
    if (question_.chosen.empty()) {
      shapes_.insert(shape);
      return;
    }
    if (!footprints_.insert(index_.footprint[static_cast<std::size_t>(shape)]).second) return;
    auto covers = [&](std::int32_t a, std::int32_t b) {
      const std::vector<PodShape>& all = index_.snapshot.shapes;
      return index_.node_demand[static_cast<std::size_t>(a)] ==
                 index_.node_demand[static_cast<std::size_t>(b)] &&
             all[static_cast<std::size_t>(a)].requests.Covers(
                 all[static_cast<std::size_t>(b)].requests);
    };
    if (std::any_of(shapes_.begin(), shapes_.end(),
                    [&](std::int32_t other) { return covers(other, shape); }))
      return;
    std::erase_if(shapes_, [&](std::int32_t other) { return covers(shape, other); });
    shapes_.insert(shape);
  }

  static int RankOf(OfferReason rule) { return 1 + static_cast<int>(rule); }

  const Objection& FirstObjection(std::int32_t offer) {
    const Objection* first = nullptr;
    for (const std::int32_t shape : shapes_) {
      first = &market_.Judge(question_.policy, shape, offer, question_.accounts_left);
      if (first->reason == OfferReason::kChosen && question_.chosen.empty())
        first = &market_.JudgeByPods(shape, offer);
      if (first->reason != OfferReason::kChosen) break;
    }
    return *first;
  }

  void Price(const std::vector<std::int32_t>& allowed) {
    const bool uniform =
        std::all_of(question_.items.begin(), question_.items.end(),
                    [&](const Item& item) { return item.kind == question_.items.front().kind; });
    const std::vector<Alone> alone = uniform ? PriceUniform(allowed) : PriceMixed(allowed);
    for (std::size_t i = 0; i < allowed.size(); ++i) {
      const int rank = question_.chosen.empty() ? 1
                       : alone[i].instances > AccountLeft(allowed[i])
                           ? RankOf(OfferReason::kProviderFull)
                       : alone[i].instances > question_.policy_left ? RankOf(OfferReason::kTooSmall)
                                                                    : 1;
      entries_.push_back({rank, alone[i].total, allowed[i], nullptr, alone[i].instances});
    }
  }

  OfferVerdict VerdictOn(const Entry& entry) const {
    if (entry.objection != nullptr)
      return {entry.offer, entry.objection->reason, entry.objection->detail, std::nullopt};
    OfferVerdict verdict{entry.offer, OfferReason::kChosen, "", Money::Micro(entry.total)};
    if (entry.rank == 0) return verdict;
    if (question_.chosen.empty()) {
      verdict.reason = OfferReason::kNotRented;
      verdict.detail = question_.not_rented;
    } else if (entry.rank == RankOf(OfferReason::kProviderFull)) {
      verdict.reason = OfferReason::kProviderFull;
      verdict.detail = fmt::format("{} needed, limits.nodes leaves {}", entry.instances,
                                   AccountLeft(entry.offer));
    } else if (entry.rank == RankOf(OfferReason::kTooSmall)) {
      verdict.reason = OfferReason::kTooSmall;
      verdict.detail =
          fmt::format("{} needed, nodes.max leaves {}", entry.instances, question_.policy_left);
    } else {
      verdict.reason = OfferReason::kCostsMore;
      if (question_.mixed && entry.total < chosen_total_) {
        verdict.total.reset();
        verdict.detail = "not part of the cheapest mix that was found";
        return verdict;
      }
      if (entry.instances > 1) verdict.detail = fmt::format("{} instances", entry.instances);
    }
    return verdict;
  }

  int AccountLeft(std::int32_t offer) const {
    const int account = index_.offers[static_cast<std::size_t>(offer)].account;
    return question_.accounts_left[static_cast<std::size_t>(account)];
  }

  int Most() const {
    return std::min(static_cast<int>(question_.items.size()), index_.options.max_pods_per_rental);
  }

  const OfferTimes& TimesOf(std::int32_t offer) const {
    return index_.offers[static_cast<std::size_t>(offer)].times;
  }

  const Resources& RoomOf(std::int32_t offer) const {
    return index_.offers[static_cast<std::size_t>(offer)].node.allocatable;
  }

  // Items of one kind: full instances and one for the rest. Offers that take equally many are
  // priced together.
  std::vector<Alone> PriceUniform(const std::vector<std::int32_t>& allowed) {
    const int items = static_cast<int>(question_.items.size());
    std::vector<Bundle> bundles;  // of 1, 2, ... items
    for (int count = 1; count <= Most(); ++count) {
      bundles.push_back(BundleOf(index_, question_.items, 0, count));
      if (std::none_of(allowed.begin(), allowed.end(), [&](std::int32_t offer) {
            return RoomOf(offer).Covers(bundles.back().requests);
          }))
        break;
    }
    std::vector<Alone> alone(allowed.size());
    std::map<int, std::vector<std::pair<std::size_t, int>>> wanted;  // count -> (allowed, times)
    for (std::size_t i = 0; i < allowed.size(); ++i) {
      const Resources& room = RoomOf(allowed[i]);
      int full = 1;
      while (full < static_cast<int>(bundles.size()) &&
             room.Covers(bundles[static_cast<std::size_t>(full)].requests))
        ++full;
      wanted[full].emplace_back(i, items / full);
      if (items % full != 0) wanted[items % full].emplace_back(i, 1);
      alone[i].instances = (items + full - 1) / full;
    }
    for (const auto& [count, uses] : wanted) {
      const Load& load = bundles[static_cast<std::size_t>(count - 1)].load;
      std::vector<std::int64_t>& totals = market_.Totals(question_.policy, load);
      for (const auto& [i, times] : uses)
        alone[i].total += times * market_.TotalOf(totals, question_.policy, load, allowed[i]);
    }
    return alone;
  }

  std::vector<Alone> PriceMixed(const std::vector<std::int32_t>& allowed) {
    // The same items cost the same on offers that are alike in these.
    auto less = [&](std::int32_t a, std::int32_t b) {
      const Offer& left = index_.snapshot.offers[static_cast<std::size_t>(a)];
      const Offer& right = index_.snapshot.offers[static_cast<std::size_t>(b)];
      return std::tie(left.price_per_hour, RoomOf(a), left.allocatable, left.catalog, TimesOf(a)) <
             std::tie(right.price_per_hour, RoomOf(b), right.allocatable, right.catalog,
                      TimesOf(b));
    };
    std::map<std::int32_t, Alone, decltype(less)> known(less);
    std::vector<Alone> alone;
    for (const std::int32_t offer : allowed) {
      const auto [it, fresh] = known.try_emplace(offer);
      if (fresh) it->second = MixedOn(offer);
      alone.push_back(it->second);
    }
    return alone;
  }

  Alone MixedOn(std::int32_t offer) {
    Alone result;
    const Resources& room = RoomOf(offer);
    const int items = static_cast<int>(question_.items.size());
    for (int first = 0; first < items;) {
      Resources used;
      int count = 0;
      while (first + count < items && count < index_.options.max_pods_per_rental) {
        used += Requests(first + count);
        if (count > 0 && !room.Covers(used)) break;
        ++count;
      }
      const Load load = BundleOf(index_, question_.items, first, count).load;
      result.total += ExpectedTotal(index_, policy_, offer, load).micro();
      ++result.instances;
      first += count;
    }
    return result;
  }

  const Resources& Requests(int item) const {
    const std::int32_t shape = question_.items[static_cast<std::size_t>(item)].shape;
    return index_.snapshot.shapes[static_cast<std::size_t>(shape)].requests;
  }

  Market& market_;
  const Index& index_;
  const Question& question_;
  const Policy& policy_;
  std::set<std::int32_t> shapes_;
  std::set<int> footprints_;
  std::int64_t chosen_total_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace

Explanation ExplainOffers(Market& market, const Question& question) {
  SPW_CHECK(!question.items.empty(), "a question is about at least one pod");
  return Explainer(market, question).Run();
}

Explanation ExplainNone(const Index& index, std::string_view because) {
  Explanation explanation;
  for (std::size_t i = 0; i < index.offers.size(); ++i)
    explanation.offers.push_back({static_cast<std::int32_t>(i), OfferReason::kNotRented,
                                  std::string(because), std::nullopt});
  return explanation;
}

}  // namespace spillway::plan
