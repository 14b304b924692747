// `spillway status`: everything on one screen.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/text.h"

namespace spillway::cli {

// `status` is the answer of GET /api/v1/status, `nodes` the list of BurstNodes (for the forecasts
// behind progress bars; null if it is not known). Lines fit the terminal's columns (100 if there is
// no terminal); with rows given, long sections say how much they leave out.
std::string StatusView(const json::value& status, const json::value& nodes,
                       const Terminal& terminal);

// "boot ██████░░░░  60 %" of one entry of `rented`; `node` is its BurstNode or null. Used by the
// demonstration as well.
std::string ProgressOf(const json::value& rented, const json::value& node, Time now);

}  // namespace spillway::cli
