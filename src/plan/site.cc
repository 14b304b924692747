#include "plan/site.h"

#include <algorithm>
#include <limits>

#include "plan/fit.h"

namespace spillway::plan {
namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

std::int64_t LeftOf(std::int64_t hard, std::int64_t used) {
  return hard < 0 ? kUnlimited : std::max<std::int64_t>(hard - used, 0);
}

}  // namespace

SiteRoom::SiteRoom(const Snapshot& snapshot, Placement& ground)
    : snapshot_(snapshot), ground_(ground) {
  shapes_.resize(snapshot.shapes.size());
}

const std::vector<std::int32_t>& SiteRoom::NodesFor(std::int32_t shape) {
  ShapeState& state = shapes_[static_cast<std::size_t>(shape)];
  if (!state.known) {
    state.known = true;
    const PodShape& wants = snapshot_.shapes[static_cast<std::size_t>(shape)];
    for (std::size_t i = 0; i < snapshot_.nodes.size(); ++i)
      if (!snapshot_.nodes[i].rented && WhyNeverOn(wants, snapshot_.nodes[i]).empty())
        state.nodes.push_back(static_cast<std::int32_t>(i));
  }
  return state.nodes;
}

std::int32_t SiteRoom::Take(std::int32_t shape) {
  const std::vector<std::int32_t>& nodes = NodesFor(shape);
  ShapeState& state = shapes_[static_cast<std::size_t>(shape)];
  const bool may_open = snapshot_.shapes[static_cast<std::size_t>(shape)].HasPodRules();
  if (may_open && state.failed_at == ground_.version()) return -1;
  std::size_t own_cursor = 0;
  std::size_t& cursor = may_open ? own_cursor : state.cursor;
  for (; cursor < nodes.size(); ++cursor) {
    if (!ground_.Fits(shape, nodes[cursor])) continue;
    ground_.Put(shape, nodes[cursor]);
    return nodes[cursor];
  }
  state.failed_at = ground_.version();
  return -1;
}

bool SiteRoom::Place(std::int32_t shape) {
  return Take(shape) >= 0;
}

bool SiteRoom::PlaceAll(std::vector<std::int32_t> shapes) {
  auto state = [&](std::int32_t shape) -> ShapeState& {
    return shapes_[static_cast<std::size_t>(shape)];
  };
  auto requests = [&](std::int32_t shape) -> const Resources& {
    return snapshot_.shapes[static_cast<std::size_t>(shape)].requests;
  };
  if (shapes.empty()) return true;
  // Large ones first: small ones find a gap.
  std::sort(shapes.begin(), shapes.end(), [&](std::int32_t a, std::int32_t b) {
    return requests(a).gpus != requests(b).gpus ? requests(a).gpus > requests(b).gpus : a < b;
  });
  const bool uniform = shapes.front() == shapes.back() &&
                       !snapshot_.shapes[static_cast<std::size_t>(shapes.front())].HasPodRules();
  if (uniform && shapes.size() >= state(shapes.front()).failed_gang) return false;

  std::vector<std::pair<std::int32_t, std::size_t>> cursors;  // as they were
  for (const std::int32_t shape : shapes) cursors.emplace_back(shape, state(shape).cursor);
  std::vector<std::pair<std::int32_t, std::int32_t>> placed;  // node, shape
  for (const std::int32_t shape : shapes) {
    const std::int32_t node = Take(shape);
    if (node >= 0) {
      placed.emplace_back(node, shape);
      continue;
    }
    for (const auto& [taken, taken_shape] : placed) ground_.Remove(taken_shape, taken);
    for (const auto& [saved_shape, cursor] : cursors) state(saved_shape).cursor = cursor;
    if (uniform) state(shape).failed_gang = shapes.size();
    return false;
  }
  return true;
}

QuotaRoom::QuotaRoom(const Snapshot& snapshot) {
  for (const QuotaState& quota : snapshot.quotas) {
    Left& left = left_.emplace(quota.ns, Left{kUnlimited, kUnlimited}).first->second;
    left.gpus = std::min(left.gpus, LeftOf(quota.gpus_hard, quota.gpus_used));
    left.pods = std::min(left.pods, LeftOf(quota.pods_hard, quota.pods_used));
  }
}

bool QuotaRoom::Take(std::string_view ns, std::int64_t gpus, std::int64_t pods) {
  const auto it = left_.find(ns);
  if (it == left_.end()) return true;
  Left& left = it->second;
  // A pod without GPUs is not held up by a quota on GPUs that is used up.
  if ((gpus > 0 && gpus > left.gpus) || pods > left.pods) return false;
  if (left.gpus != kUnlimited) left.gpus -= gpus;
  if (left.pods != kUnlimited) left.pods -= pods;
  return true;
}

}  // namespace spillway::plan
