#include "cli/yaml_text.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace spillway::cli {
namespace {

bool IsWordOfYaml(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kWords{
      "null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", "=", "<<"};
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

// "480Gi" and "10m", but not "1e3", "0x1F" or "08:15": a letter that no number, and no colon that
// a time needs.
bool DigitsThenUnit(std::string_view text) {
  return text.find(':') == std::string_view::npos &&
         text.find_first_of("gGhHiIjJkKlLmMnNpPqQrRsStTuUvVwWyYzZ") != std::string_view::npos;
}

// Only texts that no YAML reader can take for a number, a date, a word or a structure stay bare.
bool Bare(std::string_view text) {
  if (text.empty() || text.size() > 4096 || IsWordOfYaml(text)) return false;
  const auto first = static_cast<unsigned char>(text.front());
  if (std::isdigit(first) ? !DigitsThenUnit(text)
                          : !std::isalpha(first) && first != '/' && first != '_' && first < 0x80)
    return false;
  if (text.back() == ' ' || text.back() == ':') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) return false;
    if (c == ':' && text[i + 1] == ' ') return false;
    if (c == '#' && text[i - 1] == ' ') return false;
  }
  return true;
}

std::string Scalar(const json::value& value) {
  const json::string* text = value.if_string();
  if (text != nullptr && Bare(View(*text))) return std::string(View(*text));
  return json::serialize(value);  // JSON is YAML
}

// "line\nline\n": can be a literal block, which is what people want to read.
bool IsBlock(const json::value& value) {
  const json::string* text = value.if_string();
  if (text == nullptr || text->empty() || text->back() != '\n' || text->front() == ' ' ||
      text->front() == '\n' || View(*text).ends_with("\n\n"))
    return false;
  return std::all_of(text->begin(), text->end(),
                     [](char c) { return c == '\n' || static_cast<unsigned char>(c) >= 0x20; });
}

std::string Block(std::string_view text, const std::string& indent) {
  std::string out = "|\n";
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end > 0) out += indent + std::string(text.substr(0, end));
    out += '\n';
    text.remove_prefix(end + 1);
  }
  return out;
}

bool IsEmptyOrScalar(const json::value& value) {
  const json::object* object = value.if_object();
  const json::array* array = value.if_array();
  return (object == nullptr || object->empty()) && (array == nullptr || array->empty());
}

// Writes a value that stands after "name:" or "-", the line being begun already.
void Write(const json::value& value, const std::string& indent, std::string& out);

void WriteMembers(const json::object& object, const std::string& indent, bool first_is_begun,
                  std::string& out) {
  for (const auto& [name, value] : object) {
    if (!first_is_begun) out += indent;
    first_is_begun = false;
    out += Scalar(json::string(name)) + ":";
    if (IsBlock(value)) {
      out += " " + Block(View(value.get_string()), indent + "  ");
    } else if (IsEmptyOrScalar(value)) {
      out += " " + Scalar(value) + "\n";
    } else {
      out += "\n";
      Write(value, value.is_array() ? indent : indent + "  ", out);
    }
  }
}

void Write(const json::value& value, const std::string& indent, std::string& out) {
  if (const json::object* object = value.if_object(); object != nullptr && !object->empty()) {
    WriteMembers(*object, indent, false, out);
  } else if (const json::array* array = value.if_array(); array != nullptr && !array->empty()) {
    for (const json::value& item : *array) {
      out += indent + "- ";
      const json::object* members = item.if_object();
      if (members != nullptr && !members->empty()) {
        WriteMembers(*members, indent + "  ", true, out);
      } else if (IsBlock(item)) {
        out += Block(View(item.get_string()), indent + "  ");
      } else if (IsEmptyOrScalar(item)) {
        out += Scalar(item) + "\n";
      } else {
        out.back() = '\n';  // instead of the space after "-"
        Write(item, indent + "  ", out);
      }
    }
  } else {
    out += indent + Scalar(value) + "\n";
  }
}

}  // namespace

std::string YamlText(const json::value& value) {
  std::string out;
  Write(value, "", out);
  return out;
}

}  // namespace spillway::cli
