#include "demo/outcome.h"

#include <fmt/format.h>

#include "base/money.h"
#include "cli/fields.h"
#include "cli/table.h"

namespace spillway::demo {
namespace {

using cli::ItemsOf;
using cli::TextOf;

json::value Member(const json::value& value, std::string_view key) {
  const json::value* found = Find(value, key);
  return found == nullptr ? json::value(nullptr) : *found;
}

json::value TextOrNull(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

std::string Micro(const json::value& value, std::string_view key) {
  return HumanMoney(Money::Micro(IntOr(value, key, 0)));
}

std::string Lasted(std::int64_t seconds) {
  return seconds == 0 ? "0s" : HumanDuration(std::chrono::seconds(seconds));
}

std::string Seconds(const json::value& value, std::string_view key) {
  return Lasted(IntOr(value, key, 0));
}

// Of each machine: when it entered each phase, in real seconds since it was decided.
json::array Timeline(const Evidence& evidence) {
  json::array timeline;
  for (const json::value& node : ItemsOf(evidence.nodes, "items")) {
    json::array phases;
    std::optional<Time> first;
    const json::value status = Member(node, "status");
    for (const json::value& step : ItemsOf(status, "history")) {
      const auto at = ParseTime(TextOf(step, "at"));
      if (!at) continue;
      if (!first) first = *at;
      const Duration since = (*at - *first) / std::max(evidence.time_scale, 1);
      phases.push_back(json::object{{"phase", TextOf(step, "phase")}, {"ms", since.count()}});
    }
    timeline.push_back(json::object{{"name", TextOf(Member(node, "metadata"), "name")},
                                    {"phases", std::move(phases)}});
  }
  return timeline;
}

// Where results went into a bucket, and who brought them.
json::array Buckets(const Evidence& evidence) {
  json::array buckets;
  for (const auto& [job, use] : evidence.buckets) {
    const auto files = evidence.results.find(job);
    json::array runs;
    for (const std::string& run : use.runs) runs.emplace_back(run);
    buckets.push_back(
        json::object{{"workload", job},
                     {"place", use.place},
                     {"files", files == evidence.results.end() ? 0 : files->second.results.size()},
                     {"from", std::move(runs)}});
  }
  return buckets;
}

}  // namespace

json::value FinalReport(const Evidence& evidence, bool ok) {
  json::array workloads;
  for (const json::value& w : ItemsOf(evidence.report, "workloads")) {
    const auto it = evidence.results.find(TextOf(w, "namespace") + "/" + TextOf(w, "name"));
    const ResultFiles* files = it == evidence.results.end() ? nullptr : &it->second;
    json::object out;
    for (const char* key : {"name", "namespace", "ranAt", "why", "exitCode"})
      out[key] = Member(w, key);
    out["resultSha256"] = TextOrNull(files == nullptr ? "" : ModelHash(files->results));
    out["expectedSha256"] = TextOrNull(files == nullptr ? "" : ModelHash(files->expected));
    for (const char* key : {"waitedSeconds", "estimateMicroEuro", "actualMicroEuro"})
      out[key] = Member(w, key);
    workloads.push_back(std::move(out));
  }
  json::object report{{"ok", ok}, {"workloads", std::move(workloads)}};
  for (const char* key : {"burstNodes", "offers", "neverLeft", "plaintextFoundOnRentedDisks",
                          "scannedBytes", "leftovers"})
    report[key] = Member(evidence.report, key);
  report["audit"] = json::object{{"records", evidence.exported.records},
                                 {"verified", evidence.exported.ok && evidence.stored.ok}};
  report["simulated"] = Member(evidence.report, "simulated");
  if (Find(evidence.report, "scans") != nullptr) report["scans"] = Member(evidence.report, "scans");
  report["timeline"] = Timeline(evidence);
  if (!evidence.buckets.empty()) report["buckets"] = Buckets(evidence);
  return report;
}

std::string Bill(const json::value& final_report, const cli::Terminal& terminal) {
  const cli::Painter paint(terminal.colour);
  cli::Table workloads{{{"WORKLOAD"},
                        {"RAN AT", false, true},
                        {"EXIT", true},
                        {"WAITED", true},
                        {"ESTIMATE", true},
                        {"ACTUAL", true},
                        {"RESULT"}},
                       {},
                       2};
  for (const json::value& w : ItemsOf(final_report, "workloads")) {
    const std::string got = TextOf(w, "resultSha256"), expected = TextOf(w, "expectedSha256");
    const json::value exit_code = Member(w, "exitCode");
    workloads.rows.push_back({TextOf(w, "namespace") + "/" + TextOf(w, "name"),
                              TextOf(w, "ranAt").empty() ? "did not start" : TextOf(w, "ranAt"),
                              exit_code.is_null() ? "-" : json::serialize(exit_code),
                              Seconds(w, "waitedSeconds"), Micro(w, "estimateMicroEuro"),
                              Micro(w, "actualMicroEuro"),
                              expected.empty()  ? "-"
                              : got == expected ? "identical"
                                                : "DIFFERENT"});
  }
  const std::string label = cli::SimulatedLabel(final_report);
  cli::Table nodes{{{"MACHINE"},
                    {"RENTED AT", false, true},
                    {"PAID", true},
                    {"COMPUTED", true},
                    {"COST", true},
                    {"WIPE"}},
                   {},
                   2};
  std::int64_t paid = 0, computed = 0, cost = 0;
  for (const json::value& n : ItemsOf(final_report, "burstNodes")) {
    const json::value wipe = Member(n, "wipe");
    paid += IntOr(n, "secondsPaid", 0);
    computed += IntOr(n, "secondsComputed", 0);
    cost += IntOr(n, "costMicroEuro", 0);
    nodes.rows.push_back(
        {TextOf(n, "name"),
         fmt::format("{}/{}/{}", TextOf(n, "provider"), TextOf(n, "region"), TextOf(n, "type")),
         Seconds(n, "secondsPaid"), Seconds(n, "secondsComputed"), Micro(n, "costMicroEuro"),
         TextOf(wipe, "class") + (BoolOr(wipe, "verified", false) ? ", read back" : "")});
  }
  nodes.rows.push_back(
      {"total", "", Lasted(paid), Lasted(computed), HumanMoney(Money::Micro(cost)), ""});
  return paint(cli::Style::kBold, "The workloads") + "\n" +
         workloads.Render(terminal.columns, paint) + "\n" +
         paint(cli::Style::kBold, "The bill" + label) + "\n" +
         nodes.Render(terminal.columns, paint);
}

std::string ClaimsText(const std::vector<Claim>& claims, const cli::Painter& paint) {
  std::string out;
  for (const Claim& claim : claims)
    out += fmt::format("{} {}\n    {}\n",
                       claim.ok ? paint(cli::Style::kGreen, "✓") : paint(cli::Style::kRed, "✗"),
                       claim.name, paint(cli::Style::kDim, claim.detail));
  return out;
}

}  // namespace spillway::demo
