#include "cli/json_path.h"

#include <fmt/format.h>

#include <charconv>

namespace spillway::cli {
namespace {

using Values = std::vector<const json::value*>;

// The name up to an unescaped dot or bracket; advances the path.
std::string TakeName(std::string_view& path) {
  std::string name;
  while (!path.empty() && path[0] != '.' && path[0] != '[') {
    if (path[0] == '\\' && path.size() > 1) path.remove_prefix(1);
    name += path[0];
    path.remove_prefix(1);
  }
  return name;
}

Values Members(const Values& values, std::string_view name) {
  Values out;
  for (const json::value* value : values)
    if (const json::value* member = Find(*value, name)) out.push_back(member);
  return out;
}

// "@.type==\"Ready\"" -> {"type", "Ready"}
bool ParseFilter(std::string_view text, std::string* name, std::string* wanted) {
  const std::size_t equal = text.find("==");
  if (!text.starts_with("@.") || equal == std::string_view::npos) return false;
  std::string_view value = text.substr(equal + 2);
  if (value.size() < 2 || value.front() != value.back() ||
      (value.front() != '"' && value.front() != '\''))
    return false;
  *name = text.substr(2, equal - 2);
  *wanted = value.substr(1, value.size() - 2);
  return true;
}

bool Items(Values& values, std::string_view inside) {
  Values out;
  std::string name, wanted;
  const bool filter = inside.starts_with("?(") && inside.ends_with(")") &&
                      ParseFilter(inside.substr(2, inside.size() - 3), &name, &wanted);
  int index = 0;
  const auto [end, error] = std::from_chars(inside.data(), inside.data() + inside.size(), index);
  const bool number = error == std::errc() && end == inside.data() + inside.size();
  if (!filter && !number && inside != "*" && inside != "-1:") return false;
  for (const json::value* value : values) {
    const json::array* array = value->if_array();
    if (array == nullptr || array->empty()) continue;
    const int size = static_cast<int>(array->size());
    const int at = number ? (index < 0 ? index + size : index) : size - 1;
    for (int i = 0; i < size; ++i) {
      const json::value& item = (*array)[static_cast<std::size_t>(i)];
      const bool take = filter          ? StringOr(item, name, "") == wanted
                        : inside == "*" ? true
                                        : i == at;
      if (take) out.push_back(&item);
    }
  }
  values = std::move(out);
  return true;
}

std::string TextOf(const json::value& value) {
  if (const json::string* text = value.if_string()) return std::string(View(*text));
  if (value.is_null()) return {};
  if (const json::array* array = value.if_array()) {
    std::string out;
    for (const json::value& item : *array) {
      const std::string text = TextOf(item);
      if (!out.empty() && !text.empty()) out += ',';
      out += text;
    }
    return out;
  }
  return json::serialize(value);
}

}  // namespace

Result<std::vector<const json::value*>> Select(const json::value& value, std::string_view path) {
  const std::string_view whole = path;
  const auto bad = [&] {
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" is not a path that is understood; write it like "
                            "'.status.conditions[?(@.type==\"Ready\")].status'",
                            whole));
  };
  Values values{&value};
  while (!path.empty()) {
    if (path[0] == '.') {
      path.remove_prefix(1);
      const std::string name = TakeName(path);
      if (name.empty()) return bad();
      values = Members(values, name);
      continue;
    }
    const std::size_t close = path.find(']');
    if (path[0] != '[' || close == std::string_view::npos ||
        !Items(values, path.substr(1, close - 1)))
      return bad();
    path.remove_prefix(close + 1);
  }
  return values;
}

std::string CellText(const std::vector<const json::value*>& values) {
  std::string out;
  for (const json::value* value : values) {
    const std::string text = TextOf(*value);
    if (!out.empty() && !text.empty()) out += ',';
    out += text;
  }
  return out;
}

}  // namespace spillway::cli
