// Reading the API's JSON for people. Everything that reaches a terminal goes through here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/time.h"
#include "cli/text.h"

namespace spillway::cli {

// Text of a member without control characters; empty when it is missing, null or no text.
inline std::string TextOf(const json::value& value, std::string_view key) {
  return Safe(StringOr(value, key, ""));
}

// "2.67 €" of a Money member; empty when it is null.
inline std::string MoneyOf(const json::value& value, std::string_view key) {
  const json::value* money = Find(value, key);
  return money == nullptr ? std::string() : TextOf(*money, "text");
}

inline std::int64_t MicroOf(const json::value& value, std::string_view key) {
  const json::value* money = Find(value, key);
  return money == nullptr ? 0 : IntOr(*money, "microEuro", 0);
}

// Items of an array member; an empty array when it is missing.
inline const json::array& ItemsOf(const json::value& value, std::string_view key) {
  static const json::array kNone;
  const json::array* items = FindArray(value, key);
  return items == nullptr ? kNone : *items;
}

inline std::string JoinTexts(const json::array& items, std::string_view between = ", ") {
  std::string out;
  for (const json::value& item : items) {
    if (const json::string* text = item.if_string()) {
      if (!out.empty()) out += between;
      out += Safe(View(*text));
    }
  }
  return out;
}

// "1m30s" of a member in seconds; empty when it is null.
inline std::string SecondsOf(const json::value& value, std::string_view key) {
  const json::value* seconds = Find(value, key);
  if (seconds == nullptr || !seconds->is_int64()) return {};
  if (seconds->get_int64() == 0) return "0s";
  return HumanDuration(std::chrono::seconds(seconds->get_int64()));
}

inline std::optional<Time> TimeOf(const json::value& value, std::string_view key) {
  const Result<Time> time = ParseTime(StringOr(value, key, ""));
  return time ? std::optional<Time>(*time) : std::nullopt;
}

// "08:15:30" of a time member.
inline std::string ClockOf(const json::value& value, std::string_view key) {
  const std::string text = TextOf(value, key);
  return text.size() >= 19 ? text.substr(11, 8) : text;
}

inline bool SaysSimulated(const json::value& answer) {
  return !ItemsOf(answer, "simulated").empty();
}

// " (simulated)" where providers or GPUs are shown and the daemon says so.
inline std::string SimulatedLabel(const json::value& answer) {
  return SaysSimulated(answer) ? " (simulated)" : "";
}

// One dim line that names what is simulated, the topics of sentences such as "GPUs: they are
// numbers"; `spillway version` prints the sentences. Empty when nothing is.
inline std::string SimulatedLine(const json::value& answer, const Painter& paint) {
  std::string topics;
  for (const json::value& item : ItemsOf(answer, "simulated")) {
    const json::string* text = item.if_string();
    if (text == nullptr) continue;
    topics += (topics.empty() ? "" : ", ") + Safe(View(*text).substr(0, View(*text).find(':')));
  }
  return topics.empty() ? topics : paint(Style::kDim, "simulated: " + topics) + "\n";
}

// "08:15:30" of a time on the day of `now`, otherwise "2026-12-01 00:00"; empty if there is none.
inline std::string WhenOf(const json::value& value, std::string_view key, std::string_view now) {
  const std::string text = TextOf(value, key);
  if (text.size() < 19 || text.substr(0, 10) == now.substr(0, 10)) return ClockOf(value, key);
  return text.substr(0, 10) + " " + text.substr(11, 5);
}

}  // namespace spillway::cli
