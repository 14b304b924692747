#include "sim/trace.h"

#include <fmt/format.h>

#include <cstdio>

namespace spillway::sim {

void Trace::Line(Time at, std::string_view who, std::string_view what) const {
  const std::int64_t ms = (at - start_).count();
  fmt::print("+{:02}:{:02}:{:02}.{:03}  {:<9} {}\n", ms / 3'600'000, ms / 60'000 % 60,
             ms / 1000 % 60, ms % 1000, who, what);
}

}  // namespace spillway::sim
