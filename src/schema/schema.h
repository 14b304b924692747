// The definitions of all kinds of objects: the custom resources of deploy/crds and the standard
// kinds the embedded mode supports, deploy/embedded. Those files are the only place where a field
// is defined. The language is the structural schema of Kubernetes:
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "schema/problem.h"
#include "schema/yaml.h"

namespace spillway::schema {

enum class Type { kAny, kObject, kArray, kString, kInteger, kBoolean };

// One compiled schema node. Shared definitions of deploy/embedded ($ref) are shared here as well.
struct Node {
  Type type = Type::kAny;
  std::string description;
  std::string format;             // as written, or the one that the pattern stands for
  bool int_or_string = false;     // x-kubernetes-int-or-string: becomes a string when read
  bool preserve_unknown = false;  // x-kubernetes-preserve-unknown-fields
  bool nullable = false;
  std::map<std::string, std::shared_ptr<const Node>, std::less<>> properties;
  std::shared_ptr<const Node> additional;  // additionalProperties
  std::shared_ptr<const Node> items;
  std::string key_format;  // x-spillway-key-format, only in deploy/embedded
  std::vector<std::string> required;
  std::vector<std::string> enumeration;
  std::string pattern;  // always with max_length; matched against the whole text as written
  std::shared_ptr<const std::regex> compiled_pattern;
  std::optional<std::int64_t> minimum, maximum;
  std::optional<std::size_t> min_length, max_length, min_items, max_items, max_properties;
  std::vector<std::vector<std::string>> one_of;  // each: the members that must be there
  std::vector<std::vector<std::string>> any_of;
  std::optional<json::value> default_value;

  // The first sentence of the description.
  std::string_view Hint() const;
};

// One column of a table of objects, as `get` prints it.
struct PrinterColumn {
  std::string name, type, json_path, description;
  int priority = 0;  // above 0: only with -o wide
};

struct Kind {
  std::string api_version;  // "batch/v1", "v1", "spillway.dev/v1alpha1"
  std::string kind, plural, singular;
  std::vector<std::string> short_names;
  bool namespaced = false;
  bool embedded = false;  // a standard kind, of which only a part is supported
  std::vector<PrinterColumn> columns;
  std::shared_ptr<const Node> schema;  // of the whole object, metadata included
};

// All kinds. Immutable, so it may be used by all threads.
class Schemas {
 public:
  // The compiled-in definitions. They were checked by the tests; a defect stops the process.
  static const Schemas& Embedded();

  // From texts: every file is one definition, or (kind EmbeddedSchema) a shared part. kInvalid
  // names the file, the place and the defect, such as a keyword this validator does not enforce.
  struct File {
    std::string_view name;
    std::string_view text;
  };
  static Result<Schemas> Load(const std::vector<File>& files);

  // nullptr when there is none.
  const Kind* Find(std::string_view api_version, std::string_view kind) const;
  // By what a person types: kind, plural, singular or short name, any case, "budgets.spillway.dev".
  const Kind* FindResource(std::string_view word) const;
  const std::vector<Kind>& kinds() const { return kinds_; }

 private:
  std::vector<Kind> kinds_;
};

// Checks one object (apiVersion, kind, metadata and everything below) and normalises it in place:
// defaults are added, quantities given as numbers become strings. An object that passes holds no
// fractions. Problems are in the order of the text, at most kMaxProblems.
inline constexpr std::size_t kMaxProblems = 50;
std::vector<Problem> Validate(const Schemas& schemas, std::string_view file, Document& document);

// The same for a part, `field` being its name in problems: for example a status alone.
std::vector<Problem> ValidateNode(const Node& schema, std::string_view file, json::value& value,
                                  const Place& place, std::string_view field, bool embedded);

}  // namespace spillway::schema
