// A node of a document together with its place and its field path, for rules written by hand.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "schema/problem.h"
#include "schema/yaml.h"

namespace spillway::schema {

class Cursor {
 public:
  Cursor(const json::value* value, const Place* place, std::string path)
      : value_(value), place_(place), path_(std::move(path)) {}
  explicit Cursor(const Document& document) : Cursor(&document.value, &document.place, "") {}

  // False when the node is not there (or null); its place is then the nearest one that is.
  explicit operator bool() const { return value_ != nullptr && !value_->is_null(); }

  Cursor operator[](std::string_view name) const {
    std::string path = MemberPath(path_, name);
    const auto* object = value_ == nullptr ? nullptr : value_->if_object();
    if (object == nullptr) return {nullptr, place_, std::move(path)};
    const auto* found = object->find(name);
    if (found == object->end()) return {nullptr, place_, std::move(path)};
    const auto index = static_cast<std::size_t>(found - object->begin());
    return {&found->value(), &place_->Child(index), std::move(path)};
  }

  // Empty when it is not a list.
  std::vector<Cursor> Items() const {
    std::vector<Cursor> items;
    if (const auto* array = value_ == nullptr ? nullptr : value_->if_array())
      for (std::size_t i = 0; i < array->size(); ++i)
        items.emplace_back(&(*array)[i], &place_->Child(i), ItemPath(path_, i));
    return items;
  }

  // Members with their names; empty when it is not a map.
  std::vector<std::pair<std::string_view, Cursor>> Members() const {
    std::vector<std::pair<std::string_view, Cursor>> members;
    if (const auto* object = value_ == nullptr ? nullptr : value_->if_object())
      for (const auto& member : *object)
        members.emplace_back(member.key(), Cursor(&member.value(), &place_->Child(members.size()),
                                                  MemberPath(path_, member.key())));
    return members;
  }

  // "" when it is not text.
  std::string_view Text() const {
    return value_ != nullptr && value_->is_string() ? View(value_->get_string())
                                                    : std::string_view();
  }
  bool Flag(bool fallback) const {
    return value_ != nullptr && value_->is_bool() ? value_->get_bool() : fallback;
  }
  std::int64_t Integer(std::int64_t fallback) const {
    return value_ != nullptr && value_->is_int64() ? value_->get_int64() : fallback;
  }

  Position at() const { return place_->at; }
  Position key_at() const { return place_->key.line > 0 ? place_->key : place_->at; }
  const std::string& path() const { return path_; }

 private:
  const json::value* value_;
  const Place* place_;
  std::string path_;
};

}  // namespace spillway::schema
