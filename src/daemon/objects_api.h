// Apply and delete on objects in a Store: the embedded mode's, and copies for what-if questions.
#pragma once

#include <string>
#include <vector>

#include "schema/manifest.h"
#include "server/backend.h"
#include "store/store.h"

namespace spillway::daemon {

// See server::Backend::Apply. An object that exists keeps its status and system metadata and gets
// the manifest's labels, annotations and spec. Pods and the template of Jobs cannot change.
Result<server::Backend::ApplyOutcome> ApplyManifests(
    store::Store& store, const std::vector<schema::CatalogProvider>& catalog,
    const std::string& file, const std::string& text, const std::string& default_namespace,
    bool dry_run, Time now);

// See server::Backend::Delete. Jobs and running pods end first and vanish then.
Status DeleteObject(store::Store& store, const server::ObjectRef& ref, bool dry_run, Time now);

}  // namespace spillway::daemon
