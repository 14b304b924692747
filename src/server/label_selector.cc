#include "server/label_selector.h"

#include <fmt/format.h>

#include <algorithm>

#include "schema/format.h"
#include "schema/problem.h"

namespace spillway::server {
namespace {

constexpr std::size_t kMaxRequirements = 64;

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Splits at commas outside parentheses.
std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  int depth = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i < text.size() && (text[i] != ',' || depth > 0)) continue;
    parts.push_back(Trim(text.substr(start, i - start)));
    start = i + 1;
  }
  return parts;
}

tl::unexpected<Error> Wrong(std::string_view part) {
  return Fail(
      Code::kInvalid,
      fmt::format("labelSelector: \"{}\" is not a requirement; write key=value, key!=value, "
                  "key in (a, b), key notin (a, b), key or !key",
                  schema::Printable(part)));
}

// "key in (a, b)" or "key notin (a, b)"; `space` is where the key ends.
Result<Requirement> ParseSet(std::string_view part, std::size_t space) {
  Requirement requirement{std::string(part.substr(0, space)), SelectorOperator::kIn, {}};
  std::string_view rest = Trim(part.substr(space));
  if (rest.starts_with("notin")) {
    requirement.op = SelectorOperator::kNotIn;
    rest.remove_prefix(5);
  } else if (rest.starts_with("in")) {
    rest.remove_prefix(2);
  } else {
    return Wrong(part);
  }
  rest = Trim(rest);
  if (rest.size() < 2 || rest.front() != '(' || rest.back() != ')') return Wrong(part);
  for (const std::string_view value : Split(rest.substr(1, rest.size() - 2)))
    requirement.values.emplace_back(value);
  return requirement;
}

Result<Requirement> ParseOne(std::string_view part) {
  if (part.starts_with('!'))
    return Requirement{std::string(Trim(part.substr(1))), SelectorOperator::kDoesNotExist, {}};
  const std::size_t equals = part.find('=');
  if (equals == std::string_view::npos) {
    const std::size_t space = part.find_first_of(" \t");
    if (space != std::string_view::npos) return ParseSet(part, space);
    return Requirement{std::string(part), SelectorOperator::kExists, {}};
  }
  const bool differs = equals > 0 && part[equals - 1] == '!';
  std::string_view value = part.substr(equals + 1);
  if (!differs && value.starts_with('=')) value.remove_prefix(1);
  return Requirement{std::string(Trim(part.substr(0, differs ? equals - 1 : equals))),
                     differs ? SelectorOperator::kNotIn : SelectorOperator::kIn,
                     {std::string(Trim(value))}};
}

}  // namespace

Result<std::vector<Requirement>> ParseLabelSelector(std::string_view text) {
  std::vector<Requirement> selector;
  if (Trim(text).empty()) return selector;
  for (const std::string_view part : Split(text)) {
    SPW_ASSIGN(Requirement requirement, ParseOne(part));
    const auto fits = [](const std::string& value) {
      return value.empty() || !schema::CheckFormat("label-value", value);
    };
    if (schema::CheckFormat("label-key", requirement.key) ||
        !std::ranges::all_of(requirement.values, fits))
      return Wrong(part);
    if (selector.size() == kMaxRequirements)
      return Fail(Code::kInvalid, "labelSelector: more than 64 requirements");
    selector.push_back(std::move(requirement));
  }
  return selector;
}

bool Selects(const std::vector<Requirement>& selector, const json::value& object) {
  if (selector.empty()) return true;
  Labels labels;
  const json::value* found = FindPath(object, {"metadata", "labels"});
  if (found != nullptr && found->is_object())
    for (const auto& member : found->get_object())
      if (member.value().is_string())
        labels[member.key()] = std::string(View(member.value().get_string()));
  return std::ranges::all_of(selector, [&](const Requirement& r) { return Matches(r, labels); });
}

}  // namespace spillway::server
