// What is left of a demonstration: report.json and the bill. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/text.h"
#include "demo/claims.h"

namespace spillway::demo {

// report.json as docs/reference/report.md fixes it: the daemon's report with `ok`, the hashes of
// the results and `audit.verified`. The members are exactly those.
json::value FinalReport(const Evidence& evidence, bool ok);

// Workloads: where they ran, what they waited, estimate next to actual. Machines: seconds paid next
// to computed, cost, wipe. With the sums.
std::string Bill(const json::value& final_report, const cli::Terminal& terminal);

// "✓ name: detail" per claim.
std::string ClaimsText(const std::vector<Claim>& claims, const cli::Painter& paint);

}  // namespace spillway::demo
