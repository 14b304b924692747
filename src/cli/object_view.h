// Objects for people: tables by the kinds' own columns, and one object with its events.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/table.h"
#include "schema/schema.h"

namespace spillway::cli {

struct ObjectTableOptions {
  bool with_namespace = false;  // -A
  bool wide = false;            // -o wide: columns of priority 1 as well
};

// One row per object. Columns of type "date" show ages, money is shown with its sign, sizes of
// integer columns named Bytes are shown for people.
Table ObjectTable(const schema::Kind& kind, std::span<const json::value> objects, Time now,
                  const ObjectTableOptions& options);

// `object` and the answer of GET /events about it.
std::string DescribeView(const schema::Kind& kind, const json::value& object,
                         const json::value& events, Time now, const Painter& paint);

// "job/sweep"
std::string ResourceName(const schema::Kind& kind, const json::value& object);

}  // namespace spillway::cli
