// For tests: holds answers against the schemas of api/openapi.yaml.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "base/json.h"
#include "schema/yaml.h"
#include "server/api_document.h"

namespace spillway::server {

// The part of JSON Schema that the document uses.
class AnswerCheck {
 public:
  AnswerCheck() {
    auto documents = schema::ReadYaml("openapi.yaml", ApiDocument());
    SPW_CHECK(documents && documents->size() == 1,
              documents ? "one document" : schema::FormatProblem(documents.error()));
    document_ = std::move(documents->front().value);
  }

  const json::value& document() const { return document_; }

  // What is wrong with this answer, empty if nothing is. `method` in lower case.
  std::string Problem(std::string_view method, std::string_view path, int status,
                      const json::value& answer) const {
    const json::value* responses = FindPath(document_, {"paths", path, method, "responses"});
    if (responses == nullptr) return "the operation is not in the document";
    const json::value* response = Find(*responses, std::to_string(status));
    if (response == nullptr) response = Find(*responses, "default");
    if (response == nullptr) return "the status is not in the document";
    const json::value* schema =
        FindPath(Resolve(*response), {"content", "application/json", "schema"});
    if (schema == nullptr) return "the status has no schema";
    return Check(*schema, answer, "answer");
  }

  std::string Check(const json::value& reference, const json::value& value,
                    const std::string& path) const {
    const json::value& schema = Resolve(reference);
    if (const json::array* options = FindArray(schema, "oneOf")) {
      const auto fits = [&](const json::value& o) { return Check(o, value, path).empty(); };
      return std::ranges::count_if(*options, fits) == 1 ? "" : path + ": fits not one of oneOf";
    }
    if (!HasType(schema, value)) return path + ": has another type";
    if (const json::array* words = FindArray(schema, "enum"))
      if (std::ranges::find(*words, value) == words->end()) return path + ": not in the enum";
    if (const json::array* items = value.if_array()) {
      const json::value* inner = Find(schema, "items");
      for (std::size_t i = 0; inner != nullptr && i < items->size(); ++i)
        if (auto wrong = Check(*inner, (*items)[i], path + "[" + std::to_string(i) + "]");
            !wrong.empty())
          return wrong;
    }
    return value.is_object() ? CheckMembers(schema, value.get_object(), path) : "";
  }

 private:
  std::string CheckMembers(const json::value& schema, const json::object& object,
                           const std::string& path) const {
    if (const json::array* required = FindArray(schema, "required"))
      for (const json::value& name : *required)
        if (!object.contains(View(name.get_string())))
          return path + ": lacks " + std::string(View(name.get_string()));
    const json::value* others = Find(schema, "additionalProperties");
    for (const auto& member : object) {
      const std::string name(member.key());
      const json::value* inner = FindPath(schema, {"properties", name});
      if (inner == nullptr && others != nullptr && others->is_bool() && !others->get_bool())
        return path + ": " + name + " is not in the document";
      if (inner == nullptr && others != nullptr && others->is_object()) inner = others;
      if (inner == nullptr) continue;
      if (auto wrong = Check(*inner, member.value(), path + "." + name); !wrong.empty())
        return wrong;
    }
    return "";
  }

  static bool IsOf(std::string_view type, const json::value& value) {
    if (type == "null") return value.is_null();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_bool();
    if (type == "integer") return value.is_int64() || value.is_uint64();
    if (type == "array") return value.is_array();
    return type == "object" && value.is_object();
  }

  static bool HasType(const json::value& schema, const json::value& value) {
    const json::value* type = Find(schema, "type");
    if (type == nullptr) return true;
    if (type->is_string()) return IsOf(View(type->get_string()), value);
    return std::ranges::any_of(type->get_array(), [&](const json::value& one) {
      return IsOf(View(one.get_string()), value);
    });
  }

  const json::value& Resolve(const json::value& value) const {
    std::string_view reference = StringOr(value, "$ref", "");
    if (reference.empty()) return value;
    const json::value* at = &document_;
    reference.remove_prefix(2);  // "#/"
    while (!reference.empty()) {
      const std::size_t slash = std::min(reference.find('/'), reference.size());
      at = Find(*at, reference.substr(0, slash));
      SPW_CHECK(at != nullptr, "a $ref that leads nowhere");
      reference.remove_prefix(std::min(slash + 1, reference.size()));
    }
    return Resolve(*at);
  }

  json::value document_;
};

}  // namespace spillway::server
