// What is wrong with something a person wrote, and where.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::schema {

// Both count from one, columns in characters (code points). Zero means: not known.
struct Position {
  int line = 0;
  int column = 0;
};

struct Problem {
  std::string file;   // as the person named it; empty for an object that came from no file
  Position at;        // left out of the text when not known
  std::string field;  // "spec.price.maxPerGpuHour", "spec.namespaces[1]"; empty for the whole text
  std::string wrong;
  std::string right;
};

// "file:line:col: field: what is wrong: what would be right", one line, printable UTF-8 only. A
// part that is empty is left out with its colon.
std::string FormatProblem(const Problem& problem);

// One problem a line, each line ended.
std::string FormatProblems(std::span<const Problem> problems);

// At most `limit` bytes of `text`, cut between characters ("..." marks the cut), with control
// characters and bytes that are not UTF-8 written as \xNN, so that no input can break a line or
// reach a terminal.
std::string Printable(std::string_view text, std::size_t limit = 64);

// The known name nearest to `name`, if it is near enough to be what was meant (capitals do not
// count; one edit from three letters on, two from six on); empty otherwise. Names longer than 64
// bytes are never near.
std::string_view Nearest(std::string_view name, std::span<const std::string_view> known);

// "a, b, c": at most `limit` names, then "... and 12 more".
std::string Join(std::span<const std::string_view> names, std::size_t limit = 24);

// "did you mean X?" when a known name is near, otherwise `prefix` and the known names.
std::string Suggest(std::string_view name, std::span<const std::string_view> known,
                    std::string_view prefix);

// The field path of a member: "spec" + "price" -> "spec.price"; a name with dots, slashes or spaces
// is quoted: metadata.labels["example.org/team"].
std::string MemberPath(std::string_view parent, std::string_view name);
std::string ItemPath(std::string_view parent, std::size_t index);

}  // namespace spillway::schema
