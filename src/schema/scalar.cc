#include "schema/scalar.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "schema/problem.h"

namespace spillway::schema {
namespace {

using Typed = tl::expected<json::value, ScalarError>;

Typed Bad(std::string wrong, std::string right) {
  return tl::unexpected(ScalarError{std::move(wrong), std::move(right)});
}

bool AllDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The words of YAML 1.1, which kubectl still reads.
std::optional<bool> Boolean(std::string_view text) {
  static constexpr std::array<std::string_view, 11> kTrue = {
      "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"};
  static constexpr std::array<std::string_view, 11> kFalse = {
      "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"};
  for (const std::string_view word : kTrue)
    if (text == word) return true;
  for (const std::string_view word : kFalse)
    if (text == word) return false;
  return std::nullopt;
}

bool IsNull(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

// The value itself is never shown in an error: it may be somebody's password.
Typed Integer(std::string_view digits, bool negative, int base) {
  std::uint64_t magnitude = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (error != std::errc{} || end != digits.data() + digits.size() ||
      magnitude > static_cast<std::uint64_t>(INT64_MAX))
    return Bad("the number is out of range",
               "a whole number of at most 63 bits, or text in quotes");
  const auto value = static_cast<std::int64_t>(magnitude);
  return json::value(negative ? -value : value);
}

// [-+]? ( .digits | digits [. digits*] ) ( [eE] [-+]? digits )?
bool LooksLikeFraction(std::string_view rest) {
  std::size_t i = 0, digits = 0;
  while (i < rest.size() && rest[i] >= '0' && rest[i] <= '9') ++i, ++digits;
  if (i < rest.size() && rest[i] == '.') {
    ++i;
    while (i < rest.size() && rest[i] >= '0' && rest[i] <= '9') ++i, ++digits;
  }
  if (digits == 0) return false;
  if (i < rest.size() && (rest[i] == 'e' || rest[i] == 'E')) {
    ++i;
    if (i < rest.size() && (rest[i] == '-' || rest[i] == '+')) ++i;
    return AllDigits(rest.substr(i));
  }
  return i == rest.size();
}

Typed Fraction(std::string_view unsigned_text, bool negative) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(unsigned_text.data(), unsigned_text.data() + unsigned_text.size(), value);
  // "1." is a number in YAML; from_chars reads it to the end as well.
  if (error != std::errc{} || end != unsigned_text.data() + unsigned_text.size())
    return Bad("the number is out of range", "a smaller number, or text in quotes");
  if (negative) value = -value;
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::trunc(value) == value && std::abs(value) <= kExact)
    return json::value(static_cast<std::int64_t>(value));
  return json::value(value);
}

Typed Plain(const std::string& text) {
  if (IsNull(text)) return json::value(nullptr);
  if (const auto boolean = Boolean(text)) return json::value(*boolean);
  std::string_view rest = text;
  const bool negative = rest[0] == '-';
  if (negative || rest[0] == '+') rest.remove_prefix(1);
  if (rest.empty() || rest.size() > 400) return json::value(text);
  if (rest == ".inf" || rest == ".Inf" || rest == ".INF" || rest == ".nan" || rest == ".NaN" ||
      rest == ".NAN")
    return Bad("infinity and not-a-number cannot be held", "a finite number, or text in quotes");
  if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'o')) {
    const std::string_view digits = rest.substr(2);
    const bool hex = rest[1] == 'x';
    const auto allowed = hex ? "0123456789abcdefABCDEF" : "01234567";
    if (digits.find_first_not_of(allowed) == std::string_view::npos)
      return Integer(digits, negative, hex ? 16 : 8);
    return json::value(text);
  }
  if (AllDigits(rest)) {
    if (rest.size() > 1 && rest[0] == '0')
      return Bad("a number with a leading zero, which kubectl reads as octal",
                 "the number without the zero, or text in quotes");
    return Integer(rest, negative, 10);
  }
  if (LooksLikeFraction(rest)) return Fraction(rest, negative);
  return json::value(text);
}

}  // namespace

Typed TypeScalar(std::string_view tag, const std::string& text) {
  if (tag == "!") return json::value(text);
  if (tag == "?" || tag.empty()) return Plain(text);
  constexpr std::string_view kCore = "tag:yaml.org,2002:";
  if (!tag.starts_with(kCore))
    return Bad(fmt::format("the tag {} is not known", Printable(tag)), "remove the tag");
  const std::string_view type = tag.substr(kCore.size());
  if (type == "str") return json::value(text);
  if (type != "int" && type != "float" && type != "bool" && type != "null")
    return Bad(fmt::format("the tag !!{} is not known", Printable(type)),
               "remove the tag; !!str, !!int, !!float, !!bool and !!null are known");
  Typed typed = Plain(text);
  if (!typed) return typed;
  const bool fits = type == "int"     ? typed->is_int64()
                    : type == "float" ? typed->is_number()
                    : type == "bool"  ? typed->is_bool()
                                      : typed->is_null();
  if (!fits)
    return Bad(fmt::format("the value is not what its tag !!{} says", type), "remove the tag");
  return typed;
}

}  // namespace spillway::schema
