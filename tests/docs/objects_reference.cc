#include "objects_reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "schema/format.h"

namespace spillway::docs {
namespace {

using schema::Kind;
using schema::Node;
using schema::Type;

constexpr std::size_t kColumns = 100;

constexpr std::string_view kHead = R"(# Objects

Everything that can be declared, field by field. Written by `docs_tool objects` out of `deploy/crds`
and `deploy/embedded`, the only places where a field is defined; a test keeps the two equal. A field
that is not listed is refused, so a spelling mistake is never ignored in silence.

Spillway's own kinds are the same YAML in the embedded mode and as custom resources. Of the standard
kinds the embedded mode supports the part below; what each part means is what Kubernetes says.

`[]` in a name stands for any item of a list, `*` for any member of a map.

## Text forms

| form | written like | meaning |
|---|---|---|
| money | `3.50 EUR`, `500 EUR` | euro with at most six decimals, never negative; no other currency |
| duration | `90s`, `10m`, `1h30m`, `500ms` | units `ms`, `s`, `m`, `h`; only `0` goes without |
| quantity | `500m`, `2`, `16Gi`, `1e3` | a Kubernetes quantity |
| date-time | `2026-11-24T08:15:30Z` | RFC 3339 |
| glob | `train/**`, `*.csv` | a relative path; `*` within one name, `**` any number of directories |
| dns-label | `vision` | at most 63 of `a-z`, `0-9` and `-`, a letter or digit at both ends |
| dns-subdomain | `gpu.site` | dns-labels joined by dots |

## Annotations

| annotation | on | value |
|---|---|---|
| `spillway.dev/dataset` | PersistentVolumeClaim | name of a Dataset: the claim is a read-only input |
| `spillway.dev/results` | PersistentVolumeClaim | a directory below the site's results root: results go there |
| `spillway.dev/results-dataset` | PersistentVolumeClaim | name of a Dataset in a bucket: the results' directory is there instead |
| `spillway.dev/select` | Pod, pod template | `CLAIM=GLOB[,GLOB...][;CLAIM=...]`: what a run needs of an input; the rest stays |
| `spillway.dev/shard` | Pod, pod template | `CLAIM=N[;CLAIM=N...]`: of an input in N shards a pod reads the one of its index; see [What leaves](../data.md#shards) |
| `spillway.dev/expected-duration` | Pod, pod template | how long one pod computes |
| `spillway.dev/gang` | Job | `all-or-nothing`: all its pods start together or none does |

Rented nodes carry the label and the taint `spillway.dev/burst` with the name of their BurstNode,
and the taint `spillway.dev/starting` until their data is there. Nobody has to write either.
)";

// Words of `text`, filled into lines of kColumns behind "first" and, from the second line on,
// `indent` spaces. A code span is one word.
std::string Fill(std::string_view first, std::size_t indent, std::string_view text) {
  std::string out(first);
  std::size_t column = first.size();
  bool line_empty = true;
  for (std::size_t at = 0; at < text.size();) {
    bool code = false;
    std::size_t end = at;
    while (end < text.size() && (code || text[end] != ' ')) {
      if (text[end] == '`') code = !code;
      ++end;
    }
    const std::string_view word = text.substr(at, end - at);
    at = std::min(end + 1, text.size());
    if (word.empty()) continue;
    if (!line_empty && column + 1 + word.size() > kColumns) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
      line_empty = true;
    }
    if (!line_empty) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    line_empty = false;
  }
  return out + '\n';
}

std::string Code(std::string_view text) {
  return fmt::format("`{}`", text);
}

std::string CodeList(const std::vector<std::string>& names, std::string_view between) {
  std::string out;
  for (const std::string& name : names) {
    if (!out.empty()) out += between;
    out += Code(name.empty() ? "\"\"" : name);
  }
  return out;
}

// "1 to 64 items", "at most 64 items", "exactly 1 item", or nothing.
template <typename T>
std::string Range(const std::optional<T>& low, const std::optional<T>& high,
                  std::string_view unit) {
  if (!low && !high) return {};
  std::string range;
  if (low && high)
    range = *low == *high ? fmt::format("exactly {}", *low) : fmt::format("{} to {}", *low, *high);
  else
    range = high ? fmt::format("at most {}", *high) : fmt::format("at least {}", *low);
  if (unit.empty()) return range;
  return fmt::format("{} {}{}", range, unit, high.value_or(T{0}) == T{1} ? "" : "s");
}

std::string TypeOf(const Node& node) {
  if (!node.enumeration.empty() && node.type == Type::kString)
    return (node.enumeration.size() > 1 ? "one of " : "only ") + CodeList(node.enumeration, ", ");
  switch (node.type) {
    case Type::kAny:
      return node.format.empty() ? "anything" : node.format;
    case Type::kObject:
      return node.additional ? "map" : "object";
    case Type::kArray:
      return "list";
    case Type::kInteger:
      return "integer";
    case Type::kBoolean:
      return "true or false";
    case Type::kString:
      break;
  }
  if (node.format == "byte") return "base64";
  return node.format.empty() || node.format == "password" ? "text" : node.format;
}

// A pattern says more than the format beside it only where it does not stand for that format.
bool ShowsPattern(const Node& node) {
  return !node.pattern.empty() && schema::FormatOfPattern(node.pattern).empty() &&
         node.format != "duration";
}

std::string AlternativesOf(std::string_view how,
                           const std::vector<std::vector<std::string>>& groups) {
  std::string out;
  for (const auto& group : groups) {
    if (!out.empty()) out += ", ";
    out += CodeList(group, " and ");
  }
  return fmt::format("{} of {}", how, out);
}

// What may stand there: "money, required", "one of `a`, `b`, default `a`".
std::string Terms(const Node& node, bool required) {
  std::vector<std::string> terms{TypeOf(node)};
  auto add = [&](std::string term) {
    if (!term.empty()) terms.push_back(std::move(term));
  };
  if (node.type == Type::kInteger && (node.minimum || node.maximum))
    terms.back() += " " + Range(node.minimum, node.maximum, "");
  if (node.type == Type::kArray) add(Range(node.min_items, node.max_items, "item"));
  if (node.additional) add(Range(std::optional<std::size_t>(), node.max_properties, "member"));
  if (ShowsPattern(node)) add("pattern " + Code(node.pattern));
  if (!node.one_of.empty()) add(AlternativesOf("exactly one", node.one_of));
  if (!node.any_of.empty()) add(AlternativesOf("at least one", node.any_of));
  if (required) add("required");
  if (node.default_value &&
      !(node.default_value->is_object() && node.default_value->get_object().empty())) {
    const bool text = node.default_value->is_string();
    add("default " + Code(text ? View(node.default_value->get_string())
                               : std::string_view(json::serialize(*node.default_value))));
  }
  if (node.nullable) add("may be null");
  return fmt::format("{}", fmt::join(terms, ", "));
}

// A path as it is shown: of a long one only the end, because its parents stand above it.
std::string Shown(const std::string& path) {
  constexpr std::size_t kLongest = 64, kEnd = 44;
  if (path.size() <= kLongest) return Code(path);
  const std::size_t dot = path.find('.', path.size() - kEnd);
  return Code("…" + path.substr(dot == std::string::npos ? path.rfind('.') : dot));
}

class Writer {
 public:
  explicit Writer(const schema::Schemas& schemas) : schemas_(schemas) {}

