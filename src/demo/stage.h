// Where the demonstration is shown: plain lines with the time, and on a terminal a live screen
// below them that is drawn again and again.
#pragma once

#include <ostream>
#include <string>

#include "cli/text.h"
#include "demo/story.h"

namespace spillway::demo {

// Not thread-safe.
class Stage {
 public:
  Stage(std::ostream& out, const cli::Terminal& terminal);

  // A headline of what is done now, and why.
  void Step(const std::string& text);
  void Line(const std::string& text, cli::Style style = cli::Style::kPlain);
  // With the clock of the daemon in front.
  void Tell(const StoryLine& line);

  // Draws the state below all lines; only on a terminal. The next line replaces it.
  void Draw(const Sight& sight);
  // Leaves the last drawing behind.
  void Settle();

 private:
  void Erase();

  std::ostream& out_;
  cli::Terminal terminal_;
  cli::Painter paint_;
  SystemClock clock_;
  Duration started_;
  std::size_t drawn_ = 0;  // lines of the drawing that stands below
};

}  // namespace spillway::demo
