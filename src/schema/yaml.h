// YAML text to JSON values, with the place of every node. JSON is YAML too, so this is the only
// reader of what people write. Built on yaml-cpp's events, never on its Node tree, so that limits
// hold while reading. https://yaml.org/spec/1.2.2/
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/json.h"
#include "schema/problem.h"

namespace spillway::schema {

// Where a node stands. The tree of places has the shape of the value: children[i] belongs to the
// i-th member or item. A value that came from no text has an empty place.
struct Place {
  Position key;                 // of the member's name; not known for items and the root
  Position at;                  // of the value
  std::string raw;              // what was written, for a plain scalar that is not a string
  std::vector<Place> children;  // may be shorter than the value where defaults were added

  // The place of child i, or this place when it has none.
  const Place& Child(std::size_t i) const { return i < children.size() ? children[i] : *this; }
};

struct Document {
  json::value value;
  Place place;
};

// What is refused, as fast as it is seen.
struct YamlLimits {
  std::size_t max_bytes = 4u << 20;
  std::size_t max_depth = 64;
  std::size_t max_nodes = 200'000;  // aliases count as what they stand for; so do anchored values
  std::size_t max_expanded_bytes = 16u << 20;  // text of all scalars, aliases expanded
  std::size_t max_scalar_bytes = 1u << 20;
  std::size_t max_documents = 1000;
};

// Reads all documents; empty ones are left out. Scalars get the type kubectl gives them: null,
// true/false (and yes/no/on/off/y/n), integers, fractions as double (whole ones as integer);
// quoted scalars are strings. Member names are always strings; a name used twice is an error.
// Merge keys (<<) are resolved. The first error ends reading: bad UTF-8, bad YAML, a limit. `file`
// is only named in it. Thread-safe.
tl::expected<std::vector<Document>, Problem> ReadYaml(std::string_view file, std::string_view text,
                                                      const YamlLimits& limits = {});

}  // namespace spillway::schema
