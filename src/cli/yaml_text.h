// JSON values as YAML text, for `-o yaml` and `describe`.
#pragma once

#include <string>

#include "base/json.h"

namespace spillway::cli {

// One document in block style, members in their order, each line ended. Texts are quoted when YAML
// would read them as something else, and texts of several lines are block scalars; reading it
// again gives the same value.
std::string YamlText(const json::value& value);

}  // namespace spillway::cli
