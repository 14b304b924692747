// What /metrics says of the work itself: what waits, what is rented, and what it costs.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "metrics/page.h"
#include "server/backend.h"

namespace spillway::server {

struct MetricsInputs {
  std::vector<TransferView> transfers;
  std::optional<std::int64_t> ledger_records;  // nullopt: cannot be read
  Time now{};
};

// Pure. Ages are of the daemon's clock.
void WriteMetrics(const RoundView& round, const MetricsInputs& inputs, metrics::Page& page);

}  // namespace spillway::server
