// The lookups of base/json.h for objects as they are. Without these overloads an object would be
// copied into a json::value for the call, and what is found would not outlive it.
#pragma once

#include <initializer_list>
#include <string_view>

#include "base/json.h"

namespace spillway::kube {

using spillway::BoolOr;
using spillway::Find;
using spillway::FindArray;
using spillway::FindObject;
using spillway::FindPath;
using spillway::IntOr;
using spillway::StringOr;

// nullptr or the fallback for a missing member, null or another type. Never throw.
inline const json::value* Find(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found != nullptr && !found->is_null() ? found : nullptr;
}
inline const json::object* FindObject(const json::object& object, std::string_view key) {
  const json::value* found = Find(object, key);
  return found == nullptr ? nullptr : found->if_object();
}
inline const json::array* FindArray(const json::object& object, std::string_view key) {
  const json::value* found = Find(object, key);
  return found == nullptr ? nullptr : found->if_array();
}
inline const json::value* FindPath(const json::object& object,
                                   std::initializer_list<std::string_view> path) {
  const json::object* at = &object;
  const json::value* found = nullptr;
  for (const std::string_view key : path) {
    if (at == nullptr || (found = Find(*at, key)) == nullptr) return nullptr;
    at = found->if_object();
  }
  return found;
}
inline std::string_view StringOr(const json::object& object, std::string_view key,
                                 std::string_view fallback) {
  const json::value* found = Find(object, key);
  return found != nullptr && found->is_string() ? View(found->get_string()) : fallback;
}
inline std::int64_t IntOr(const json::object& object, std::string_view key, std::int64_t fallback) {
  const json::value* found = Find(object, key);
  return found != nullptr && found->is_int64() ? found->get_int64() : fallback;
}
inline bool BoolOr(const json::object& object, std::string_view key, bool fallback) {
  const json::value* found = Find(object, key);
  return found != nullptr && found->is_bool() ? found->get_bool() : fallback;
}

}  // namespace spillway::kube
