#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace spillway {
namespace {

void Canonical(const json::value& value, std::string& out) {
  switch (value.kind()) {
    case json::kind::object: {
      std::vector<const json::key_value_pair*> members;
      for (const auto& member : value.get_object()) members.push_back(&member);
      std::sort(members.begin(), members.end(),
                [](const auto* a, const auto* b) { return a->key() < b->key(); });
      out += '{';
      bool first = true;
      for (const auto* member : members) {
        if (!first) out += ',';
        first = false;
        out += json::serialize(json::string(member->key()));
        out += ':';
        Canonical(member->value(), out);
      }
      out += '}';
      return;
    }
    case json::kind::array: {
      out += '[';
      bool first = true;
      for (const auto& item : value.get_array()) {
        if (!first) out += ',';
        first = false;
        Canonical(item, out);
      }
      out += ']';
      return;
    }
    case json::kind::double_:
      SPW_CHECK(false, "a record must not hold a floating point number");
      return;
    default:
      out += json::serialize(value);
  }
}

void Pretty(const json::value& value, std::string& out, std::string& indent) {
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    out += "{\n";
    indent += "  ";
    bool first = true;
    for (const auto& member : *object) {
      if (!first) out += ",\n";
      first = false;
      out += indent + json::serialize(json::string(member.key())) + ": ";
      Pretty(member.value(), out, indent);
    }
    indent.resize(indent.size() - 2);
    out += "\n" + indent + "}";
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    out += "[\n";
    indent += "  ";
    bool first = true;
    for (const auto& item : *array) {
      if (!first) out += ",\n";
      first = false;
      out += indent;
      Pretty(item, out, indent);
    }
    indent.resize(indent.size() - 2);
    out += "\n" + indent + "]";
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

Result<json::value> ParseJson(std::string_view text) {
  json::parse_options options;
  options.max_depth = 64;
  json::error_code error;
  json::stream_parser parser({}, options);
  const std::size_t used = parser.write_some(text, error);
  if (!error && used < text.size() &&
      text.substr(used).find_first_not_of(" \t\r\n") != std::string_view::npos)
    error = json::error::extra_data;
  if (!error) parser.finish(error);
  if (error)
    return Fail(Code::kInvalid, fmt::format("not JSON: {} at byte {}", error.message(), used));
  return parser.release();
}

std::string CanonicalJson(const json::value& value) {
  std::string out;
  Canonical(value, out);
  return out;
}

std::string PrettyJson(const json::value& value) {
  std::string out, indent;
  Pretty(value, out, indent);
  return out + "\n";
}

const json::value* Find(const json::value& value, std::string_view key) {
  const json::object* object = value.if_object();
  const json::value* found = object == nullptr ? nullptr : object->if_contains(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

const json::value* FindPath(const json::value& value,
                            std::initializer_list<std::string_view> path) {
  const json::value* current = &value;
  for (std::string_view key : path) {
    current = Find(*current, key);
    if (current == nullptr) return nullptr;
  }
  return current;
}

const json::object* FindObject(const json::value& value, std::string_view key) {
  const json::value* found = Find(value, key);
  return found == nullptr ? nullptr : found->if_object();
}

const json::array* FindArray(const json::value& value, std::string_view key) {
  const json::value* found = Find(value, key);
  return found == nullptr ? nullptr : found->if_array();
}

std::string_view StringOr(const json::value& value, std::string_view key,
                          std::string_view fallback) {
  const json::value* found = Find(value, key);
  return found != nullptr && found->is_string() ? View(found->get_string()) : fallback;
}

std::int64_t IntOr(const json::value& value, std::string_view key, std::int64_t fallback) {
  const json::value* found = Find(value, key);
  if (found == nullptr) return fallback;
  if (found->is_int64()) return found->get_int64();
  if (found->is_uint64() && found->get_uint64() <= INT64_MAX)
    return static_cast<std::int64_t>(found->get_uint64());
  return fallback;
}

bool BoolOr(const json::value& value, std::string_view key, bool fallback) {
  const json::value* found = Find(value, key);
  return found != nullptr && found->is_bool() ? found->get_bool() : fallback;
}

}  // namespace spillway
