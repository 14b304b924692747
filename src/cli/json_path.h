// The part of kubectl's JSONPath that printer columns and `wait` use.
// https://kubernetes.io/docs/reference/kubectl/jsonpath/
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace spillway::cli {

// Values at the path, in their order; none when a member is missing. Understood: ".a.b", "\." for
// a dot inside a name, "[2]", "[-1:]" (the last item), "[*]", '[?(@.type=="Ready")]'. kInvalid
// for anything else.
Result<std::vector<const json::value*>> Select(const json::value& value, std::string_view path);

// What a table shows of the values: texts joined by commas, arrays of texts in the same way.
std::string CellText(const std::vector<const json::value*>& values);

}  // namespace spillway::cli
