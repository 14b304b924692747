// Whether what people declared fits together: what no schema can compare, because it needs other
// objects.
#pragma once

#include <span>
#include <string>

#include "base/time.h"
#include "daemon/cluster.h"
#include "schema/manifest.h"
#include "store/store.h"

namespace spillway::daemon {

// Says it as the condition Consistent on every CloudProvider, BurstPolicy and Budget. `spillway
// apply` refuses what does not fit; an API server lets it in, and a Namespace may go later. Not
// thread-safe.
class Agreement {
 public:
  // Compares again only after one of these objects, or a Namespace, came, went or changed.
  void Tell(Cluster& cluster, const store::Store& store,
            std::span<const schema::CatalogProvider> catalog, Time now);

 private:
  std::string seen_;
};

}  // namespace spillway::daemon
