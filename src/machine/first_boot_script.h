// first_boot.sh as it was when the library was built.
#pragma once

#include <string_view>

namespace spillway::machine {

std::string_view FirstBootScript();

}  // namespace spillway::machine
