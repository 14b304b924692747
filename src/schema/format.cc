#include "schema/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/encoding.h"
#include "base/money.h"
#include "base/quantity.h"
#include "base/time.h"
#include "schema/problem.h"

namespace spillway::schema {
namespace {

bool IsLowerAlnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool IsAlnum(char c) {
  return IsLowerAlnum(c) || (c >= 'A' && c <= 'Z');
}

// The parsers of base/ say "what is wrong; write it like ...".
FormatError Split(const Error& error) {
  const std::size_t cut = error.message.rfind("; write it like ");
  if (cut == std::string::npos) return {error.message, "a value in range"};
  return {error.message.substr(0, cut), error.message.substr(cut + 2)};
}

template <typename T>
std::optional<FormatError> FromParser(const Result<T>& parsed) {
  if (parsed) return std::nullopt;
  return Split(parsed.error());
}

// Letters, digits, "-", "_" and "." with a letter or digit at both ends, at most 63 characters.
bool IsLabelName(std::string_view text) {
  if (text.empty() || text.size() > 63 || !IsAlnum(text.front()) || !IsAlnum(text.back()))
    return false;
  for (const char c : text)
    if (!IsAlnum(c) && c != '-' && c != '_' && c != '.') return false;
  return true;
}

// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
bool IsLabelKey(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return IsLabelName(text);
  return IsDnsSubdomain(text.substr(0, slash)) && IsLabelName(text.substr(slash + 1));
}

// Why one name between two slashes is not a pattern; empty when it is one.
std::string_view GlobNameProblem(std::string_view name) {
  if (name.empty()) return "it has an empty name beside a /";
  if (name == "." || name == "..") return "it must not contain . or .. as a name";
  if (name != "**" && name.find("**") != std::string_view::npos)
    return "** must stand alone between slashes";
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (c < 0x20 || c == 0x7f) return "it has a control character";
    if (c == '{' || c == '}') return "braces are not supported, write several patterns";
    if (c == ']') return "it has a ] without [";
    if (c == '\\' && ++i == name.size()) return "its last backslash escapes nothing";
    if (c != '[') continue;
    std::size_t end = i + 1;
    if (end < name.size() && name[end] == '!') ++end;
    end = name.find(']', end + 1);  // a ] right after the opening belongs to the set
    if (end == std::string_view::npos) return "it has a [ without ]";
    for (std::size_t k = i + 1; k < end; ++k) {
      if (static_cast<unsigned char>(name[k]) >= 0x80) return "it has a non-ASCII character in [ ]";
      if (k + 2 < end && name[k + 1] == '-' && name[k] > name[k + 2])
        return "it has a range in [ ] that runs backwards";
    }
    i = end;
  }
  return {};
}

bool IsSecretKey(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlnum(c) || c == '-' || c == '_' || c == '.'; });
}

FormatError Wrong(std::string_view text, std::string_view what, std::string right) {
  return {fmt::format("\"{}\" is not {}", Printable(text), what), std::move(right)};
}

}  // namespace

bool IsDnsLabel(std::string_view text) {
  if (text.empty() || text.size() > 63 || !IsLowerAlnum(text.front()) || !IsLowerAlnum(text.back()))
    return false;
  for (const char c : text)
    if (!IsLowerAlnum(c) && c != '-') return false;
  return true;
}

bool IsDnsSubdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  for (std::size_t start = 0;;) {
    const std::size_t dot = text.find('.', start);
    const std::string_view part = text.substr(start, dot == text.npos ? text.npos : dot - start);
    if (part.empty() || !IsLowerAlnum(part.front()) || !IsLowerAlnum(part.back())) return false;
    for (const char c : part)
      if (!IsLowerAlnum(c) && c != '-') return false;
    if (dot == std::string_view::npos) return true;
    start = dot + 1;
  }
}

std::optional<FormatError> CheckGlob(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return FormatError{fmt::format("\"{}\" is not a file pattern: {}", Printable(text), why),
                       "write it like train/** or images/*.png, relative to the data's root"};
  };
  if (text.empty()) return bad("it is empty");
  if (text.size() > 256) return bad("it is longer than 256 bytes");
  if (text.front() == '/') return bad("it starts with /");
  for (std::size_t start = 0;;) {
    const std::size_t slash = text.find('/', start);
    const std::string_view name =
        text.substr(start, slash == text.npos ? text.npos : slash - start);
    if (const std::string_view why = GlobNameProblem(name); !why.empty()) return bad(why);
    if (slash == std::string_view::npos) return std::nullopt;
    start = slash + 1;
  }
}

std::string_view FormatOfPattern(std::string_view pattern) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kPatterns = {{
      {R"(^[0-9]{1,10}(\.[0-9]{1,6})? ?EUR$)", "money"},
      {R"(^[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$)", "quantity"},
      {R"(^[^/{}]([^{}]*[^/{}])?$)", "glob"},
      {R"(^[a-z0-9]([a-z0-9-]*[a-z0-9])?$)", "dns-label"},
      {R"(^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$)", "dns-subdomain"},
      {R"(^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$)",
       "label-key"},
      {R"(^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$)", "label-value"},
  }};
  for (const auto& [known, format] : kPatterns)
    if (known == pattern) return format;
  return {};
}

std::optional<FormatError> CheckFormat(std::string_view format, std::string_view text) {
  if (format == "money") return FromParser(ParseMoney(text));
  if (format == "duration") return FromParser(ParseDuration(text));
  if (format == "quantity") return FromParser(ParseMilli(text).map([](auto) { return 0; }));
  if (format == "date-time") return FromParser(ParseTime(text));
  if (format == "glob") return CheckGlob(text);
  if (format == "dns-label" && !IsDnsLabel(text))
    return Wrong(
        text, "a name",
        "at most 63 lower-case letters, digits and -, with a letter or digit at both ends");
  if (format == "dns-subdomain" && !IsDnsSubdomain(text))
    return Wrong(text, "a name",
                 "at most 253 lower-case letters, digits, - and ., with a letter or digit at both "
                 "ends of every part");
  if (format == "label-key" && !IsLabelKey(text))
    return Wrong(text, "a label key",
                 "write it like team or example.org/team, letters, digits, -, _ and . only");
  if (format == "label-value" && !text.empty() && !IsLabelName(text))
    return Wrong(text, "a label value",
                 "at most 63 letters, digits, -, _ and ., with a letter or digit at both ends");
  if (format == "secret-key" && (text.empty() || text.size() > 253 || !IsSecretKey(text)))
    return Wrong(text, "a key", "at most 253 letters, digits, -, _ and .");
  if (format == "byte" && !ParseBase64(text))
    return FormatError{"the value is not base64", "base64, or plain text below stringData"};
  return std::nullopt;
}

}  // namespace spillway::schema
