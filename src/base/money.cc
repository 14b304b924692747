#include "base/money.h"

#include <fmt/format.h>

namespace spillway {
namespace {

std::int64_t Narrow(__int128 value) {
  SPW_CHECK(value <= INT64_MAX && value >= INT64_MIN, "money overflows 64 bits");
  return static_cast<std::int64_t>(value);
}

}  // namespace

Money Money::operator+(Money other) const {
  return Money(Narrow(static_cast<__int128>(micro_) + other.micro_));
}
Money Money::operator-(Money other) const {
  return Money(Narrow(static_cast<__int128>(micro_) - other.micro_));
}
Money Money::operator*(std::int64_t count) const {
  return Money(Narrow(static_cast<__int128>(micro_) * count));
}

Result<Money> ParseMoney(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" is not an amount of money: {}; write it like 3.50 EUR",
                            text.substr(0, 64), why));
  };
  std::string_view rest = text;
  if (rest.empty()) return bad("it is empty");
  if (rest[0] == '-') return bad("it is negative");
  std::int64_t euro = 0, micro = 0, weight = 100'000;
  std::size_t i = 0;
  while (i < rest.size() && rest[i] >= '0' && rest[i] <= '9') {
    euro = euro * 10 + (rest[i++] - '0');
    if (euro > 1'000'000'000) return bad("more than 1000000000 EUR");
  }
  if (i == 0) return bad("it does not start with a number");
  if (i < rest.size() && rest[i] == '.') {
    const std::size_t start = ++i;
    while (i < rest.size() && rest[i] >= '0' && rest[i] <= '9') {
      if (weight == 0) return bad("more than six decimals");
      micro += (rest[i++] - '0') * weight;
      weight /= 10;
    }
    if (i == start) return bad("no digits after the point");
  }
  if (i < rest.size() && rest[i] == ' ') ++i;
  const std::string_view currency = rest.substr(i);
  if (currency.empty()) return bad("the currency is missing");
  if (currency != "EUR") return bad("the currency must be EUR");
  return Money::Micro(euro * 1'000'000 + micro);
}

std::string FormatMoney(Money m) {
  const std::int64_t micro = m.micro();
  const std::uint64_t abs =
      micro < 0 ? ~static_cast<std::uint64_t>(micro) + 1 : static_cast<std::uint64_t>(micro);
  std::string decimals = fmt::format("{:06}", abs % 1'000'000);
  while (decimals.size() > 2 && decimals.back() == '0') decimals.pop_back();
  return fmt::format("{}{}.{} EUR", micro < 0 ? "-" : "", abs / 1'000'000, decimals);
}

std::string HumanMoney(Money m) {
  const std::int64_t micro = m.micro();
  const std::uint64_t abs =
      micro < 0 ? ~static_cast<std::uint64_t>(micro) + 1 : static_cast<std::uint64_t>(micro);
  const std::uint64_t cents = (abs + 5'000) / 10'000;
  return fmt::format("{}{}.{:02} €", micro < 0 && cents != 0 ? "-" : "", cents / 100, cents % 100);
}

Money CostCeil(Money per_hour, Duration d) {
  constexpr std::int64_t kHourMs = 3'600'000;
  const __int128 product = static_cast<__int128>(per_hour.micro()) * d.count();
  __int128 cost = product / kHourMs;
  if (product % kHourMs > 0) ++cost;
  return Money::Micro(Narrow(cost));
}

}  // namespace spillway
