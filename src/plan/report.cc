#include "plan/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "plan/explain.h"

namespace spillway::plan {

Time WaitsUntil(const Snapshot& snapshot, const Case& one) {
  const Workload& workload = snapshot.workloads[static_cast<std::size_t>(one.workload)];
  return workload.waiting_since.value_or(snapshot.now) +
         snapshot.policies[static_cast<std::size_t>(one.policy)].wait_at_most;
}

Decision Reporter::Decide(const Case& one, const Thought& thought) {
  const std::string& incomplete =
      snapshot_.workloads[static_cast<std::size_t>(one.workload)].incomplete;
  Decision decision;
  decision.workload = one.workload;
  if (!one.homeless.empty() && one.refusal.reason != Reason::kNone) {
    decision.verdict = Verdict::kRefuse;
    decision.reason = one.refusal.reason;
    decision.sentence = "waits for the site: " + one.refusal.because;
    decision.explanation = ExplainedNone(Name(decision.reason));
  } else if (!incomplete.empty() && one.away.empty()) {
    decision.reason = Reason::kIncomplete;
    decision.sentence = "waits " + incomplete;
    decision.explanation = ExplainedNone(Name(decision.reason));
  } else if (!one.homeless.empty() && !one.judged) {
    decision.sentence = "waits for the scheduler's verdict on its pods";
    decision.explanation = Explained(one, decision, "no verdict yet", 0);
  } else if (!thought.claims.empty()) {
    DecideClaims(one, thought, decision);
  } else if (!thought.soon.empty()) {
    decision.reason = Reason::kSiteSoon;
    DecideSoon(thought, decision);
    decision.explanation = Explained(one, decision, Name(decision.reason), 0);
  } else {
    DecideAtHome(one, decision);
  }
  return decision;
}

// What all claims of a case came to.
Outcome Reporter::Merged(const Thought& thought) const {
  Outcome merged;
  for (const auto& [unit, claim] : thought.claims) {
    const Outcome& outcome = results_[unit].outcomes[claim];
    merged.pods_rented += outcome.pods_rented;
    merged.rentals.insert(merged.rentals.end(), outcome.rentals.begin(), outcome.rentals.end());
    merged.estimate += outcome.estimate;
    if (merged.reason != Reason::kNone || outcome.reason == Reason::kNone) continue;
    merged.reason = outcome.reason;
    merged.because = outcome.because;
    merged.until = outcome.until;
    merged.missing = outcome.missing;
    merged.budget = outcome.budget;
  }
  return merged;
}

void Reporter::DecideSoon(const Thought& thought, Decision& decision) const {
  decision.until = thought.soon_at;
  decision.sentence =
      fmt::format("waits: the site is expected to have room in {}, at {}",
                  HumanDuration(*thought.soon_at - snapshot_.now), FormatTime(*thought.soon_at));
}

void Reporter::DecideClaims(const Case& one, const Thought& thought, Decision& decision) {
  const Outcome outcome = Merged(thought);
  std::size_t unit = thought.claims.front().first;
  // Different pods of one workload may be in different units: what was rented is explained.
  for (const auto& [other, claim] : thought.claims)
    if (results_[other].outcomes[claim].pods_rented > 0) {
      unit = other;
      break;
    }
  decision.reason = outcome.reason;
  decision.until = outcome.until;
  decision.missing = outcome.missing;
  decision.rentals = outcome.rentals;
  if (outcome.pods_rented == 0) {
    if (outcome.reason == Reason::kCheaperToWait)
      decision.until = std::min(*outcome.until, WaitsUntil(snapshot_, one));
    decision.verdict = NoRental(outcome);
    decision.sentence =
        (decision.verdict == Verdict::kRefuse ? "waits for the site: " : "waits: ") +
        outcome.because;
    decision.explanation = Explained(one, decision, Name(decision.reason), unit + 1);
    return;
  }
  decision.verdict = Verdict::kRent;
  decision.estimate = outcome.estimate;
  decision.sentence = SentenceFor(decision.rentals, results_[unit].offers_allowed);
  const int rest = static_cast<int>(one.homeless.size()) - outcome.pods_rented;
  if (rest > 0) {
    const std::string why = outcome.reason != Reason::kNone
                                ? outcome.because
                                : "the site is expected to have room soon";
    decision.sentence +=
        fmt::format("; {} more pod{}: {}", rest, rest == 1 ? " waits" : "s wait", why);
  }
  decision.explanation = ExplainedRental(unit);
}

Verdict Reporter::NoRental(const Outcome& outcome) const {
  switch (outcome.reason) {
    case Reason::kNoOfferAllowed:
    case Reason::kNoOfferFits:
      return Verdict::kRefuse;
    case Reason::kBudget:
      return snapshot_.budgets[static_cast<std::size_t>(outcome.budget)].on_exhausted ==
                     OnExhausted::kRefuse
                 ? Verdict::kRefuse
                 : Verdict::kWait;
    default:
      return Verdict::kWait;
  }
}

void Reporter::DecideAtHome(const Case& one, Decision& decision) {
  if (one.over_quota > 0) {
    decision.reason = Reason::kQuota;
    decision.sentence =
        fmt::format("waits: the ResourceQuota of namespace {} has no room for {} pod{}",
                    snapshot_.workloads[static_cast<std::size_t>(one.workload)].ns, one.over_quota,
                    one.over_quota == 1 ? "" : "s");
    decision.explanation = ExplainedNone(Name(decision.reason));
  } else if (!one.away.empty()) {
    decision.verdict = Verdict::kOnItsWay;
    const BurstNode& node =
        snapshot_.burst_nodes[static_cast<std::size_t>(one.burst_nodes.front())];
    decision.burst_node = node.name;
    decision.sentence = fmt::format("BurstNode {} ({}) is {} for it", node.name, node.offer.Key(),
                                    node.phase == Phase::kRunning ? "there" : "on its way");
    decision.explanation = ExplainedBurstNodes(one);
  } else {
    decision.verdict = Verdict::kFitsSite;
    decision.sentence = "fits the site: the scheduler will place it";
    decision.explanation = ExplainedNone(Name(decision.verdict));
  }
}

// The same sentence for all workloads that share the same rentals.
const std::string& Reporter::SentenceFor(const std::vector<std::int32_t>& rentals,
                                         int offers_allowed) {
  if (rentals == sentence_rentals_ && !sentence_.empty()) return sentence_;
  std::vector<const Rental*> list;
  for (const std::int32_t rental : rentals)
    list.push_back(&plan_.rentals[static_cast<std::size_t>(rental)]);
  sentence_ = RentalSentence(index_, list, offers_allowed);
  sentence_rentals_ = rentals;
  return sentence_;
}

std::int32_t Reporter::AddExplanation(Explanation explanation) {
  plan_.explanations.push_back(std::move(explanation));
  return static_cast<std::int32_t>(plan_.explanations.size()) - 1;
}

std::int32_t Reporter::ExplainedNone(std::string_view because) {
  const auto [it, fresh] = explained_none_.try_emplace(std::string(because), -1);
  if (fresh) it->second = AddExplanation(ExplainNone(index_, because));
  return it->second;
}

std::vector<Item> Reporter::ItemsOf(const std::vector<std::int32_t>& pods, int policy) {
  std::vector<Item> items;
  for (const std::int32_t pod : pods) items.push_back(maker_.Make(pod, policy));
  SortForPacking(index_, items);
  return items;
}

// Shared by equal workloads: those with the same kinds of pods, policy, reason and limits.
// `limits` is the unit + 1 before which the limits are meant, 0: before anything was rented.
std::int32_t Reporter::Explained(const Case& one, const Decision& decision,
                                 std::string_view not_rented, std::size_t limits) {
  Question question;
  question.policy = one.policy;
  question.items = ItemsOf(one.homeless, one.policy);
  question.not_rented = not_rented;
  std::vector<int> kinds;
  for (const Item& item : question.items) kinds.push_back(item.kind);
  const auto [it, fresh] = explained_.try_emplace(
      {one.policy, decision.reason, limits, std::vector<std::int32_t>(), std::move(kinds)}, -1);
  if (!fresh) return it->second;
  question.policy_left = limits == 0 ? first_.policies[static_cast<std::size_t>(one.policy)]
                                     : results_[limits - 1].policy_left;
  question.accounts_left = limits == 0 ? first_.accounts : results_[limits - 1].accounts_left;
  it->second = AddExplanation(ExplainOffers(market_, question));
  return it->second;
}

// One explanation for everything that was rented for a unit, and for those together with it.
std::int32_t Reporter::ExplainedRental(std::size_t unit) {
  if (const auto& first = results_[unit].together) unit = *first;
  const auto [it, fresh] = explained_rentals_.try_emplace(unit, -1);
  if (!fresh) return it->second;
  Question question;
  question.policy = units_[unit].policy;
  std::set<std::int32_t> rentals;
  for (std::size_t i = unit; i < results_.size(); ++i) {
    const UnitResult& result = results_[i];
    if (i != unit && result.together != unit) continue;
    question.items.insert(question.items.end(), result.rented.begin(), result.rented.end());
    for (const Outcome& outcome : result.outcomes)
      rentals.insert(outcome.rentals.begin(), outcome.rentals.end());
  }
  SortForPacking(index_, question.items);
  for (const std::int32_t rental : rentals) {
    const Rental& taken = plan_.rentals[static_cast<std::size_t>(rental)];
    question.chosen[taken.offer] += taken.forecast.WithTries();
  }
  question.mixed = results_[unit].together.has_value();
  question.policy_left = results_[unit].policy_left;
  question.accounts_left = results_[unit].accounts_left;
  it->second = AddExplanation(ExplainOffers(market_, question));
  return it->second;
}

// For pods on their way: what was taken is chosen, everything else as it is now.
std::int32_t Reporter::ExplainedBurstNodes(const Case& one) {
  if (one.policy < 0) return ExplainedNone(Name(Verdict::kOnItsWay));
  Question question;
  question.policy = one.policy;
  question.items = ItemsOf(one.away, one.policy);
  question.not_rented = Name(Verdict::kOnItsWay);
  std::vector<int> kinds;
  for (const Item& item : question.items) kinds.push_back(item.kind);
  const auto [it, fresh] = explained_.try_emplace(
      {one.policy, Reason::kNone, ~std::size_t{0}, one.burst_nodes, std::move(kinds)}, -1);
  if (!fresh) return it->second;
  for (const std::int32_t at : one.burst_nodes) {
    const BurstNode& node = snapshot_.burst_nodes[static_cast<std::size_t>(at)];
    const std::string key = node.offer.Key();
    const auto offer = std::find_if(index_.offers.begin(), index_.offers.end(),
                                    [&](const OfferInfo& info) { return info.key == key; });
    if (offer != index_.offers.end())
      question.chosen[static_cast<std::int32_t>(offer - index_.offers.begin())] +=
          node.forecast.WithTries();
  }
  question.policy_left = first_.policies[static_cast<std::size_t>(one.policy)];
  question.accounts_left = first_.accounts;
  it->second = AddExplanation(ExplainOffers(market_, question));
  return it->second;
}

}  // namespace spillway::plan
