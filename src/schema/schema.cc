#include "schema/schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "schema/embedded_files.h"
#include "schema/format.h"

namespace spillway::schema {
namespace {

using NodePtr = std::shared_ptr<const Node>;
using Shared = std::map<std::string, NodePtr, std::less<>>;

std::vector<std::string> Strings(const json::value& list) {
  std::vector<std::string> out;
  if (const auto* array = list.if_array())
    for (const auto& item : *array)
      if (item.is_string()) out.emplace_back(View(item.get_string()));
  return out;
}

// Turns the JSON form of a schema into Nodes. Every keyword must be one that is enforced (or plain
// documentation), so that a definition cannot promise a check that does not happen.
class Compiler {
 public:
  Compiler(std::string_view file, const Shared& shared) : file_(file), shared_(shared) {}

  Result<NodePtr> Compile(const json::value& source, const std::string& where) {
    const auto* object = source.if_object();
    if (object == nullptr) return Bad(where, "a schema must be a map");
    if (const auto* ref = object->if_contains("$ref")) return Resolve(*ref, where);
    Node node;
    for (const auto& member : *object) SPW_TRY(Keyword(node, member.key(), member.value(), where));
    if (!node.pattern.empty() && !node.max_length && node.enumeration.empty())
      return Bad(where, "a pattern needs a maxLength");
    for (const std::string& name : node.required)
      if (!node.properties.contains(name)) return Bad(where, name + " is required but not defined");
    return std::make_shared<const Node>(std::move(node));
  }

 private:
  tl::unexpected<Error> Bad(const std::string& where, std::string_view what) const {
    return Fail(Code::kInvalid, fmt::format("{}: {}: {}", file_, where, what));
  }

  Result<NodePtr> Resolve(const json::value& ref, const std::string& where) const {
    const auto found = ref.is_string() ? shared_.find(View(ref.get_string())) : shared_.end();
    if (found == shared_.end()) return Bad(where, "$ref names no shared part");
    return found->second;
  }

  Status SetType(Node& node, const json::value& value, const std::string& where) {
    static const std::map<std::string, Type, std::less<>> kTypes = {{"object", Type::kObject},
                                                                    {"array", Type::kArray},
                                                                    {"string", Type::kString},
                                                                    {"integer", Type::kInteger},
                                                                    {"boolean", Type::kBoolean}};
    const auto found = value.is_string() ? kTypes.find(View(value.get_string())) : kTypes.end();
    if (found == kTypes.end()) return Bad(where, "unknown type");
    node.type = found->second;
    return Ok();
  }

  Status SetPattern(Node& node, const json::value& value, const std::string& where) {
    node.pattern = View(value.as_string());
    if (node.format.empty()) node.format = FormatOfPattern(node.pattern);
    try {
      node.compiled_pattern =
          std::make_shared<const std::regex>(node.pattern, std::regex::ECMAScript);
    } catch (const std::regex_error& error) {
      return Bad(where, fmt::format("the pattern is wrong: {}", error.what()));
    }
    return Ok();
  }

  Status SetProperties(Node& node, const json::value& value, const std::string& where) {
    for (const auto& member : value.as_object()) {
      const std::string name(member.key());
      SPW_ASSIGN(NodePtr child, Compile(member.value(), where + "." + name));
      node.properties.emplace(name, std::move(child));
    }
    return Ok();
  }

  Status SetChoices(std::vector<std::vector<std::string>>& choices, const json::value& value,
                    const std::string& where) {
    for (const auto& choice : value.as_array()) {
      const auto* object = choice.if_object();
      if (object == nullptr || object->size() != 1 || !object->contains("required"))
        return Bad(where, "oneOf and anyOf may only list {required: [...]}");
      choices.push_back(Strings(object->at("required")));
    }
    return Ok();
  }

