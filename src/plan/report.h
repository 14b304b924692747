// Report: turns what was thought and done into one Decision per workload, with the explanation of
// every offer. Equal workloads share one explanation.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "plan/home.h"
#include "plan/rent.h"

namespace spillway::plan {

// What was thought about the homeless pods of a case.
struct Thought {
  std::vector<std::int32_t> soon;                           // those that wait for the site
  std::optional<Time> soon_at;                              // the last of them is expected to start
  std::vector<std::pair<std::size_t, std::size_t>> claims;  // the others: (unit, claim in it)
};

// The moment from which on a case does not wait for the site any more; it has a policy.
Time WaitsUntil(const Snapshot& snapshot, const Case& one);

// How many more instances could be rented before anything was.
struct Limits {
  std::vector<int> policies, accounts;
};

// All arguments must outlive it. Adds explanations to the plan.
class Reporter {
 public:
  Reporter(Market& market, ItemMaker& maker, const Limits& first, const std::vector<Unit>& units,
           const std::vector<UnitResult>& results, Plan& plan)
      : market_(market),
        index_(market.index),
        snapshot_(index_.snapshot),
        maker_(maker),
        first_(first),
        units_(units),
        results_(results),
        plan_(plan) {}

  Decision Decide(const Case& one, const Thought& thought);

 private:
  Outcome Merged(const Thought& thought) const;
  void DecideSoon(const Thought& thought, Decision& decision) const;
  void DecideClaims(const Case& one, const Thought& thought, Decision& decision);
  Verdict NoRental(const Outcome& outcome) const;
  void DecideAtHome(const Case& one, Decision& decision);
  const std::string& SentenceFor(const std::vector<std::int32_t>& rentals, int offers_allowed);

  std::int32_t AddExplanation(Explanation explanation);
  std::int32_t ExplainedNone(std::string_view because);
  std::vector<Item> ItemsOf(const std::vector<std::int32_t>& pods, int policy);
  std::int32_t Explained(const Case& one, const Decision& decision, std::string_view not_rented,
                         std::size_t limits);
  std::int32_t ExplainedRental(std::size_t unit);
  std::int32_t ExplainedBurstNodes(const Case& one);

  // policy, reason, limits, BurstNodes, kinds of the pods
  using ExplainedKey =
      std::tuple<int, Reason, std::size_t, std::vector<std::int32_t>, std::vector<int>>;

  Market& market_;
  const Index& index_;
  const Snapshot& snapshot_;
  ItemMaker& maker_;
  const Limits& first_;
  const std::vector<Unit>& units_;
  const std::vector<UnitResult>& results_;  // as units_
  Plan& plan_;
  std::map<std::string, std::int32_t, std::less<>> explained_none_;
  std::map<ExplainedKey, std::int32_t> explained_;
  std::map<std::size_t, std::int32_t> explained_rentals_;  // by unit
  std::vector<std::int32_t> sentence_rentals_;
  std::string sentence_;
};

}  // namespace spillway::plan
