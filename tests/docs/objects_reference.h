// docs/reference/objects.md, written out of the definitions below deploy/.
#pragma once

#include <string>

#include "schema/schema.h"

namespace spillway::docs {

// The whole document. Equal schemas give equal text; no line is longer than 100 columns unless one
// word is.
std::string ObjectsReference(const schema::Schemas& schemas);

}  // namespace spillway::docs
