#include "base/quantity.h"

#include <fmt/format.h>

#include <array>

namespace spillway {
namespace {

struct Suffix {
  std::string_view name;
  __int128 milli;  // value of one unit, in thousandths
};
constexpr __int128 kK = 1000, kKi = 1024;
constexpr std::array<Suffix, 14> kSuffixes = {{{"m", 1},
                                               {"", 1000},
                                               {"k", kK * 1000},
                                               {"M", kK* kK * 1000},
                                               {"G", kK* kK* kK * 1000},
                                               {"T", kK* kK* kK* kK * 1000},
                                               {"P", kK* kK* kK* kK* kK * 1000},
                                               {"E", kK* kK* kK* kK* kK* kK * 1000},
                                               {"Ki", kKi * 1000},
                                               {"Mi", kKi* kKi * 1000},
                                               {"Gi", kKi* kKi* kKi * 1000},
                                               {"Ti", kKi* kKi* kKi* kKi * 1000},
                                               {"Pi", kKi* kKi* kKi* kKi* kKi * 1000},
                                               {"Ei", kKi* kKi* kKi* kKi* kKi* kKi * 1000}}};

// Value in thousandths, rounded up, or kInvalid.
Result<__int128> Parse(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" is not a quantity: {}; write it like 500m, 2, 16Gi or 1e3",
                            text.substr(0, 64), why));
  };
  if (text.empty() || text.size() > 40) return bad(text.empty() ? "it is empty" : "it is too long");
  if (text[0] == '-') return bad("it is negative");
  std::size_t i = text[0] == '+' ? 1 : 0;
  __int128 mantissa = 0, scale = 1;
  bool digits = false, point = false;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c >= '0' && c <= '9') {
      digits = true;
      if (mantissa > static_cast<__int128>(1) << 90) return bad("it has too many digits");
      mantissa = mantissa * 10 + (c - '0');
      if (point) scale *= 10;
    } else if (c == '.' && !point) {
      point = true;
    } else {
      break;
    }
    if (scale > static_cast<__int128>(1'000'000'000'000'000'000))
      return bad("it has too many decimals");
  }
  if (!digits) return bad("it does not start with a number");
  const std::string_view rest = text.substr(i);
  __int128 unit = 0;
  for (const Suffix& suffix : kSuffixes)
    if (suffix.name == rest) unit = suffix.milli;
  if (unit == 0) {
    if (rest.size() < 2 || rest.size() > 4 || (rest[0] != 'e' && rest[0] != 'E'))
      return bad(fmt::format("unknown suffix \"{}\"", rest));
    const bool negative = rest[1] == '-';
    std::size_t j = (negative || rest[1] == '+') ? 2 : 1;
    int exponent = 0;
    if (j >= rest.size()) return bad("the exponent is missing");
    for (; j < rest.size(); ++j) {
      if (rest[j] < '0' || rest[j] > '9') return bad("the exponent is not a number");
      exponent = exponent * 10 + (rest[j] - '0');
    }
    if (exponent > 18) return bad("the exponent is out of range");
    unit = 1000;
    for (int k = 0; k < exponent; ++k) {
      if (negative)
        scale *= 10;
      else
        unit *= 10;
    }
  }
  if (unit != 0 && mantissa > (static_cast<__int128>(1) << 100) / unit)
    return bad("it is too large");
  const __int128 product = mantissa * unit;
  return (product + scale - 1) / scale;
}

}  // namespace

Result<std::int64_t> ParseMilli(std::string_view text) {
  SPW_ASSIGN(const __int128 milli, Parse(text));
  if (milli > static_cast<__int128>(9'000'000'000'000'000'000))
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" is not a quantity in range: it is too large", text));
  return static_cast<std::int64_t>(milli);
}

Result<std::int64_t> ParseWhole(std::string_view text) {
  SPW_ASSIGN(const __int128 milli, Parse(text));
  const __int128 whole = (milli + 999) / 1000;
  if (whole > INT64_MAX)
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" is not a quantity in range: it is too large", text));
  return static_cast<std::int64_t>(whole);
}

std::string FormatMilli(std::int64_t milli) {
  return milli % 1000 == 0 ? fmt::format("{}", milli / 1000) : fmt::format("{}m", milli);
}

std::string FormatBytes(std::int64_t bytes) {
  static constexpr std::array<std::string_view, 6> kNames = {"", "Ki", "Mi", "Gi", "Ti", "Pi"};
  std::size_t i = 0;
  while (bytes != 0 && bytes % 1024 == 0 && i + 1 < kNames.size()) bytes /= 1024, ++i;
  return fmt::format("{}{}", bytes, kNames[i]);
}

std::string HumanBytes(std::int64_t bytes) {
  static constexpr std::array<std::string_view, 6> kNames = {"B",   "KiB", "MiB",
                                                             "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t i = 0;
  while (value >= 1024 && i + 1 < kNames.size()) value /= 1024, ++i;
  return value < 10 ? fmt::format("{:.1f} {}", value, kNames[i])
                    : fmt::format("{:.0f} {}", value, kNames[i]);
}

}  // namespace spillway