  // Throws what Boost.JSON throws when the value has the wrong type; Load catches it.
  Status Keyword(Node& node, std::string_view key, const json::value& value,
                 const std::string& where) {
    const auto size = [&] { return static_cast<std::size_t>(value.to_number<std::uint64_t>()); };
    if (key == "type") return SetType(node, value, where);
    if (key == "properties") return SetProperties(node, value, where);
    if (key == "pattern") return SetPattern(node, value, where);
    if (key == "oneOf") return SetChoices(node.one_of, value, where);
    if (key == "anyOf") return SetChoices(node.any_of, value, where);
    if (key == "items" || key == "additionalProperties") {
      SPW_ASSIGN(NodePtr child, Compile(value, where + (key == "items" ? "[]" : ".*")));
      (key == "items" ? node.items : node.additional) = std::move(child);
      return Ok();
    }
    if (key == "description")
      node.description = View(value.as_string());
    else if (key == "format")
      node.format = View(value.as_string());
    else if (key == "x-spillway-key-format")
      node.key_format = View(value.as_string());
    else if (key == "x-kubernetes-int-or-string")
      node.int_or_string = value.as_bool();
    else if (key == "x-kubernetes-preserve-unknown-fields")
      node.preserve_unknown = value.as_bool();
    else if (key == "nullable")
      node.nullable = value.as_bool();
    else if (key == "required")
      node.required = Strings(value);
    else if (key == "enum")
      node.enumeration = Strings(value);
    else if (key == "default")
      node.default_value = value;
    else if (key == "minimum")
      node.minimum = value.to_number<std::int64_t>();
    else if (key == "maximum")
      node.maximum = value.to_number<std::int64_t>();
    else if (key == "minLength")
      node.min_length = size();
    else if (key == "maxLength")
      node.max_length = size();
    else if (key == "minItems")
      node.min_items = size();
    else if (key == "maxItems")
      node.max_items = size();
    else if (key == "maxProperties")
      node.max_properties = size();
    else if (key != "x-kubernetes-list-type" && key != "x-kubernetes-list-map-keys" &&
             key != "x-kubernetes-map-type" && key != "x-kubernetes-validations")
      return Bad(where, fmt::format("the keyword {} is not enforced", key));
    return Ok();
  }

  std::string_view file_;
  const Shared& shared_;
};

// The object schema of a definition, with the parts every object has.
NodePtr Whole(const Node& defined, const NodePtr& object_meta) {
  auto whole = std::make_shared<Node>(defined);
  auto text = std::make_shared<Node>();
  text->type = Type::kString;
  whole->properties["apiVersion"] = text;
  whole->properties["kind"] = text;
  whole->properties["metadata"] = object_meta;
  whole->required.insert(whole->required.begin(), "metadata");
  return whole;
}

std::string Text(const json::value& value, std::string_view key) {
  return std::string(StringOr(value, key, ""));
}

std::vector<PrinterColumn> Columns(const json::value& version) {
  std::vector<PrinterColumn> out;
  if (const auto* columns = FindArray(version, "additionalPrinterColumns"))
    for (const auto& column : *columns)
      out.push_back({Text(column, "name"), Text(column, "type"), Text(column, "jsonPath"),
                     Text(column, "description"), static_cast<int>(IntOr(column, "priority", 0))});
  return out;
}

Result<Kind> CompileKind(std::string_view file, const json::value& definition,
                         const Shared& shared) {
  const auto bad = [&](std::string_view what) {
    return Fail(Code::kInvalid, fmt::format("{}: {}", file, what));
  };
  const json::value* spec = Find(definition, "spec");
  const json::value* names = spec == nullptr ? nullptr : Find(*spec, "names");
  const json::array* versions = spec == nullptr ? nullptr : FindArray(*spec, "versions");
  if (names == nullptr || versions == nullptr || versions->size() != 1)
    return bad("a definition needs spec.names and exactly one of spec.versions");
  const json::value& version = versions->front();
  const json::value* schema = FindPath(version, {"schema", "openAPIV3Schema"});
  const auto meta = shared.find("objectmeta");
  if (schema == nullptr || meta == shared.end())
    return bad("no schema.openAPIV3Schema, or no shared part objectmeta");
  const std::string group = Text(*spec, "group");
  Kind kind;
  kind.api_version = (group.empty() ? "" : group + "/") + Text(version, "name");
  kind.kind = Text(*names, "kind");
  kind.plural = Text(*names, "plural");
  kind.singular = Text(*names, "singular");
  if (const auto* list = Find(*names, "shortNames")) kind.short_names = Strings(*list);
  kind.namespaced = StringOr(*spec, "scope", "") == "Namespaced";
  kind.embedded = StringOr(definition, "kind", "") != "CustomResourceDefinition";
  kind.columns = Columns(version);
  SPW_ASSIGN(const NodePtr compiled, Compiler(file, shared).Compile(*schema, kind.kind));
  kind.schema = Whole(*compiled, meta->second);
  return kind;
}

bool SameWord(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; };
    return lower(x) == lower(y);
  });
}

