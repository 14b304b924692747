// The type of a YAML scalar.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "base/json.h"

namespace spillway::schema {

struct ScalarError {
  std::string wrong;
  std::string right;
};

// `tag` as yaml-cpp reports it: "?" for a plain scalar, "!" for a quoted one, or the full name of
// an explicit tag. Unknown tags, numbers out of range, leading zeros and .inf/.nan are errors.
tl::expected<json::value, ScalarError> TypeScalar(std::string_view tag, const std::string& text);

}  // namespace spillway::schema