  std::string Write() {
    out_ = kHead;
    WriteCommon();
    for (const bool embedded : {false, true})
      for (const Kind* kind : InOrder(embedded)) WriteKind(*kind);
    return std::move(out_);
  }

 private:
  // A Job's pods are those of Pod, so Pod comes first among the standard kinds.
  std::vector<const Kind*> InOrder(bool embedded) const {
    std::vector<const Kind*> kinds;
    for (const Kind& kind : schemas_.kinds())
      if (kind.embedded == embedded) kinds.push_back(&kind);
    std::stable_sort(kinds.begin(), kinds.end(), [](const Kind* a, const Kind* b) {
      const auto rank = [](const Kind* k) { return std::pair(k->kind != "Pod", k->kind); };
      return rank(a) < rank(b);
    });
    return kinds;
  }

  // What every kind, or every kind of our own, has in the same way.
  void WriteCommon() {
    if (schemas_.kinds().empty()) return;
    out_ += "\n## metadata\n\nThe same for every kind.\n\n";
    WriteMembers("metadata", *schemas_.kinds().front().schema->properties.at("metadata"));
    for (const Kind& kind : schemas_.kinds()) {
      const Node* conditions = ConditionsOf(kind);
      if (conditions == nullptr) continue;
      out_ += "\n## Conditions\n\nThe same for each of Spillway's own kinds.\n\n";
      WriteMembers("status.conditions", *conditions);
      return;
    }
  }

