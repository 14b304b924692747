#include "control/boot_times.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace spillway::control {
namespace {

constexpr std::size_t kLeast = 5;  // fewer say nothing about the slow ones
constexpr std::size_t kMost = 50;  // providers change

struct Boot {
  Time joined{};
  Duration took{0};
};

std::optional<Time> Began(const BurstNode& node, Phase phase) {
  const auto it =
      std::ranges::find(node.history, phase, [](const auto& entry) { return entry.first; });
  return it == node.history.end() ? std::nullopt : std::optional(it->second);
}

BootTimes TimesOf(std::vector<Boot> boots) {
  std::ranges::sort(boots, [](const Boot& a, const Boot& b) {
    return std::pair(b.joined, b.took) < std::pair(a.joined, a.took);
  });
  if (boots.size() > kMost) boots.resize(kMost);
  std::ranges::sort(boots, {}, &Boot::took);
  return {boots[boots.size() / 2].took, boots[boots.size() * 9 / 10].took,
          static_cast<int>(boots.size())};
}

}  // namespace

std::map<std::string, BootTimes> LearnBootTimes(const std::vector<BurstNode>& nodes) {
  std::map<std::string, std::vector<Boot>> boots;
  for (const BurstNode& node : nodes) {
    const auto asked = Began(node, Phase::kRequested), joined = Began(node, Phase::kJoined);
    if (asked && joined && *joined >= *asked)
      boots[node.offer.Key()].push_back({*joined, *joined - *asked});
  }
  std::map<std::string, BootTimes> learned;
  for (auto& [offer, of_it] : boots)
    if (of_it.size() >= kLeast) learned.emplace(offer, TimesOf(std::move(of_it)));
  return learned;
}

}  // namespace spillway::control
