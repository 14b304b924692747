#include <fmt/format.h>

#include <algorithm>

#include "schema/format.h"
#include "schema/schema.h"

namespace spillway::schema {
namespace {

// The way from the root to a node; written out only when there is a problem.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;  // a member, or
  std::size_t index = 0;  // an item when `item` is set
  bool item = false;

  std::string Text() const {
    if (parent == nullptr) return std::string(name);
    return item ? ItemPath(parent->Text(), index) : MemberPath(parent->Text(), name);
  }
};

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kObject:
      return "a map of fields";
    case Type::kArray:
      return "a list";
    case Type::kString:
      return "text";
    case Type::kInteger:
      return "a whole number";
    case Type::kBoolean:
      return "true or false";
    case Type::kAny:
      break;
  }
  return "a value";
}

std::string_view KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::object:
      return "a map of fields";
    case json::kind::array:
      return "a list";
    case json::kind::string:
      return "text";
    case json::kind::bool_:
      return "true or false";
    case json::kind::double_:
      return "a fraction";
    case json::kind::null:
      return "empty";
    default:
      return "a number";
  }
}

bool Present(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found != nullptr && !found->is_null();
}

std::vector<std::string_view> Names(const Node& schema) {
  std::vector<std::string_view> names;
  for (const auto& [name, child] : schema.properties) names.push_back(name);
  return names;
}

std::size_t CountCharacters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

class Validator {
 public:
  Validator(std::string_view file, bool embedded, std::vector<Problem>& problems)
      : file_(file), embedded_(embedded), problems_(problems) {}

  // The depth of `value` is bounded by the reader.
  void Check(const Node& schema, json::value& value, const Place& place, const Path& path) {
    if (Full()) return;
    if (schema.int_or_string) return CheckQuantity(schema, value, place, path);
    if (value.is_string() && schema.type == Type::kString)
      return CheckText(schema, View(value.get_string()), place, path);
    if (value.is_object() && (schema.type == Type::kObject || schema.type == Type::kAny))
      return CheckObject(schema, value.get_object(), place, path);
    if (value.is_array() && (schema.type == Type::kArray || schema.type == Type::kAny))
      return CheckArray(schema, value.get_array(), place, path);
    if (value.is_int64() && schema.type == Type::kInteger)
      return CheckInteger(schema, value.get_int64(), place, path);
    if (value.is_bool() && schema.type == Type::kBoolean) return;
    if (value.is_null() && schema.nullable) return;
    if (schema.type == Type::kAny) return CheckFree(value, place, path);
    WrongType(schema, value, place, path);
  }

 private:
  bool Full() const { return problems_.size() >= kMaxProblems; }

  void Report(Position at, const Path& path, std::string wrong, std::string right) {
    if (!Full())
      problems_.push_back(
          {std::string(file_), at, path.Text(), std::move(wrong), std::move(right)});
  }

  // The value is not shown: it may be a secret in the wrong place.
  void WrongType(const Node& schema, const json::value& value, const Place& place,
                 const Path& path) {
    if (schema.type == Type::kString && !schema.format.empty() && !place.raw.empty() &&
        (value.is_number() || value.is_bool())) {
      if (const auto error = CheckFormat(schema.format, place.raw))
        return Report(place.at, path, error->wrong, error->right);
    }
    if (schema.type == Type::kString && (value.is_number() || value.is_bool())) {
      const bool word = value.is_bool() && !place.raw.empty() && place.raw[0] != 't' &&
                        place.raw[0] != 'f' && place.raw[0] != 'T' && place.raw[0] != 'F';
      return Report(place.at, path, fmt::format("is {}, not text", KindName(value)),
                    word
                        ? fmt::format("put it in quotes, \"{}\": kubectl reads the bare word as {}",
                                      place.raw, value.get_bool() ? "true" : "false")
                        : "put it in quotes");
    }
    std::string right(TypeName(schema.type));
    if (!schema.Hint().empty()) right += fmt::format(" ({})", schema.Hint());
    Report(place.at, path,
           value.is_null() ? std::string("is empty")
                           : fmt::format("is {}, not {}", KindName(value), TypeName(schema.type)),
           std::move(right));
  }

  // Below a node that takes anything: still no fractions, which records cannot hold.
  void CheckFree(const json::value& value, const Place& place, const Path& path) {
    if (value.is_double()) Report(place.at, path, "is a fraction", "put it in quotes");
  }

