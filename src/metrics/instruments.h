// Counters and histograms of this process. Adding is thread-safe and cheap: a lock that is held for
// one look-up.
#pragma once

#include <chrono>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/definitions.h"
#include "metrics/page.h"

namespace spillway::metrics {

// A further set of labels is counted with "other" as every label.
inline constexpr std::size_t kMostSeries = 200;

using LabelViews = std::initializer_list<std::string_view>;

class Counter {
 public:
  explicit Counter(const Definition& what) : what_(what) {}
  void Add(LabelViews labels = {}, std::int64_t amount = 1);
  // One without labels is there from the beginning, as 0.
  void WriteTo(Page& page) const;

 private:
  const Definition& what_;
  mutable std::mutex mutex_;
  std::map<LabelValues, std::int64_t> series_;
};

// Of durations, in real time, with the same buckets everywhere: 1 ms to 5 minutes.
class Histogram {
 public:
  explicit Histogram(const Definition& what) : what_(what) {}
  void Observe(std::chrono::nanoseconds took, LabelViews labels = {});
  void WriteTo(Page& page) const;

 private:
  struct Series {
    std::vector<std::int64_t> counts;
    std::chrono::nanoseconds sum{0};
  };
  const Definition& what_;
  mutable std::mutex mutex_;
  std::map<LabelValues, Series> series_;
};

// A gauge of how long ago something last happened, in real time. Absent until it happens.
class Age {
 public:
  explicit Age(const Definition& what) : what_(what) {}
  void Mark(LabelViews labels = {});
  void WriteTo(Page& page) const;

 private:
  const Definition& what_;
  mutable std::mutex mutex_;
  std::map<LabelValues, std::chrono::steady_clock::time_point> series_;
};

// Measures until it is asked, by the steady clock.
class Stopwatch {
 public:
  std::chrono::nanoseconds Read() const { return std::chrono::steady_clock::now() - start_; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

struct Instruments {
  Histogram reaction{kReaction}, reaction_own{kReactionOwn}, round_seconds{kRoundSeconds},
      plan_seconds{kPlanSeconds}, commit_seconds{kCommitSeconds},
      provider_seconds{kProviderSeconds}, api_seconds{kApiSeconds};
  Counter rounds{kRounds}, commit_failures{kCommitFailures}, provider_calls{kProviderCalls},
      api_requests{kApiRequests}, watch_failures{kWatchFailures}, relists{kRelists},
      writes_dropped{kWritesDropped};
  Age round_age{kRoundAge}, watch_silence{kWatchSilence};

  void WriteTo(Page& page) const;
};

Instruments& OfProcess();

}  // namespace spillway::metrics
