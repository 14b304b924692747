// Money is an integer of micro-euro. It is never a float, and every division names its rounding.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace spillway {

class Money {
 public:
  constexpr Money() = default;
  static constexpr Money Micro(std::int64_t micro_euro) { return Money(micro_euro); }
  static constexpr Money Cents(std::int64_t cents) { return Money(cents * 10'000); }
  static constexpr Money Euro(std::int64_t euro) { return Money(euro * 1'000'000); }

  constexpr std::int64_t micro() const { return micro_; }
  constexpr auto operator<=>(const Money&) const = default;

  // Sums that do not fit 64 bits violate an invariant: amounts are bounded where they are parsed.
  Money operator+(Money other) const;
  Money operator-(Money other) const;
  Money operator*(std::int64_t count) const;
  Money& operator+=(Money other) { return *this = *this + other; }
  Money& operator-=(Money other) { return *this = *this - other; }
  constexpr Money operator-() const { return Money(-micro_); }

 private:
  explicit constexpr Money(std::int64_t micro_euro) : micro_(micro_euro) {}
  std::int64_t micro_ = 0;
};

// "3.50 EUR", "500 EUR", "3.5EUR", "0.000001 EUR". Up to six decimals, at most 1e9 EUR, never
// negative; another currency is refused, because Spillway compares prices in one currency.
Result<Money> ParseMoney(std::string_view text);

// Exact, at least two decimals: "3.50 EUR", "0.013125 EUR", "-1.00 EUR".
std::string FormatMoney(Money m);
// For people, rounded half up to cents: "3.50 €".
std::string HumanMoney(Money m);

// price per hour x duration, rounded up to the next micro-euro: a quote is never too low.
Money CostCeil(Money per_hour, Duration d);

}  // namespace spillway
