#include "cli/object_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/money.h"
#include "base/quantity.h"
#include "cli/fields.h"
#include "cli/json_path.h"
#include "cli/yaml_text.h"

namespace spillway::cli {
namespace {

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string MetaText(const json::value& object, std::string_view key) {
  const json::value* metadata = Find(object, "metadata");
  return metadata == nullptr ? std::string() : TextOf(*metadata, key);
}

std::string AgeSince(std::string_view text, Time now) {
  const Result<Time> then = ParseTime(text);
  return then ? Age(now - *then) : std::string(text.empty() ? "<unknown>" : text);
}

std::string Cell(const schema::PrinterColumn& column, const json::value& object, Time now) {
  const auto values = Select(object, column.json_path);
  SPW_CHECK(values.has_value(), "columns of the compiled-in definitions can be read");
  const std::string text = Safe(CellText(*values));
  if (column.type == "date") return AgeSince(text, now);
  if (column.name == "Bytes" && values->size() == 1 && (*values)[0]->is_int64())
    return HumanBytes((*values)[0]->get_int64());
  if (text.ends_with(" EUR"))
    if (const Result<Money> money = ParseMoney(text)) return HumanMoney(*money);
  return text;
}

// Indents every line of YAML under a title.
std::string Part(std::string_view title, const json::value* value, const Painter& paint) {
  if (value == nullptr || value->is_null() || (value->is_object() && value->get_object().empty()))
    return {};
  std::string out = paint(Style::kBold, fmt::format("{}:", title)) + "\n";
  const std::string yaml = YamlText(*value);
  for (std::size_t at = 0; at < yaml.size();) {
    const std::size_t end = yaml.find('\n', at);
    out += "  " + Safe(std::string_view(yaml).substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return out;
}

}  // namespace

Table ObjectTable(const schema::Kind& kind, std::span<const json::value> objects, Time now,
                  const ObjectTableOptions& options) {
  Table table;
  if (options.with_namespace) table.columns.push_back({"NAMESPACE", false, false});
  table.columns.push_back({"NAME", false, false});
  std::vector<const schema::PrinterColumn*> columns;
  for (const schema::PrinterColumn& column : kind.columns)
    if (column.priority == 0 || options.wide) columns.push_back(&column);
  for (const schema::PrinterColumn* column : columns)
    table.columns.push_back(
        {Upper(column->name), column->type == "integer", column->type == "string"});
  for (const json::value& object : objects) {
    std::vector<std::string> row;
    if (options.with_namespace) row.push_back(MetaText(object, "namespace"));
    row.push_back(MetaText(object, "name"));
    for (const schema::PrinterColumn* column : columns) row.push_back(Cell(*column, object, now));
    table.rows.push_back(std::move(row));
  }
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    table.columns[i].right =
        table.columns[i].right ||
        std::all_of(table.rows.begin(), table.rows.end(),
                    [&](const std::vector<std::string>& row) { return row[i].ends_with(" €"); });
  return table;
}

std::string DescribeView(const schema::Kind& kind, const json::value& object,
                         const json::value& events, Time now, const Painter& paint) {
  const auto field = [&](std::string_view name, const std::string& value) {
    return value.empty() ? std::string()
                         : paint(Style::kBold, fmt::format("{:<14}", fmt::format("{}:", name))) +
                               value + "\n";
  };
  const std::string created = MetaText(object, "creationTimestamp");
  std::string out = field("Name", MetaText(object, "name")) +
                    field("Namespace", MetaText(object, "namespace")) +
                    field("Kind", kind.kind + " (" + kind.api_version + ")") +
                    field("Age", created.empty() ? "" : AgeSince(created, now));
  out += Part("Labels", FindPath(object, {"metadata", "labels"}), paint);
  out += Part("Annotations", FindPath(object, {"metadata", "annotations"}), paint);
  if (const json::object* members = object.if_object())
    for (const auto& [name, value] : *members) {
      if (name == "apiVersion" || name == "kind" || name == "metadata") continue;
      std::string title(name);
      title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
      out += Part(title, &value, paint);
    }
  const json::array& items = ItemsOf(events, "items");
  if (items.empty()) return out + paint(Style::kBold, "Events:") + "       none\n";
  Table table{{{"TYPE"}, {"REASON"}, {"AGE", true}, {"TIMES", true}, {"MESSAGE"}}, {}, 3, 2};
  for (const json::value& event : items)
    table.rows.push_back({BoolOr(event, "warning", false) ? "Warning" : "Normal",
                          TextOf(event, "reason"), AgeSince(TextOf(event, "last"), now),
                          fmt::format("{}", IntOr(event, "count", 1)), TextOf(event, "message")});
  return out + paint(Style::kBold, "Events:") + "\n" + table.Render(0, paint);
}

std::string ResourceName(const schema::Kind& kind, const json::value& object) {
  return kind.singular + "/" + MetaText(object, "name");
}

}  // namespace spillway::cli
