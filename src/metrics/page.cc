#include "metrics/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"

namespace spillway::metrics {
namespace {

// "12.5" for 12'500'000'000 of a billionth.
std::string Decimal(std::int64_t whole_of, std::int64_t unit, int digits) {
  const std::uint64_t abs = whole_of < 0 ? ~static_cast<std::uint64_t>(whole_of) + 1
                                         : static_cast<std::uint64_t>(whole_of);
  const auto per = static_cast<std::uint64_t>(unit);
  std::string text = fmt::format("{}{}", whole_of < 0 ? "-" : "", abs / per);
  std::string decimals = fmt::format("{:0{}}", abs % per, digits);
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  return decimals.empty() ? text : text + "." + decimals;
}

std::string Escaped(std::string_view text, bool quotes) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
  return out;
}

std::string LabelText(const Definition& what, const LabelValues& values, std::string_view le) {
  std::string out;
  const auto add = [&](std::string_view name, std::string_view value) {
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ",", name, Escaped(value, true));
  };
  for (std::size_t i = 0; i < values.size(); ++i) add(what.labels[i], values[i]);
  if (!le.empty()) add("le", le);
  return out.empty() ? out : "{" + out + "}";
}

}  // namespace

Value::Value(Money euro) : text_(Decimal(euro.micro(), 1'000'000, 6)) {}
Value::Value(std::chrono::nanoseconds seconds)
    : text_(Decimal(seconds.count(), 1'000'000'000, 9)) {}

Page::Series& Page::SeriesOf(const Definition& what, const LabelValues& labels) {
  SPW_CHECK(labels.size() == what.Labels(), what.name);
  SPW_CHECK(std::ranges::find(kAll, what.name, &Definition::name) != kAll.end(), what.name);
  return families_[what.name];
}

void Page::Add(const Definition& what, LabelValues labels, const Value& value) {
  SPW_CHECK(what.type != Type::kHistogram, what.name);
  SeriesOf(what, labels)[std::move(labels)] = {{"", "", value.text()}};
}

void Page::AddHistogram(const Definition& what, LabelValues labels,
                        std::span<const std::chrono::microseconds> bounds,
                        std::span<const std::int64_t> counts, std::chrono::nanoseconds sum) {
  SPW_CHECK(what.type == Type::kHistogram && counts.size() == bounds.size() + 1, what.name);
  std::vector<Line> lines;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    lines.push_back(
        {"_bucket", i < bounds.size() ? Value(bounds[i]).text() : "+Inf", std::to_string(total)});
  }
  lines.push_back({"_sum", "", Value(sum).text()});
  lines.push_back({"_count", "", std::to_string(total)});
  SeriesOf(what, labels)[std::move(labels)] = std::move(lines);
}

std::string Page::Text() const {
  std::string out;
  for (const Definition* what : kAll) {
    const auto family = families_.find(what->name);
    if (family == families_.end()) continue;
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", what->name, Escaped(what->help, false),
                       what->name, Name(what->type));
    for (const auto& [labels, lines] : family->second)
      for (const Line& line : lines)
        out += fmt::format("{}{}{} {}\n", what->name, line.suffix,
                           LabelText(*what, labels, line.le), line.value);
  }
  return out;
}

}  // namespace spillway::metrics
