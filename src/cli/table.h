// Aligned tables in kubectl's manner: a header in capitals, spaces between columns.
#pragma once

#include <string>
#include <vector>

#include "cli/text.h"

namespace spillway::cli {

struct TableColumn {
  std::string name;
  bool right = false;     // numbers and money
  bool flexible = false;  // may be cut when the terminal is too narrow
};

struct Table {
  std::vector<TableColumn> columns;
  std::vector<std::vector<std::string>> rows;  // each with a cell per column
  std::size_t gap = 3;                         // spaces between columns
  std::size_t indent = 0;                      // spaces before the first

  // One line per row, each ended, no spaces at the end. Columns that are empty in every row are
  // left out. `width` 0: nothing is cut. Otherwise flexible columns shrink, the widest first, but
  // not below eight columns.
  std::string Render(std::size_t width, const Painter& paint) const;
};

}  // namespace spillway::cli
