#include "demo/stage.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/status_view.h"

namespace spillway::demo {

Stage::Stage(std::ostream& out, const cli::Terminal& terminal)
    : out_(out), terminal_(terminal), paint_(terminal.colour), started_(clock_.SteadyNow()) {}

void Stage::Erase() {
  // Up to the first line of the drawing, and clear to the end of the screen.
  if (drawn_ > 0) out_ << fmt::format("\x1b[{}F\x1b[J", drawn_);
  drawn_ = 0;
}

void Stage::Line(const std::string& text, cli::Style style) {
  Erase();
  out_ << paint_(style, text) << "\n" << std::flush;
}

void Stage::Step(const std::string& text) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(clock_.SteadyNow() - started_);
  Erase();
  out_ << paint_(cli::Style::kBold, fmt::format("== {} ({} s)", text, seconds.count())) << "\n"
       << std::flush;
}

void Stage::Tell(const StoryLine& line) {
  Erase();
  const std::string stamp = FormatTime(line.at).substr(11, 8);
  const std::size_t width =
      terminal_.columns == 0 ? 1000 : std::max<std::size_t>(terminal_.columns, 40);
  bool first = true;
  for (const std::string& text : cli::Wrap(line.text, width - 10)) {
    out_ << (first ? paint_(cli::Style::kDim, stamp) + "  " : std::string(10, ' '))
         << paint_(line.style, text) << "\n";
    first = false;
  }
  out_ << std::flush;
}

void Stage::Draw(const Sight& sight) {
  if (!terminal_.is_terminal) return;
  const std::string screen = "\n" + cli::StatusView(sight.status, sight.nodes, terminal_);
  // More lines than the terminal has would scroll away and could not be erased.
  std::size_t end = 0, lines = 0;
  const std::size_t most = terminal_.rows > 2 ? terminal_.rows - 2 : 1;
  while (lines < most && end < screen.size()) {
    end = screen.find('\n', end) + 1;
    ++lines;
  }
  Erase();
  out_ << screen.substr(0, end) << std::flush;
  drawn_ = lines;
}

void Stage::Settle() {
  drawn_ = 0;
}

}  // namespace spillway::demo
