#include "schema/problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "schema/utf8.h"

namespace spillway::schema {
namespace {

char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr std::size_t kMaxName = 64;

// Edits from one to the other, ignoring the case of ASCII letters; two letters swapped are one edit
// (optimal string alignment). Both at most kMaxName long.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::array<std::array<std::size_t, kMaxName + 1>, 3> rows{};  // two back, one back, now
  for (std::size_t j = 0; j <= b.size(); ++j) rows[1][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    rows[2][0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = Lower(a[i - 1]) == Lower(b[j - 1]);
      std::size_t best =
          std::min({rows[1][j] + 1, rows[2][j - 1] + 1, rows[1][j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && Lower(a[i - 1]) == Lower(b[j - 2]) &&
          Lower(a[i - 2]) == Lower(b[j - 1]))
        best = std::min(best, rows[0][j - 2] + 1);
      rows[2][j] = best;
    }
    rows[0] = rows[1];
    rows[1] = rows[2];
  }
  return rows[1][b.size()];
}

}  // namespace

std::string Printable(std::string_view text, std::size_t limit) {
  std::string out;
  std::size_t i = 0;
  while (i < text.size()) {
    const Utf8Char c = DecodeUtf8(text, i);
    const bool shown = c.valid && c.code >= 0x20 && !(c.code >= 0x7f && c.code < 0xa0) &&
                       c.code != 0x2028 && c.code != 0x2029;
    std::string piece;
    if (shown)
      piece = text.substr(i, c.length);
    else
      for (std::size_t k = 0; k < c.length; ++k)
        piece += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i + k]));
    if (out.size() + piece.size() > limit) return out + "...";
    out += piece;
    i += c.length;
  }
  return out;
}

std::string FormatProblem(const Problem& problem) {
  std::string out = Printable(problem.file, 1024);
  if (problem.at.line > 0)
    out += fmt::format("{}{}:{}", out.empty() ? "" : ":", problem.at.line, problem.at.column);
  const std::string field = Printable(problem.field, 512), wrong = Printable(problem.wrong, 1024),
                    right = Printable(problem.right, 1024);
  for (const std::string* part : {&field, &wrong, &right}) {
    if (part->empty()) continue;
    if (!out.empty()) out += ": ";
    out += *part;
  }
  return out;
}

std::string FormatProblems(std::span<const Problem> problems) {
  std::string out;
  for (const Problem& problem : problems) out += FormatProblem(problem) + "\n";
  return out;
}

std::string_view Nearest(std::string_view name, std::span<const std::string_view> known) {
  if (name.empty() || name.size() > kMaxName) return {};
  std::string_view best;
  std::size_t best_distance = (name.size() < 3 ? 0 : name.size() < 6 ? 1 : 2) + 1;
  for (const std::string_view candidate : known) {
    if (candidate.empty() || candidate.size() > kMaxName) continue;
    const std::size_t distance = Distance(name, candidate);
    if (distance < best_distance) best = candidate, best_distance = distance;
  }
  return best;
}

std::string Join(std::span<const std::string_view> names, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < limit; ++i) {
    if (i > 0) out += ", ";
    out += Printable(names[i]);
  }
  if (names.size() > limit) out += fmt::format(", ... and {} more", names.size() - limit);
  return out;
}

std::string Suggest(std::string_view name, std::span<const std::string_view> known,
                    std::string_view prefix) {
  const std::string_view near = Nearest(name, known);
  if (!near.empty()) return fmt::format("did you mean {}?", near);
  return fmt::format("{}{}", prefix, known.empty() ? "none" : Join(known));
}

std::string MemberPath(std::string_view parent, std::string_view name) {
  const std::string shown = Printable(name, 128);
  if (name.find_first_of("./[]\" :") != std::string_view::npos || name.empty())
    return fmt::format("{}[\"{}\"]", parent, shown);
  return parent.empty() ? shown : fmt::format("{}.{}", parent, shown);
}

std::string ItemPath(std::string_view parent, std::size_t index) {
  return fmt::format("{}[{}]", parent, index);
}

}  // namespace spillway::schema
