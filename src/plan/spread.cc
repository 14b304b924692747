#include "plan/spread.h"

#include <limits>

namespace spillway::plan {

void SpreadCount::AddNode(std::int32_t domain, bool counted) {
  counted_.push_back(counted);
  if (!counted) return;
  const auto at = static_cast<std::size_t>(domain);
  if (at >= pods_.size()) {
    pods_.resize(at + 1);
    nodes_of_.resize(at + 1);
  }
  if (nodes_of_[at]++ > 0) return;
  ++domains_;
  ++domains_with_[0];
}

void SpreadCount::DropLastNode(std::int32_t domain) {
  const bool counted = counted_.back();
  counted_.pop_back();
  if (!counted || --nodes_of_[static_cast<std::size_t>(domain)] > 0) return;
  --domains_;
  if (--domains_with_[0] == 0) domains_with_.erase(0);
}

void SpreadCount::Add(std::int32_t node, std::int32_t domain, int change) {
  if (!counted_[static_cast<std::size_t>(node)]) return;
  int& pods = pods_[static_cast<std::size_t>(domain)];
  Move(pods, pods + change);
  pods += change;
}

void SpreadCount::Move(int from, int to) {
  if (--domains_with_[from] == 0) domains_with_.erase(from);
  ++domains_with_[to];
}

int SpreadCount::In(std::int32_t domain) const {
  const auto at = static_cast<std::size_t>(domain);
  return at < pods_.size() ? pods_[at] : 0;
}

int SpreadCount::Fewest(std::int32_t min_domains) const {
  if (domains_ < min_domains) return 0;
  // kube-scheduler's own starting value.
  return domains_with_.empty() ? std::numeric_limits<std::int32_t>::max()
                               : domains_with_.begin()->first;
}

}  // namespace spillway::plan
