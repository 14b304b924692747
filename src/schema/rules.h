// What one object must fulfil beyond its schema, for example that a volume mount names a volume.
#pragma once

#include <vector>

#include "schema/cursor.h"
#include "schema/manifest.h"

namespace spillway::schema {

// `manifest` has passed its schema. At most kMaxProblems are added.
void CheckRules(const Manifest& manifest, std::vector<Problem>& problems);

// The pod spec of a Pod, or of a Job's template; a cursor that is not there for other kinds.
Cursor PodSpecOf(const Manifest& manifest);

}  // namespace spillway::schema
