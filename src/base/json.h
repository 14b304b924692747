// Boost.JSON with the few accessors we use everywhere, and one canonical form.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace spillway {

namespace json = boost::json;

// Parses one JSON document; kInvalid with the byte offset on error. Depth is limited to 64 and
// size by the caller.
Result<json::value> ParseJson(std::string_view text);

// Canonical text: object members sorted by key (bytewise), no spaces, integers as integers. The
// same value always gives the same bytes, so it can be hashed and signed. Doubles are refused
// (SPW_CHECK): records carry integers and strings only.
std::string CanonicalJson(const json::value& value);

// Two spaces per level, members in their order, newline at the end.
std::string PrettyJson(const json::value& value);

// Lookups that never throw. A missing member, null or another type gives nullptr / nullopt /
// the default.
const json::value* Find(const json::value& value, std::string_view key);
const json::value* FindPath(const json::value& value, std::initializer_list<std::string_view> path);
const json::object* FindObject(const json::value& value, std::string_view key);
const json::array* FindArray(const json::value& value, std::string_view key);
std::string_view StringOr(const json::value& value, std::string_view key,
                          std::string_view fallback);
std::int64_t IntOr(const json::value& value, std::string_view key, std::int64_t fallback);
bool BoolOr(const json::value& value, std::string_view key, bool fallback);

inline std::string_view View(const json::string& s) {
  return {s.data(), s.size()};
}

}  // namespace spillway
