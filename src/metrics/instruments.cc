#include "metrics/instruments.h"

#include <algorithm>
#include <array>

#include "base/result.h"

namespace spillway::metrics {
namespace {

using namespace std::chrono_literals;

constexpr std::array<std::chrono::microseconds, 19> kBounds{
    1ms,   2500us, 5ms,    10ms, 25ms, 50ms, 75ms, 100ms, 150ms, 250ms,
    500ms, 1s,     2500ms, 5s,   10s,  30s,  1min, 2min,  5min};

// The series of these labels, or the one of all that came too late.
template <typename Series>
Series& SeriesOf(const Definition& what, std::map<LabelValues, Series>& all, LabelViews labels) {
  SPW_CHECK(labels.size() == what.Labels(), what.name);
  LabelValues values(labels.begin(), labels.end());
  const auto it = all.find(values);
  if (it != all.end()) return it->second;
  if (all.size() >= kMostSeries) std::ranges::fill(values, "other");
  return all[std::move(values)];
}

}  // namespace

void Counter::Add(LabelViews labels, std::int64_t amount) {
  SPW_CHECK(amount >= 0, what_.name);
  const std::lock_guard lock(mutex_);
  SeriesOf(what_, series_, labels) += amount;
}

void Counter::WriteTo(Page& page) const {
  const std::lock_guard lock(mutex_);
  if (what_.Labels() == 0 && series_.empty()) page.Add(what_, {}, 0);
  for (const auto& [labels, count] : series_) page.Add(what_, labels, count);
}

void Histogram::Observe(std::chrono::nanoseconds took, LabelViews labels) {
  const auto bucket = std::ranges::find_if(kBounds, [&](auto bound) { return took <= bound; });
  const std::lock_guard lock(mutex_);
  Series& series = SeriesOf(what_, series_, labels);
  series.counts.resize(kBounds.size() + 1);
  ++series.counts[static_cast<std::size_t>(bucket - kBounds.begin())];
  series.sum += took;
}

void Histogram::WriteTo(Page& page) const {
  const std::lock_guard lock(mutex_);
  const std::vector<std::int64_t> none(kBounds.size() + 1);
  if (what_.Labels() == 0 && series_.empty()) page.AddHistogram(what_, {}, kBounds, none, 0ns);
  for (const auto& [labels, series] : series_)
    page.AddHistogram(what_, labels, kBounds, series.counts, series.sum);
}

void Age::Mark(LabelViews labels) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  SeriesOf(what_, series_, labels) = now;
}

void Age::WriteTo(Page& page) const {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  for (const auto& [labels, at] : series_) page.Add(what_, labels, std::max(0ns, now - at));
}

void Instruments::WriteTo(Page& page) const {
  for (const Histogram* histogram : {&reaction, &reaction_own, &round_seconds, &plan_seconds,
                                     &commit_seconds, &provider_seconds, &api_seconds})
    histogram->WriteTo(page);
  for (const Counter* counter : {&rounds, &commit_failures, &provider_calls, &api_requests,
                                 &watch_failures, &relists, &writes_dropped})
    counter->WriteTo(page);
  for (const Age* age : {&round_age, &watch_silence}) age->WriteTo(page);
}

Instruments& OfProcess() {
  static Instruments instruments;
  return instruments;
}

}  // namespace spillway::metrics
