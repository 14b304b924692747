#include "plan/market.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace spillway::plan {
namespace {

constexpr std::size_t kMaxTotals = 4096;  // remembered rows of prices

}  // namespace

Market::Market(const Index& the_index, Placement& the_ground)
    : index(the_index),
      ground(the_ground),
      purse(the_index.snapshot),
      law_(the_index.snapshot.policies.size()),
      labels_(the_index.snapshot.shapes.size()),
      by_pods_(the_index.snapshot.shapes.size()),
      full_{OfferReason::kProviderFull, "limits.nodes"} {
  const Snapshot& snapshot = index.snapshot;
  for (std::size_t i = 0; i < snapshot.offers.size(); ++i)
    state_.push_back(ByState(index, static_cast<std::int32_t>(i)));

  std::map<std::string_view, int> live_by_policy, live_by_account;
  for (const BurstNode& node : snapshot.burst_nodes) {
    if (!node.HoldsPlace()) continue;
    ++live_by_policy[node.policy];
    ++live_by_account[node.offer.provider];
  }
  for (const Policy& policy : snapshot.policies)
    policy_left_.push_back(std::max(0, policy.max_nodes - live_by_policy[policy.name]));
  for (const ProviderAccount& account : snapshot.accounts) {
    // Something else may use the account, too: the larger count holds.
    const int live = std::max(account.live_nodes, live_by_account[account.name]);
    account_left_.push_back(account.max_nodes == 0 ? std::numeric_limits<int>::max()
                                                   : std::max(0, account.max_nodes - live));
  }
}

const std::vector<Objection>& Market::Law(int policy) {
  std::vector<Objection>& row = law_[static_cast<std::size_t>(policy)];
  if (row.empty())
    for (std::size_t i = 0; i < index.offers.size(); ++i)
      row.push_back(ByLaw(index, index.snapshot.policies[static_cast<std::size_t>(policy)],
                          static_cast<std::int32_t>(i)));
  return row;
}

const std::vector<Objection>& Market::ForLabels(std::int32_t shape) {
  std::vector<Objection>& row =
      labels_[static_cast<std::size_t>(index.node_demand[static_cast<std::size_t>(shape)])];
  if (row.empty())
    for (std::size_t i = 0; i < index.offers.size(); ++i)
      row.push_back(ByLabels(index, shape, static_cast<std::int32_t>(i)));
  return row;
}

const Objection& Market::TooSmall(const std::string& resource) {
  return too_small_.try_emplace(resource, Objection{OfferReason::kTooSmall, resource})
      .first->second;
}

const Objection& Market::Judge(int policy, std::int32_t shape, std::int32_t offer,
                               const std::vector<int>& accounts_left) {
  const auto at = static_cast<std::size_t>(offer);
  const Objection& law = Law(policy)[at];
  if (law.reason != OfferReason::kChosen) return law;
  const Resources& room = index.offers[at].node.allocatable;
  const Resources& wants = index.snapshot.shapes[static_cast<std::size_t>(shape)].requests;
  if (!room.Covers(wants)) return TooSmall(room.FirstShortage(wants));
  const Objection& labels = ForLabels(shape)[at];
  if (labels.reason != OfferReason::kChosen) return labels;
  const Objection& state = state_[at];
  if (state.reason != OfferReason::kChosen) return state;
  // An offer without an account did not get past the law.
  const int account = index.offers[at].account;
  return accounts_left[static_cast<std::size_t>(account)] == 0 ? full_ : state;
}

const Objection& Market::JudgeOffer(int policy, std::int32_t offer) {
  const auto at = static_cast<std::size_t>(offer);
  const Objection& law = Law(policy)[at];
  if (law.reason != OfferReason::kChosen) return law;
  if (state_[at].reason != OfferReason::kChosen) return state_[at];
  const int account = index.offers[at].account;
  return account_left_[static_cast<std::size_t>(account)] == 0 ? full_ : state_[at];
}

const Objection& Market::JudgeByPods(std::int32_t shape, std::int32_t offer) {
  if (!ground.Related(shape)) return none_;
  std::vector<Objection>& row = by_pods_[static_cast<std::size_t>(shape)];
  if (row.empty())
    for (std::size_t i = 0; i < index.offers.size(); ++i)
      row.push_back(ByPods(index, ground, shape, static_cast<std::int32_t>(i)));
  return row[static_cast<std::size_t>(offer)];
}

std::vector<std::int64_t>& Market::Totals(int policy, const Load& load) {
  const std::pair key(policy, load);
  auto it = totals_.find(key);
  if (it == totals_.end()) {
    if (totals_.size() >= kMaxTotals) totals_.clear();
    it = totals_.emplace(key, std::vector<std::int64_t>(index.offers.size(), kUnpriced)).first;
  }
  return it->second;
}

std::int64_t Market::TotalOf(std::vector<std::int64_t>& row, int policy, const Load& load,
                             std::int32_t offer) const {
  std::int64_t& total = row[static_cast<std::size_t>(offer)];
  if (total == kUnpriced)
    total =
        ExpectedTotal(index, index.snapshot.policies[static_cast<std::size_t>(policy)], offer, load)
            .micro();
  return total;
}

void Market::Rent(const Rental& rental) {
  int& policy_left = policy_left_[static_cast<std::size_t>(rental.policy)];
  const OfferInfo& offer = index.offers[static_cast<std::size_t>(rental.offer)];
  int& account_left = account_left_[static_cast<std::size_t>(offer.account)];
  SPW_CHECK(policy_left > 0 && account_left > 0, "node limits are checked before renting");
  --policy_left;
  if (account_left != std::numeric_limits<int>::max()) --account_left;
  purse.Reserve(rental.ns, rental.forecast.worst_case);
  auto shape = [&](std::int32_t pod) {
    return index.snapshot.pods[static_cast<std::size_t>(pod)].shape;
  };
  if (index.snapshot.groups.empty() &&
      std::none_of(rental.pods.begin(), rental.pods.end(),
                   [&](std::int32_t pod) { return ground.Related(shape(pod)); }))
    return;  // no pod looks at another one
  Node node = NodeOf(index.snapshot.offers[static_cast<std::size_t>(rental.offer)],
                     index.snapshot.daemons, fmt::format("{} {}", kNewNode, ++rented_));
  const std::int32_t at = ground.AddNode(std::move(node));
  for (const std::int32_t pod : rental.pods) {
    ground.Put(shape(pod), at);
    rented_pods_.emplace_back(shape(pod), at);
  }
  by_pods_.assign(by_pods_.size(), {});
}

}  // namespace spillway::plan
