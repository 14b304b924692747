#include "catalog/reader.h"

#include <algorithm>
#include <utility>

namespace spillway::catalog {
namespace {

const json::value kNothing = json::object{};
const schema::Place kNowhere;

// Index of a member in its mapping; the tree of places has the same order.
std::optional<std::size_t> IndexOf(const json::value& value, std::string_view key) {
  if (!value.is_object()) return std::nullopt;
  std::size_t i = 0;
  for (const auto& member : value.get_object()) {
    if (member.key() == key) return i;
    ++i;
  }
  return std::nullopt;
}

}  // namespace

Reader::Reader(Problems& problems, const json::value& value, const schema::Place& place,
               std::string path)
    : problems_(&problems), value_(&value), place_(&place), path_(std::move(path)) {
  if (!value.is_object()) Wrong("", "is not a mapping", "a mapping of the members in README.md");
}

void Reader::Wrong(std::string_view key, std::string wrong, std::string right) {
  if (problems_->first) return;
  schema::Problem problem;
  problem.file = problems_->file;
  const std::optional<std::size_t> index = IndexOf(*value_, key);
  problem.at = index ? place_->Child(*index).at : place_->at;
  problem.field = key.empty() ? path_ : schema::MemberPath(path_, key);
  problem.wrong = std::move(wrong);
  problem.right = std::move(right);
  problems_->first = std::move(problem);
}

bool Reader::Has(std::string_view key) const {
  return IndexOf(*value_, key).has_value();
}

const json::value* Reader::Member(std::string_view key) {
  asked_.emplace(key);
  const json::value* member = Find(*value_, key);
  if (member == nullptr) Wrong(key, "is missing", "see catalog/README.md");
  return member;
}

Reader Reader::In(std::string_view key) {
  const json::value* member = Member(key);
  const std::string path = schema::MemberPath(path_, key);
  if (member == nullptr) return Reader(*problems_, kNothing, kNowhere, path);
  return Reader(*problems_, *member, place_->Child(*IndexOf(*value_, key)), path);
}

std::vector<Reader> Reader::Items(std::string_view key, std::size_t at_least) {
  std::vector<Reader> items;
  const json::value* member = Member(key);
  if (member == nullptr) return items;
  const json::array* array = member->if_array();
  if (array == nullptr || array->size() < at_least) {
    Wrong(key, "is not a list of at least " + std::to_string(at_least), "a list");
    return items;
  }
  const schema::Place& place = place_->Child(*IndexOf(*value_, key));
  const std::string path = schema::MemberPath(path_, key);
  for (std::size_t i = 0; i < array->size(); ++i) {
    items.emplace_back(*problems_, (*array)[i], place.Child(i), schema::ItemPath(path, i));
  }
  return items;
}

std::string Reader::Text(std::string_view key) {
  const json::value* member = Member(key);
  if (member == nullptr) return {};
  if (!member->is_string() || member->get_string().empty()) {
    Wrong(key, "is not a text", "a text in quotes");
    return {};
  }
  return std::string(View(member->get_string()));
}

bool Reader::Flag(std::string_view key) {
  const json::value* member = Member(key);
  if (member == nullptr) return false;
  if (!member->is_bool()) Wrong(key, "is neither true nor false", "true or false");
  return member->is_bool() && member->get_bool();
}

std::int64_t Reader::Whole(std::string_view key, std::int64_t low, std::int64_t high) {
  const json::value* member = Member(key);
  if (member == nullptr) return low;
  if (!member->is_int64() || member->get_int64() < low || member->get_int64() > high) {
    Wrong(key, "is not a whole number in range",
          std::to_string(low) + " to " + std::to_string(high));
    return low;
  }
  return member->get_int64();
}

Money Reader::Price(std::string_view key) {
  const std::string text = Text(key);
  if (text.empty()) return {};
  const Result<Money> money = ParseMoney(text);
  if (!money) Wrong(key, money.error().message, "an amount in euro, \"2.8665 EUR\"");
  return money.value_or(Money{});
}

Duration Reader::Span(std::string_view key) {
  const std::string text = Text(key);
  if (text.empty()) return {};
  const Result<Duration> duration = ParseDuration(text);
  if (!duration) Wrong(key, duration.error().message, "a duration such as 1m");
  return duration.value_or(Duration{0});
}

std::string Reader::Date(std::string_view key) {
  std::string text = Text(key);
  if (!text.empty() && !ParseTime(text + "T00:00:00Z")) {
    Wrong(key, "\"" + schema::Printable(text) + "\" is not a day", "a day such as 2026-05-11");
  }
  return text;
}

std::string Reader::Country(std::string_view key) {
  std::string text = Text(key);
  const bool good = text.size() == 2 && std::all_of(text.begin(), text.end(),
                                                    [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!good) Wrong(key, "is not a country code", "two capitals of ISO 3166, FR");
  return text;
}

std::size_t Reader::Word(std::string_view key, std::span<const std::string_view> known) {
  const std::string text = Text(key);
  const auto it = std::find(known.begin(), known.end(), text);
  if (it == known.end()) {
    Wrong(key, "\"" + schema::Printable(text) + "\" is unknown", "one of " + schema::Join(known));
    return 0;
  }
  return static_cast<std::size_t>(it - known.begin());
}

void Reader::NothingElse() {
  if (!value_->is_object()) return;
  for (const auto& member : value_->get_object()) {
    if (asked_.contains(std::string_view(member.key()))) continue;
    Wrong(std::string_view(member.key()), "is an unknown member", "see catalog/README.md");
  }
}

}  // namespace spillway::catalog
