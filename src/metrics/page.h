// Page: one answer to a scrape, in Prometheus' text exposition format 0.0.4.
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <chrono>
#include <concepts>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"
#include "base/time.h"
#include "metrics/definitions.h"

namespace spillway::metrics {

inline constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

// A number as text, exact: money in euro and times in seconds are decimals made from integers.
class Value {
 public:
  Value(std::integral auto number) : text_(std::to_string(number)) {}
  Value(bool yes) : text_(yes ? "1" : "0") {}
  Value(Money euro);
  Value(std::chrono::nanoseconds seconds);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

using LabelValues = std::vector<std::string>;

class Page {
 public:
  // As many labels as the definition names. A series that was there is replaced.
  void Add(const Definition& what, LabelValues labels, const Value& value);
  // `counts` are those of the buckets up to each bound, and of what lies above the last: one more
  // than `bounds`. Not cumulative.
  void AddHistogram(const Definition& what, LabelValues labels,
                    std::span<const std::chrono::microseconds> bounds,
                    std::span<const std::int64_t> counts, std::chrono::nanoseconds sum);
  // Families in the order of kAll, series by their labels. A family without series is left out.
  std::string Text() const;

 private:
  struct Line {
    std::string_view suffix;  // of the name: "_bucket"
    std::string le;           // of a bucket
    std::string value;
  };
  using Series = std::map<LabelValues, std::vector<Line>>;
  Series& SeriesOf(const Definition& what, const LabelValues& labels);

  std::map<std::string_view, Series> families_;  // by the name in the definition
};

}  // namespace spillway::metrics
