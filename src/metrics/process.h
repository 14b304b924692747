// What /proc says of this process, under the names that every Prometheus client library uses.
// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
#pragma once

#include "metrics/page.h"

namespace spillway::metrics {

// What cannot be read is left out.
void WriteProcess(Page& page);

}  // namespace spillway::metrics