Status LoadFiles(const std::vector<Schemas::File>& files, std::vector<Kind>& kinds) {
  std::vector<std::pair<std::string_view, json::value>> definitions;
  Shared shared;
  for (const auto& file : files) {
    auto documents = ReadYaml(file.name, file.text);
    if (!documents) return Fail(Code::kInvalid, FormatProblem(documents.error()));
    for (Document& document : *documents) {
      if (StringOr(document.value, "kind", "") != "EmbeddedSchema") {
        definitions.emplace_back(file.name, std::move(document.value));
        continue;
      }
      const json::value* name = FindPath(document.value, {"metadata", "name"});
      const json::value* schema = Find(document.value, "schema");
      if (name == nullptr || !name->is_string() || schema == nullptr)
        return Fail(Code::kInvalid, fmt::format("{}: metadata.name or schema missing", file.name));
      SPW_ASSIGN(NodePtr node, Compiler(file.name, shared).Compile(*schema, "schema"));
      shared.emplace(View(name->get_string()), std::move(node));
    }
  }
  for (const auto& [file, definition] : definitions) {
    SPW_ASSIGN(Kind kind, CompileKind(file, definition, shared));
    kinds.push_back(std::move(kind));
  }
  return Ok();
}

}  // namespace

std::string_view Node::Hint() const {
  const std::string_view all = description;
  const std::size_t end = all.find(". ");
  const std::string_view first = all.substr(0, end);
  return end == std::string_view::npos && first.ends_with('.') ? first.substr(0, first.size() - 1)
                                                               : first;
}

Result<Schemas> Schemas::Load(const std::vector<File>& files) {
  try {
    Schemas schemas;
    SPW_TRY(LoadFiles(files, schemas.kinds_));
    return schemas;
  } catch (const std::exception& error) {  // Boost.JSON: a keyword's value has the wrong type
    return Fail(Code::kInvalid, fmt::format("a definition is wrong: {}", error.what()));
  }
}

const Schemas& Schemas::Embedded() {
  static const Schemas schemas = [] {
    std::vector<File> files;
    for (const EmbeddedFile& file : EmbeddedFiles()) files.push_back({file.name, file.text});
    auto loaded = Load(files);
    SPW_CHECK(loaded.has_value(), loaded ? std::string_view() : loaded.error().message);
    return std::move(*loaded);
  }();
  return schemas;
}

const Kind* Schemas::Find(std::string_view api_version, std::string_view kind) const {
  for (const Kind& known : kinds_)
    if (known.api_version == api_version && known.kind == kind) return &known;
  return nullptr;
}

const Kind* Schemas::FindResource(std::string_view word) const {
  for (const Kind& known : kinds_) {
    const std::size_t slash = known.api_version.find('/');
    const std::string group = slash == std::string::npos ? "" : known.api_version.substr(0, slash);
    const bool named = SameWord(word, known.kind) || SameWord(word, known.plural) ||
                       SameWord(word, known.singular) ||
                       (!group.empty() && SameWord(word, known.plural + "." + group));
    const auto& shorts = known.short_names;
    if (named || std::any_of(shorts.begin(), shorts.end(),
                             [&](const std::string& name) { return SameWord(word, name); }))
      return &known;
  }
  return nullptr;
}

}  // namespace spillway::schema
