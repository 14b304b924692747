// Objects in the place of others: an example as it is, but for some of its documents. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "schema/manifest.h"

namespace spillway::demo {

// The objects of a text of manifests: "Dataset vision/digits". kInvalid tells what is wrong in it.
Result<std::set<std::string>> ObjectsIn(const schema::Source& source);

// The text without the documents that are one of `objects`; everything else byte for byte.
std::string Without(const std::string& text, const std::set<std::string>& objects);

}  // namespace spillway::demo
