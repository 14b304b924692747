// Text for terminals: width, cutting, colour, ages, bars. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace spillway::cli {

// Columns that a terminal uses for UTF-8 text: 0 for combining marks, 2 for East Asian wide
// characters and emoji (Unicode TR 11), 1 otherwise. A broken byte counts 1.
std::size_t DisplayWidth(std::string_view text);

// At most `width` columns; what was cut is marked with "…".
std::string Clip(std::string_view text, std::size_t width);
// Exactly `width` columns if the text is narrower.
std::string PadRight(std::string_view text, std::size_t width);
std::string PadLeft(std::string_view text, std::size_t width);

// Lines of at most `width` columns, broken at spaces; a longer word stays whole.
std::vector<std::string> Wrap(std::string_view text, std::size_t width);

// Control characters replaced by "?", so that no name or message can move the cursor.
std::string Safe(std::string_view text);

// How old something is, as kubectl writes it: "45s", "5m10s", "3h", "2d4h".
// k8s.io/apimachinery/pkg/util/duration HumanDuration
std::string Age(Duration d);

// "██████░░░░" for 60 of 100 in ten columns. Percent outside 0..100 is taken as the nearer end.
std::string Bar(int percent, std::size_t width);

// "4 %"
std::string Percent(std::int64_t percent);

// "1 pod", "2 pods"
std::string Count(std::int64_t count, std::string_view noun);

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan };

// Wraps text in escape sequences, or not. https://no-color.org
class Painter {
 public:
  explicit Painter(bool colour) : colour_(colour) {}
  std::string operator()(Style style, std::string_view text) const;

 private:
  bool colour_;
};

// What a command may assume about where its output goes.
struct Terminal {
  bool is_terminal = false;
  bool colour = false;
  std::size_t columns = 0;  // 0: no limit
  std::size_t rows = 0;
};

// Of a file descriptor, NO_COLOR, TERM and COLUMNS respected.
Terminal LookAtTerminal(int fd);

}  // namespace spillway::cli
