// Label selectors as kubectl -l takes them, for objects in JSON.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
#pragma once

#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/scheduling.h"

namespace spillway::server {

// "app=a,tier!=b,stage in (x, y),zone notin (z),gpu,!old"; empty selects everything. kInvalid names
// the part that is wrong. At most 64 requirements.
Result<std::vector<Requirement>> ParseLabelSelector(std::string_view text);

// True if metadata.labels of the object fulfil every requirement.
bool Selects(const std::vector<Requirement>& selector, const json::value& object);

}  // namespace spillway::server
