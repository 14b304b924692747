#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/time.h"

namespace spillway {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<Unit, 4> kUnits = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::int64_t kMaxMs = 100LL * 366 * 24 * 3'600'000;

Error BadDuration(std::string_view text) {
  return Error{Code::kInvalid,
               fmt::format("\"{}\" is not a duration; write it like 90s, 10m, 1h30m or 12h", text),
               std::nullopt};
}

}  // namespace

Result<Duration> ParseDuration(std::string_view text) {
  if (text == "0") return Duration{0};
  std::string_view rest = text;
  std::int64_t total = 0;
  if (rest.empty() || rest.size() > 64) return Fail(BadDuration(text.substr(0, 64)));
  while (!rest.empty()) {
    std::size_t digits = 0;
    std::int64_t whole = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), whole);
    digits = static_cast<std::size_t>(end - rest.data());
    if (error != std::errc{} || digits == 0 || rest[0] == '-') return Fail(BadDuration(text));
    rest.remove_prefix(digits);
    std::int64_t numerator = 0, denominator = 1;
    if (!rest.empty() && rest[0] == '.') {
      rest.remove_prefix(1);
      std::size_t n = 0;
      while (n < rest.size() && rest[n] >= '0' && rest[n] <= '9' && n < 6) {
        numerator = numerator * 10 + (rest[n] - '0');
        denominator *= 10;
        ++n;
      }
      if (n == 0) return Fail(BadDuration(text));
      rest.remove_prefix(n);
    }
    std::size_t letters = 0;
    while (letters < rest.size() && rest[letters] >= 'a' && rest[letters] <= 'z') ++letters;
    const std::string_view name = rest.substr(0, letters);
    rest.remove_prefix(letters);
    const Unit* unit = nullptr;
    for (const Unit& u : kUnits)
      if (u.name == name) unit = &u;
    if (unit == nullptr || whole > kMaxMs / unit->ms) return Fail(BadDuration(text));
    total += whole * unit->ms + numerator * unit->ms / denominator;
    if (total > kMaxMs) return Fail(BadDuration(text));
  }
  return Duration{total};
}

std::string FormatDuration(Duration d) {
  std::int64_t ms = d.count();
  if (ms == 0) return "0s";
  std::string out = ms < 0 ? "-" : "";
  if (ms < 0) ms = -ms;
  for (const Unit& unit : kUnits) {
    if (ms >= unit.ms) {
      out += fmt::format("{}{}", ms / unit.ms, unit.name);
      ms %= unit.ms;
    }
  }
  return out;
}

std::string HumanDuration(Duration d) {
  std::int64_t ms = d.count();
  const std::string sign = ms < 0 ? "-" : "";
  if (ms < 0) ms = -ms;
  if (ms < 1'000) return fmt::format("{}{}ms", sign, ms);
  const std::int64_t s = ms / 1000;
  if (s < 60) return fmt::format("{}{}s", sign, s);
  if (s < 3600)
    return s % 60 ? fmt::format("{}{}m{}s", sign, s / 60, s % 60)
                  : fmt::format("{}{}m", sign, s / 60);
  const std::int64_t m = s / 60;
  if (m < 48 * 60)
    return m % 60 ? fmt::format("{}{}h{}m", sign, m / 60, m % 60)
                  : fmt::format("{}{}h", sign, m / 60);
  const std::int64_t h = m / 60;
  return h % 24 ? fmt::format("{}{}d{}h", sign, h / 24, h % 24)
                : fmt::format("{}{}d", sign, h / 24);
}

std::string FormatTime(Time t) {
  using namespace std::chrono;
  const auto day = floor<days>(t);
  const year_month_day date{day};
  const hh_mm_ss clock{t - day};
  const auto ms = clock.subseconds().count();
  std::string out =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (ms != 0) out += fmt::format(".{:03}", ms);
  return out + "Z";
}

namespace {

// Takes `count` digits off the front; false if they are not there.
bool TakeDigits(std::string_view& text, std::size_t count, int& value) {
  value = 0;
  if (text.size() < count) return false;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return true;
}

bool Take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<Time> ParseTime(std::string_view text) {
  using namespace std::chrono;
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  auto bad = [&] {
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" is not a time; write it like 2026-11-24T08:15:30Z",
                            text.substr(0, 40)));
  };
  std::string_view rest = text;
  if (!(TakeDigits(rest, 4, y) && Take(rest, '-') && TakeDigits(rest, 2, mo) && Take(rest, '-') &&
        TakeDigits(rest, 2, d) && Take(rest, 'T') && TakeDigits(rest, 2, h) && Take(rest, ':') &&
        TakeDigits(rest, 2, mi) && Take(rest, ':') && TakeDigits(rest, 2, s)))
    return bad();
  std::int64_t ms = 0, weight = 100;
  if (!rest.empty() && rest[0] == '.') {
    rest.remove_prefix(1);
    while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
      ms += (rest[0] - '0') * weight;
      weight /= 10;
      rest.remove_prefix(1);
    }
  }
  if (rest != "Z" || h > 23 || mi > 59 || s > 60) return bad();
  const year_month_day date{year{y}, month{static_cast<unsigned>(mo)},
                            day{static_cast<unsigned>(d)}};
  if (!date.ok()) return bad();
  return Time{sys_days{date} + hours{h} + minutes{mi} + seconds{s} + milliseconds{ms}};
}

SystemClock::SystemClock(int scale)
    : scale_(scale < 1 ? 1 : scale),
      wall_start_(std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())),
      steady_start_(std::chrono::steady_clock::now()) {}

Time SystemClock::Now() const {
  if (scale_ == 1) return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  return wall_start_ + SteadyNow();
}

Duration SystemClock::SteadyNow() const {
  return std::chrono::duration_cast<Duration>((std::chrono::steady_clock::now() - steady_start_) *
                                              scale_);
}

}  // namespace spillway
