#include "plan/planner.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "plan/home.h"
#include "plan/pool.h"
#include "plan/report.h"
#include "plan/wait.h"

namespace spillway::plan {
namespace {

class Planner {
 public:
  Planner(const Snapshot& snapshot, const Options& options)
      : index_(snapshot, options),
        snapshot_(snapshot),
        ground_(snapshot),
        site_(snapshot, ground_),
        market_(index_, ground_),
        maker_(index_) {}

  Plan Run() {
    cases_ = OrderCases(index_);
    thoughts_.resize(cases_.size());
    SettleAtHome(index_, ground_, site_, cases_, plan_.admissions);
    EstimateStarts();
    for (std::size_t i = 0; i < cases_.size(); ++i) WaitOrClaim(i);
    const Limits first = FirstLimits();
    std::vector<UnitResult> results;
    Rent(results);
    Reporter reporter(market_, maker_, first, units_, results, plan_);
    for (std::size_t i = 0; i < cases_.size(); ++i)
      plan_.decisions.push_back(reporter.Decide(cases_[i], thoughts_[i]));
    return std::move(plan_);
  }

 private:
  const Workload& WorkloadOf(const Case& one) const {
    return snapshot_.workloads[static_cast<std::size_t>(one.workload)];
  }
  Limits FirstLimits() const {
    Limits limits;
    for (std::size_t i = 0; i < snapshot_.policies.size(); ++i)
      limits.policies.push_back(market_.PolicyLeft(static_cast<int>(i)));
    limits.accounts = market_.AccountsLeft();
    return limits;
  }
  bool MayLeaveNow(const Case& one) const {
    return one.refusal.reason == Reason::kNone && one.judged;
  }

  // Who will not wait takes none of the room that the site is going to have.
  void EstimateStarts() {
    std::vector<Waiter> waiters;
    bool somebody_asks = false;
    for (const Case& one : cases_) {
      if (one.homeless.empty()) continue;
      const bool leaves = MayLeaveNow(one);
      if (leaves && WaitsUntil(snapshot_, one) <= snapshot_.now) continue;
      somebody_asks |= leaves;
      waiters.push_back({WorkloadOf(one).gang, one.homeless});
    }
    if (somebody_asks)
      starts_ = ExpectedStarts(snapshot_, site_, waiters);
    else
      starts_.resize(snapshot_.pods.size());
  }

  // Sorts the homeless pods of a case into those that wait for the site and claims.
  void WaitOrClaim(std::size_t at) {
    const Case& one = cases_[at];
    if (one.homeless.empty() || !MayLeaveNow(one)) return;
    Thought& thought = thoughts_[at];
    const bool may_wait = WaitsUntil(snapshot_, one) > snapshot_.now;
    std::vector<std::int32_t> leaving;
    bool all_known = may_wait;
    std::optional<Time> last;
    for (const std::int32_t pod : one.homeless) {
      const std::optional<Time>& start = starts_[static_cast<std::size_t>(pod)];
      if (may_wait && start && *start <= WaitsUntil(snapshot_, one)) {
        thought.soon.push_back(pod);
        thought.soon_at = std::max(thought.soon_at.value_or(*start), *start);
        continue;
      }
      leaving.push_back(pod);
      all_known &= start.has_value();
      if (start) last = std::max(last.value_or(*start), *start);
    }
    if (!leaving.empty()) AddClaims(at, leaving, all_known ? last : std::nullopt);
  }

  void AddClaims(std::size_t at, const std::vector<std::int32_t>& pods,
                 std::optional<Time> site_start) {
    const Case& one = cases_[at];
    const Workload& workload = WorkloadOf(one);
    if (workload.gang) {
      units_.push_back({one.policy, true, {Claim{one.workload, at, pods, site_start}}});
      thoughts_[at].claims.emplace_back(units_.size() - 1, 0);
      return;
    }
    for (const std::int32_t pod : pods) {
      const std::int32_t shape = snapshot_.pods[static_cast<std::size_t>(pod)].shape;
      const UnitKey key(workload.ns, one.policy, workload.data_class, workload.priority,
                        index_.demand[static_cast<std::size_t>(shape)]);
      const auto [it, fresh] = unit_by_key_.try_emplace(key, units_.size());
      if (fresh) {
        const PoolKey pool(workload.ns, one.policy, workload.data_class, workload.priority);
        pools_[pool].push_back(units_.size());
        units_.push_back({one.policy, false, {}});
        pool_of_.emplace(it->second, &pools_[pool]);
      }
      std::vector<Claim>& claims = units_[it->second].claims;
      if (claims.empty() || claims.back().workload != one.workload) {
        claims.push_back({one.workload, at, {}, site_start});
        thoughts_[at].claims.emplace_back(it->second, claims.size() - 1);
      }
      claims.back().pods.push_back(pod);
    }
  }

  // In the order of the units; those of one pool together when the first of them comes.
  void Rent(std::vector<UnitResult>& results) {
    std::vector<Unit> rest = units_;
    results.resize(units_.size());
    for (std::size_t i = 0; i < rest.size(); ++i) {
      if (!results[i].together) results[i] = NothingRented(market_, units_[i]);
      if (const auto pool = pool_of_.find(i); pool != pool_of_.end() && pool->second->front() == i)
        RentTogether(market_, maker_, *pool->second, rest, results, plan_);
      results[i] = RentFor(market_, maker_, rest[i], std::move(results[i]), plan_);
    }
  }

  using PoolKey = std::tuple<std::string, int, DataClass, int>;
  using UnitKey = std::tuple<std::string, int, DataClass, int, int>;

  const Index index_;
  const Snapshot& snapshot_;
  Placement ground_;
  SiteRoom site_;
  Market market_;
  ItemMaker maker_;
  Plan plan_;
  std::vector<Case> cases_;
  std::vector<Thought> thoughts_;            // as cases_
  std::vector<std::optional<Time>> starts_;  // by pod
  std::vector<Unit> units_;
  std::map<UnitKey, std::size_t> unit_by_key_;
  std::map<PoolKey, std::vector<std::size_t>> pools_;  // units that may share instances
  std::map<std::size_t, const std::vector<std::size_t>*> pool_of_;  // by unit; no gangs
};

}  // namespace

Plan MakePlan(const Snapshot& snapshot, const Options& options) {
  return Planner(snapshot, options).Run();
}

}  // namespace spillway::plan