  void CheckQuantity(const Node& schema, json::value& value, const Place& place, const Path& path) {
    if (value.is_number()) {
      std::string text = place.raw;
      if (text.empty() && value.is_int64()) text = fmt::format("{}", value.get_int64());
      if (text.empty()) return Report(place.at, path, "is a fraction", "put it in quotes");
      value = json::string(text);
    }
    if (!value.is_string())
      return Report(place.at, path, fmt::format("is {}, not a quantity", KindName(value)),
                    "write it like 500m, 2, 16Gi or 1e3");
    CheckText(schema, View(value.get_string()), place, path);
  }

  void CheckText(const Node& schema, std::string_view text, const Place& place, const Path& path) {
    const bool secret = schema.format == "byte" || schema.format == "password";
    const auto shown = [&] {
      return secret ? std::string("the value") : '"' + Printable(text) + '"';
    };
    const std::string hint(schema.Hint());
    if (!schema.enumeration.empty()) {
      const auto& list = schema.enumeration;
      if (std::find(list.begin(), list.end(), text) != list.end()) return;
      const std::vector<std::string_view> names(list.begin(), list.end());
      return Report(place.at, path, shown() + " is not allowed here",
                    Suggest(text, names, "one of "));
    }
    const std::size_t length = CountCharacters(text);
    if (schema.min_length && length < *schema.min_length)
      return Report(place.at, path, length == 0 ? "is empty" : "is too short", hint);
    if (schema.max_length && length > *schema.max_length)
      return Report(place.at, path, fmt::format("is {} characters long", length),
                    fmt::format("at most {}", *schema.max_length));
    if (!schema.format.empty())
      if (const auto error = CheckFormat(schema.format, text))
        return Report(place.at, path, error->wrong, error->right);
    if (schema.compiled_pattern &&
        !std::regex_search(text.begin(), text.end(), *schema.compiled_pattern))
      Report(place.at, path, shown() + " does not have the right form", hint);
  }

  void CheckInteger(const Node& schema, std::int64_t number, const Place& place, const Path& path) {
    const bool low = schema.minimum && number < *schema.minimum;
    const bool high = schema.maximum && number > *schema.maximum;
    if (!low && !high) return;
    std::string range = schema.minimum && schema.maximum
                            ? fmt::format("{} to {}", *schema.minimum, *schema.maximum)
                        : schema.minimum ? fmt::format("{} or more", *schema.minimum)
                                         : fmt::format("{} or less", *schema.maximum);
    Report(place.at, path, fmt::format("{} is too {}", number, low ? "small" : "large"),
           std::move(range));
  }

  void CheckArray(const Node& schema, json::array& array, const Place& place, const Path& path) {
    const std::size_t size = array.size();
    const auto hint = schema.Hint().empty() ? std::string() : fmt::format(" ({})", schema.Hint());
    if (schema.min_items && size < *schema.min_items)
      Report(place.at, path, size == 0 ? "is an empty list" : fmt::format("has {} items", size),
             fmt::format("at least {}{}", *schema.min_items, hint));
    if (schema.max_items && size > *schema.max_items)
      return Report(place.at, path, fmt::format("has {} items", size),
                    fmt::format("at most {}{}", *schema.max_items, hint));
    static const Node kFree;
    const Node& items = schema.items ? *schema.items : kFree;
    for (std::size_t i = 0; i < size && !Full(); ++i)
      Check(items, array[i], place.Child(i), {&path, {}, i, true});
  }

  void CheckObject(const Node& schema, json::object& object, const Place& place, const Path& path) {
    AddDefaults(schema, object);
    if (schema.max_properties && object.size() > *schema.max_properties)
      return Report(place.at, path, fmt::format("has {} members", object.size()),
                    fmt::format("at most {}", *schema.max_properties));
    std::vector<std::string_view> meant;  // known names that mistyped ones stand for
    bool unknown = false;
    std::size_t i = 0;
    for (auto& member : object) {
      if (Full()) return;
      if (CheckMember(schema, member.key(), member.value(), place.Child(i++), path)) continue;
      unknown = true;
      meant.push_back(Nearest(member.key(), Names(schema)));
    }
    for (const std::string& name : schema.required)
      if (!Present(object, name) && std::find(meant.begin(), meant.end(), name) == meant.end()) {
        const auto& child = schema.properties.at(name);
        Report(place.at, {&path, name, 0, false}, "is missing",
               child->Hint().empty() ? std::string(TypeName(child->type))
                                     : std::string(child->Hint()));
      }
    if (!unknown) CheckChoices(schema, object, place, path);
  }

