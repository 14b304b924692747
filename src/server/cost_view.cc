// Bills: what BurstNodes cost, grouped.
#include <fmt/format.h>

#include "server/view_parts.h"

namespace spillway::server {
namespace {

struct Row {
  std::int64_t nodes = 0, live = 0;
  Amounts amounts;
};

// Milliseconds become whole seconds only here, so that the total is that of the parts.
json::object RowJson(std::string_view key, const Row& row) {
  return {{"key", key},
          {"burstNodes", row.nodes},
          {"live", row.live},
          {"secondsPaid", row.amounts.paid_ms / 1000},
          {"secondsComputed", row.amounts.computed_ms / 1000},
          {"estimate", MoneyJson(row.amounts.estimate)},
          {"actual", MoneyJson(row.amounts.Actual())},
          {"compute", MoneyJson(row.amounts.compute)},
          {"sideObjects", MoneyJson(row.amounts.side_objects)},
          {"egress", MoneyJson(row.amounts.egress)}};
}

bool GoneBefore(const BurstNode& node, Time time) {
  return !node.Live() && node.phase_since < time;
}

void Add(Row& row, const BurstNode& node, const Amounts& amounts) {
  ++row.nodes;
  row.live += node.Live();
  row.amounts += amounts;
}

}  // namespace

Result<json::value> CostView(const std::vector<BurstNode>& nodes, const Owners& owners,
                             std::string_view by, std::optional<Time> since,
                             const ViewContext& context) {
  std::string BurstNode::* field = nullptr;
  if (by == "namespace") field = &BurstNode::ns;
  if (by == "node") field = &BurstNode::name;
  if (by == "budget") field = &BurstNode::budget;
  if (field == nullptr && by != "workload" && by != "provider")
    return Fail(Code::kInvalid,
                fmt::format("by: \"{}\" is not known; one of namespace, workload, provider, node, "
                            "budget",
                            schema::Printable(by)));
  std::map<std::string, Row> rows;
  Row total;
  for (const BurstNode& node : nodes) {
    if (since && GoneBefore(node, *since)) continue;
    const Amounts whole = AmountsOf(node, context.now);
    Add(total, node, whole);
    if (by == "workload") {
      for (const auto& [workload, part] : SharesOf(node, owners, context.now))
        Add(rows[workload], node, part);
    } else {
      Add(rows[field == nullptr ? node.offer.provider : node.*field], node, whole);
    }
  }
  json::array out;
  for (const auto& [key, row] : rows) out.push_back(RowJson(key, row));
  return json::object{{"now", FormatTime(context.now)},
                      {"simulated", Simulated(context)},
                      {"by", by},
                      {"since", TimeOrNull(since)},
                      {"rows", std::move(out)},
                      {"total", RowJson("total", total)}};
}

}  // namespace spillway::server