  static const Node* ConditionsOf(const Kind& kind) {
    const auto status = kind.schema->properties.find("status");
    if (kind.embedded || status == kind.schema->properties.end()) return nullptr;
    const auto conditions = status->second->properties.find("conditions");
    return conditions == status->second->properties.end() ? nullptr : conditions->second.get();
  }

  void WriteKind(const Kind& kind) {
    out_ += fmt::format("\n## {}\n\n", kind.kind);
    out_ += Fill("", 0, kind.schema->description);
    std::vector<std::string> names{kind.plural, kind.singular};
    names.insert(names.end(), kind.short_names.begin(), kind.short_names.end());
    out_ += "\n";
    out_ += Fill("", 0,
                 fmt::format("`apiVersion: {}`, {}. On the command line: {}.", kind.api_version,
                             kind.namespaced ? "belongs to a namespace" : "of the whole cluster",
                             CodeList(names, ", ")));
    std::vector<std::string> columns;
    for (const schema::PrinterColumn& column : kind.columns)
      columns.push_back(column.name + (column.priority > 0 ? " (`-o wide`)" : ""));
    if (!columns.empty())
      out_ += Fill("", 0, fmt::format("Columns of `get`: {}.", fmt::join(columns, ", ")));
    kind_ = kind.kind;
    conditions_ = ConditionsOf(kind);
    bool apart = true;  // a blank line between what has members and what is around it
    for (const auto& [name, node] : kind.schema->properties) {
      if (name == "metadata" || name == "apiVersion" || name == "kind") continue;
      if (apart || !node->properties.empty()) out_ += "\n";
      apart = !node->properties.empty();
      WriteField(name, *node, Contains(kind.schema->required, name));
    }
  }

  static bool Contains(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  void WriteMembers(const std::string& path, const Node& node) {
    for (const auto& [name, member] : node.properties)
      WriteField(path + "." + name, *member, Contains(node.required, name));
    if (node.additional && !Plain(*node.additional))
      WriteField(path + ".*", *node.additional, false);
    if (node.items && !Plain(*node.items)) WriteField(path + "[]", *node.items, false);
  }

  // A value without an inside: what it is stands at its list or map already.
  static bool Plain(const Node& node) {
    return node.properties.empty() && !node.items && !node.additional;
  }

  // "list of dns-label", "map to quantity".
  static std::string Inside(const Node& node) {
    std::string terms;
    if (node.items && Plain(*node.items)) terms = " of " + TypeOf(*node.items);
    if (node.additional && Plain(*node.additional)) terms = " to " + TypeOf(*node.additional);
    return terms;
  }

  void WriteField(const std::string& path, const Node& node, bool required) {
    std::string terms = Terms(node, required);
    const std::string inside = Inside(node);
    if (!inside.empty()) terms.insert(TypeOf(node).size(), inside);
    const auto known = Plain(node) ? written_.end() : written_.find(&node);
    std::string text = fmt::format("{}: {}. {}", Shown(path), terms, node.description);
    if (known != written_.end())
      text += fmt::format(" Its members are those of {}.", known->second);
    if (&node == conditions_) text += " See [Conditions](#conditions).";
    out_ += Fill("- ", 2, text);
    if (known != written_.end() || &node == conditions_) return;
    if (node.properties.size() > 1) written_.emplace(&node, Shown(path) + " of " + kind_);
    WriteMembers(path, node);
  }

  const schema::Schemas& schemas_;
  std::string out_;
  std::string kind_ = "every kind";
  const Node* conditions_ = nullptr;            // of the kind that is written
  std::map<const Node*, std::string> written_;  // shared parts: where they are described
};

}  // namespace

std::string ObjectsReference(const schema::Schemas& schemas) {
  return Writer(schemas).Write();
}

}  // namespace spillway::docs
