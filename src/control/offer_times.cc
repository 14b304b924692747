#include "control/offer_times.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <tuple>
#include <utility>

namespace spillway::control {
namespace {

constexpr std::size_t kLeast = 5;         // fewer say nothing about the slow ones
constexpr std::size_t kMost = 50;         // providers change
constexpr std::size_t kMostNodes = 2000;  // a round has no time for a year of them
// From here on the size of the data decides how long staging takes.
constexpr std::int64_t kMuchData = std::int64_t{256} << 20;
// Of machines that all failed one in ten is believed to come to run: costs stay finite.
constexpr int kMostFailuresPerRun = 9;

struct Sample {
  Time at{};
  Duration took{0};
  std::int64_t bytes = 0;
  auto operator<=>(const Sample&) const = default;
};

struct Try {
  Time at{};
  bool failed = false;
  Duration took{0}, paid{0};
  auto operator<=>(const Try&) const = default;
};

struct Past {
  std::vector<Sample> boots, joins, little, much, starts;
  std::vector<Try> tries;
};

std::optional<Time> Began(const BurstNode& node, Phase phase) {
  const auto it =
      std::ranges::find(node.history, phase, [](const auto& entry) { return entry.first; });
  return it == node.history.end() ? std::nullopt : std::optional(it->second);
}

void Add(std::vector<Sample>& samples, std::optional<Time> from, std::optional<Time> to,
         std::int64_t bytes = 0) {
  if (from && to && *to >= *from) samples.push_back({*to, *to - *from, bytes});
}

// Whether the machine failed before it ran, and its provider is to blame. Limits of the account,
// data that cannot be had and pods that need it no more say nothing about the offer.
bool FailedToRun(const BurstNode& node) {
  switch (node.failure) {
    case Failure::kCapacity:
    case Failure::kCreateLost:
    case Failure::kBootTimeout:
    case Failure::kWrongHardware:
      return true;
    case Failure::kNodeLost:
      return !Began(node, Phase::kRunning);
    default:
      return false;
  }
}

void AddTry(const BurstNode& node, std::vector<Try>& tries) {
  const auto asked = Began(node, Phase::kRequested), ran = Began(node, Phase::kRunning);
  if (!FailedToRun(node)) {
    if (ran) tries.push_back({*ran});
    return;
  }
  const auto ended = std::ranges::find_if(
      node.history, [](const auto& entry) { return entry.first >= Phase::kReturning; });
  if (!asked || ended == node.history.end()) return;
  // A machine that took days to delete is not what is to be expected.
  const Duration most = 2 * (node.deadlines.create + node.deadlines.boot);
  tries.push_back({ended->second, true, std::clamp(ended->second - *asked, Duration{0}, most),
                   std::clamp(node.paid, Duration{0}, most)});
}

void AddNode(const BurstNode& node, Past& past) {
  const auto joined = Began(node, Phase::kJoined);
  Add(past.boots, Began(node, Phase::kRequested), node.registered_at ? node.registered_at : joined);
  Add(past.joins, node.registered_at, joined);
  if (node.prepared_at && joined)
    Add(node.bytes_in < kMuchData ? past.little : past.much, std::max(*node.prepared_at, *joined),
        Began(node, Phase::kStaged), node.bytes_in);
  if (const auto ran = Began(node, Phase::kRunning); ran && node.start_took)
    past.starts.push_back({*ran, *node.start_took});
  AddTry(node, past.tries);
}

// False: too few to learn from.
template <typename T>
bool KeepNewest(std::vector<T>& samples) {
  std::ranges::sort(samples, std::greater{});
  if (samples.size() > kMost) samples.resize(kMost);
  return samples.size() >= kLeast;
}

MeasuredTime TimeOf(std::vector<Sample>& samples) {
  if (!KeepNewest(samples)) return {};
  std::ranges::sort(samples, {}, &Sample::took);
  return {samples[samples.size() / 2].took, samples[samples.size() * 9 / 10].took,
          static_cast<int>(samples.size())};
}

// `floor` is what staging takes whatever the size.
MeasuredRate RateOf(std::vector<Sample>& samples, Duration floor) {
  if (!KeepNewest(samples)) return {};
  std::vector<std::int64_t> rates;
  for (const Sample& sample : samples) {
    const Duration moving = sample.took > floor ? sample.took - floor : sample.took;
    rates.push_back(sample.bytes / std::max<std::int64_t>(moving.count(), 1) * 1000);
  }
  std::ranges::sort(rates);
  return {rates[rates.size() / 2], rates[rates.size() / 10], static_cast<int>(rates.size())};
}

FailedTries FailuresOf(std::vector<Try>& tries) {
  if (!KeepNewest(tries)) return {};
  FailedTries result;
  result.tried = static_cast<int>(tries.size());
  for (const Try& one : tries) {
    result.failed += one.failed;
    result.took += one.took;
    result.paid += one.paid;
  }
  const int ran = std::max(result.tried - result.failed,
                           (result.tried + kMostFailuresPerRun) / (kMostFailuresPerRun + 1));
  result.took /= ran;
  result.paid /= ran;
  return result;
}

OfferTimes TimesOf(Past past) {
  OfferTimes times;
  times.boot = TimeOf(past.boots);
  times.join = TimeOf(past.joins);
  times.stage = TimeOf(past.little);
  times.stage_rate = RateOf(past.much, times.stage.median);
  times.start = TimeOf(past.starts);
  times.tries = FailuresOf(past.tries);
  return times;
}

std::vector<const BurstNode*> Newest(const std::vector<BurstNode>& nodes) {
  std::vector<const BurstNode*> newest;
  newest.reserve(nodes.size());
  for (const BurstNode& node : nodes) newest.push_back(&node);
  if (newest.size() <= kMostNodes) return newest;
  const auto later = [](const BurstNode* a, const BurstNode* b) {
    return std::tie(b->serial, b->name) < std::tie(a->serial, a->name);
  };
  std::ranges::nth_element(newest, newest.begin() + kMostNodes, later);
  newest.resize(kMostNodes);
  return newest;
}

}  // namespace

std::map<std::string, OfferTimes> LearnOfferTimes(const std::vector<BurstNode>& nodes) {
  std::map<std::string, Past> pasts;
  for (const BurstNode* node : Newest(nodes)) AddNode(*node, pasts[node->offer.Key()]);
  std::map<std::string, OfferTimes> learned;
  for (auto& [offer, past] : pasts)
    if (const OfferTimes times = TimesOf(std::move(past)); times != OfferTimes{})
      learned.emplace(offer, times);
  return learned;
}

}  // namespace spillway::control