  // False when the schema does not know the member.
  bool CheckMember(const Node& schema, std::string_view key, json::value& value, const Place& place,
                   const Path& parent) {
    const Path path{&parent, key, 0, false};
    const auto found = schema.properties.find(key);
    if (found != schema.properties.end()) {
      // As in Kubernetes, a member without a value is a member that is not there.
      if (!value.is_null()) Check(*found->second, value, place, path);
      return true;
    }
    if (schema.additional) {
      if (const auto error = CheckFormat(schema.key_format, key))
        Report(place.key, path, error->wrong, error->right);
      Check(*schema.additional, value, place, path);
      return true;
    }
    if (schema.preserve_unknown || schema.type == Type::kAny) {
      static const Node kFree;
      Check(kFree, value, place, path);
      return true;
    }
    const auto names = Names(schema);
    const std::string_view wrong =
        embedded_ ? "is not supported in the embedded mode" : "is not a known field";
    Report(place.key, path, std::string(wrong),
           names.empty() ? "remove it" : Suggest(key, names, "remove it; known here: "));
    return false;
  }

  static void AddDefaults(const Node& schema, json::object& object) {
    for (const auto& [name, child] : schema.properties)
      if (child->default_value && !Present(object, name)) object[name] = *child->default_value;
  }

  void CheckChoices(const Node& schema, const json::object& object, const Place& place,
                    const Path& path) {
    for (const auto* choices : {&schema.one_of, &schema.any_of}) {
      if (choices->empty()) continue;
      std::size_t met = 0;
      std::vector<std::string_view> names;
      for (const auto& choice : *choices) {
        met += std::all_of(choice.begin(), choice.end(),
                           [&](const std::string& name) { return Present(object, name); });
        names.insert(names.end(), choice.begin(), choice.end());
      }
      const std::string list = Join(names);
      if (met == 0)
        Report(place.at, path, fmt::format("none of {} is given", list),
               choices == &schema.one_of ? "exactly one of them" : "at least one of them");
      else if (met > 1 && choices == &schema.one_of)
        Report(place.at, path, fmt::format("more than one of {} is given", list),
               "exactly one of them");
    }
  }

  std::string_view file_;
  bool embedded_;
  std::vector<Problem>& problems_;
};

// Where a member stands, or the object when it has none.
Position MemberAt(const Document& document, std::string_view name) {
  const auto* object = document.value.if_object();
  const auto* found = object == nullptr ? nullptr : object->find(name);
  if (object == nullptr || found == object->end()) return document.place.at;
  return document.place.Child(static_cast<std::size_t>(found - object->begin())).at;
}

// The kind a document claims to be, or the problem.
const Kind* Identify(const Schemas& schemas, std::string_view file, const Document& document,
                     std::vector<Problem>& problems) {
  const auto report = [&](Position at, std::string_view field, std::string wrong,
                          std::string right) {
    problems.push_back(
        {std::string(file), at, std::string(field), std::move(wrong), std::move(right)});
    return nullptr;
  };
  const json::value& value = document.value;
  if (!value.is_object())
    return report(document.place.at, "", fmt::format("the document is {}", KindName(value)),
                  "an object with apiVersion, kind and metadata");
  const std::string_view kind = StringOr(value, "kind", ""),
                         version = StringOr(value, "apiVersion", "");
  if (kind.empty())
    return report(MemberAt(document, "kind"), "kind", "is missing or not text",
                  "the kind of object, for example Job");
  if (const Kind* found = schemas.Find(version, kind)) return found;
  std::vector<std::string_view> kinds;
  for (const Kind& known : schemas.kinds()) {
    if (known.kind == kind)
      return report(MemberAt(document, "apiVersion"), "apiVersion",
                    version.empty()
                        ? std::string("is missing")
                        : fmt::format("\"{}\" is not served for {}", Printable(version), kind),
                    known.api_version);
    kinds.push_back(known.kind);
  }
  return report(MemberAt(document, "kind"), "kind",
                fmt::format("\"{}\" is not a known kind", Printable(kind)),
                Suggest(kind, kinds, "one of "));
}

}  // namespace

std::vector<Problem> ValidateNode(const Node& schema, std::string_view file, json::value& value,
                                  const Place& place, std::string_view field, bool embedded) {
  std::vector<Problem> problems;
  Validator(file, embedded, problems).Check(schema, value, place, {nullptr, field, 0, false});
  // Defaults were put behind the written members, required ones are missed last: sort by place.
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  return problems;
}

std::vector<Problem> Validate(const Schemas& schemas, std::string_view file, Document& document) {
  std::vector<Problem> problems;
  const Kind* kind = Identify(schemas, file, document, problems);
  if (kind == nullptr) return problems;
  return ValidateNode(*kind->schema, file, document.value, document.place, "", kind->embedded);
}

}  // namespace spillway::schema
