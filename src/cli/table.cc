#include "cli/table.h"

#include <algorithm>

namespace spillway::cli {
namespace {

constexpr std::size_t kLeast = 8;

// Takes what is too much from flexible columns, the widest first.
void Shrink(const std::vector<TableColumn>& columns, std::vector<std::size_t>& widths,
            std::size_t total, std::size_t limit) {
  while (total > limit) {
    std::size_t widest = columns.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (!columns[i].flexible || widths[i] <= kLeast) continue;
      if (widest == columns.size() || widths[i] > widths[widest]) widest = i;
    }
    if (widest == columns.size()) return;
    --widths[widest];
    --total;
  }
}

}  // namespace

std::string Table::Render(std::size_t width, const Painter& paint) const {
  std::vector<std::size_t> widths(columns.size(), 0);
  for (const auto& row : rows)
    for (std::size_t i = 0; i < columns.size(); ++i)
      widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  std::size_t total = indent;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (widths[i] == 0) continue;
    widths[i] = std::max(widths[i], DisplayWidth(columns[i].name));
    total += widths[i] + (total > indent ? gap : 0);
  }
  if (width > 0) Shrink(columns, widths, total, width);

  const auto line = [&](auto&& cell, Style style) {
    std::string text(indent, ' ');
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (widths[i] == 0) continue;
      if (text.size() > indent) text += std::string(gap, ' ');
      const std::string clipped = Clip(cell(i), widths[i]);
      text += columns[i].right ? PadLeft(clipped, widths[i]) : PadRight(clipped, widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return paint(style, text) + "\n";
  };
  std::string out = line([&](std::size_t i) { return columns[i].name; }, Style::kBold);
  for (const auto& row : rows) out += line([&](std::size_t i) { return row[i]; }, Style::kPlain);
  return out;
}

}  // namespace spillway::cli
