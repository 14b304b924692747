#include "demo/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/money.h"
#include "base/quantity.h"
#include "cli/fields.h"

namespace spillway::demo {
namespace {

using cli::ItemsOf;
using cli::MoneyOf;
using cli::Style;
using cli::TextOf;

const json::value& Part(const json::value& value, std::string_view key) {
  static const json::value kNone;
  const json::value* found = Find(value, key);
  return found == nullptr ? kNone : *found;
}

// "2.67 €" of an object's exact "2.673 EUR".
std::string Euro(const json::value& value, std::string_view key) {
  const Result<Money> money = ParseMoney(StringOr(value, key, ""));
  return money ? HumanMoney(*money) : std::string("-");
}

std::string Lasted(const json::value& value, std::string_view key) {
  const Result<Duration> duration = ParseDuration(StringOr(value, key, ""));
  return !duration ? "-" : duration->count() == 0 ? "0s" : HumanDuration(*duration);
}

std::string NameOf(const json::value& object) {
  return TextOf(Part(object, "metadata"), "name");
}

bool Holds(const json::value& job, std::string_view type) {
  for (const json::value& condition : ItemsOf(Part(job, "status"), "conditions"))
    if (StringOr(condition, "type", "") == type && StringOr(condition, "status", "") == "True")
      return true;
  return false;
}

// A failure ends the good path: that is when the first phase of the way back began.
Time FailedAt(const json::value& status) {
  for (const json::value& entry : ItemsOf(status, "history")) {
    const std::string phase = TextOf(entry, "phase");
    if (phase == "Returning" || phase == "Wiping" || phase == "Deleting" || phase == "Gone")
      return cli::TimeOf(entry, "at").value_or(Time{});
  }
  return cli::TimeOf(status, "phaseSince").value_or(Time{});
}

std::string EndOf(const json::value& node) {
  const json::value& status = Part(node, "status");
  const json::value& wipe = Part(status, "wipe");
  const std::string wipe_class = TextOf(wipe, "class");
  std::string text =
      fmt::format("{} is gone: paid {}, computed {}, cost {} (estimate {})", NameOf(node),
                  Lasted(status, "paid"), Lasted(status, "computed"), Euro(status, "cost"),
                  Euro(Part(Part(node, "spec"), "forecast"), "total"));
  if (!wipe_class.empty() && wipe_class != "none")
    text += fmt::format("; wipe: {}{}", wipe_class,
                        BoolOr(wipe, "verified", false) ? ", read back" : "");
  return text;
}

StoryLine PhaseLine(const json::value& node, const std::string& phase, Time at, bool simulated) {
  const json::value& spec = Part(node, "spec");
  const json::value& status = Part(node, "status");
  const std::string name = NameOf(node);
  const std::int64_t in = IntOr(status, "bytesIn", 0), out = IntOr(status, "bytesOut", 0);
  if (phase == "Planned")
    return {at,
            fmt::format("{} does not fit: {} {}{}; {} are reserved", TextOf(spec, "workload"), name,
                        TextOf(spec, "why"), simulated ? " (simulated)" : "",
                        Euro(Part(spec, "forecast"), "worstCase")),
            Style::kCyan};
  if (phase == "Requested") return {at, name + " was asked for; it boots", Style::kPlain};
  if (phase == "Provisioned") return {at, name + " runs; it dials in", Style::kPlain};
  if (phase == "Joined")
    return {
        at,
        name + " joined with its own identity and the promised hardware; its data goes out sealed",
        Style::kPlain};
  if (phase == "Staged")
    return {at,
            fmt::format("{} has its data{}; {} files ({}) never left the site", name,
                        in > 0 ? ", " + HumanBytes(in) + " sealed" : "",
                        IntOr(status, "neverLeftObjects", 0),
                        HumanBytes(IntOr(status, "neverLeftBytes", 0))),
            Style::kPlain};
  if (phase == "Running")
    return {at,
            fmt::format("{} runs {}: {}", name, TextOf(spec, "workload"),
                        cli::Count(static_cast<std::int64_t>(ItemsOf(spec, "pods").size()), "pod")),
            Style::kGreen};
  if (phase == "Returning") return {at, "results of " + name + " travel home", Style::kPlain};
  if (phase == "Wiping")
    return {at,
            fmt::format("results of {} are home{}; its key is destroyed, its cache overwritten",
                        name, out > 0 ? " (" + HumanBytes(out) + ")" : ""),
            Style::kPlain};
  if (phase == "Deleting")
    return {at, name + " is being deleted, with all that came with it", Style::kPlain};
  return {at, EndOf(node), Style::kGreen};
}

}  // namespace

std::string JobState(const json::value& job) {
  if (Holds(job, "Complete")) return "complete";
  if (Holds(job, "Failed")) return "failed";
  const json::value& status = Part(job, "status");
  return IntOr(status, "ready", 0) > 0 || IntOr(status, "succeeded", 0) > 0 ? "running" : "waiting";
}

std::vector<StoryLine> Story::Feed(const Sight& sight) {
  std::vector<StoryLine> lines;
  const Time now = cli::TimeOf(sight.status, "now").value_or(Time{});
  TellDecisions(sight, now, lines);
  for (const json::value& node : ItemsOf(sight.nodes, "items"))
    TellNode(node, cli::SaysSimulated(sight.status), lines);
  TellStaging(sight, now, lines);
  TellRunning(sight, now, lines);
  TellJobs(sight, now, lines);
  std::stable_sort(lines.begin(), lines.end(),
                   [](const StoryLine& a, const StoryLine& b) { return a.at < b.at; });
  return lines;
}

void Story::TellDecisions(const Sight& sight, Time now, std::vector<StoryLine>& lines) {
  for (const json::value& decision : ItemsOf(sight.status, "waiting")) {
    const std::string workload = TextOf(decision, "workload");
    const std::string verdict = TextOf(decision, "verdict");
    if (!First(fmt::format("decision {} {} {}", workload, verdict, TextOf(decision, "reason"))))
      continue;
    decisions_[workload].push_back(decision);
    // What comes of these is told when it happens.
    if (verdict == "fits-site" || verdict == "on-its-way" || verdict == "rent") continue;
    std::string text = fmt::format("{} does not fit: {}", workload, TextOf(decision, "sentence"));
    const std::string estimate = MoneyOf(decision, "estimate"),
                      missing = MoneyOf(decision, "missing");
    if (!estimate.empty()) text += "; renting would cost about " + estimate;
    if (!missing.empty() && text.find(missing) == std::string::npos)
      text += "; missing: " + missing;
    lines.push_back({now, std::move(text), Style::kYellow});
  }
}

void Story::TellRunning(const Sight& sight, Time now, std::vector<StoryLine>& lines) {
  for (const json::value& running : ItemsOf(sight.status, "running"))
    for (const json::value& where : ItemsOf(running, "where"))
      if (!BoolOr(where, "rented", false) &&
          First(fmt::format("site {} {}", TextOf(running, "workload"), TextOf(where, "node"))))
        lines.push_back({now,
                         fmt::format("{} runs at the site, on {}", TextOf(running, "workload"),
                                     TextOf(where, "node")),
                         Style::kGreen});
}

void Story::TellNode(const json::value& node, bool simulated, std::vector<StoryLine>& lines) {
  const json::value& status = Part(node, "status");
  const std::string name = NameOf(node), failure = TextOf(status, "failure");
  // Before the phase that follows from it, and at its time.
  if (!failure.empty() && failure != "None" && First(name + " failed")) {
    std::string text =
        fmt::format("{} failed ({}): {}", name, failure, TextOf(status, "failureDetail"));
    if (failure == "NodeLost") text += "; its work goes back to the queue";
    if (failure == "Capacity") text += "; this offer rests, the next one is tried";
    lines.push_back({FailedAt(status), std::move(text), Style::kRed});
  }
  for (const json::value& entry : ItemsOf(status, "history")) {
    const std::string phase = TextOf(entry, "phase");
    if (First(name + " " + phase))
      lines.push_back(PhaseLine(node, phase, cli::TimeOf(entry, "at").value_or(Time{}), simulated));
  }
}

void Story::TellStaging(const Sight& sight, Time now, std::vector<StoryLine>& lines) {
  for (const json::value& rented : ItemsOf(sight.status, "rented")) {
    const json::value& progress = Part(rented, "progress");
    const std::int64_t staged = IntOr(progress, "stagedBytes", 0);
    const std::int64_t total = IntOr(progress, "totalBytes", 0);
    if (staged <= 0 || staged >= total || !First(TextOf(rented, "name") + " staging")) continue;
    lines.push_back({now,
                     fmt::format("{} is being staged: {} of {}", TextOf(rented, "name"),
                                 HumanBytes(staged), HumanBytes(total)),
                     Style::kPlain});
  }
}

void Story::TellJobs(const Sight& sight, Time now, std::vector<StoryLine>& lines) {
  for (const json::value& job : ItemsOf(sight.jobs, "items")) {
    const std::string state = JobState(job);
    const std::string label =
        fmt::format("{}/Job/{}", TextOf(Part(job, "metadata"), "namespace"), NameOf(job));
    if ((state != "complete" && state != "failed") || !First(label + " " + state)) continue;
    if (state == "complete") {
      lines.push_back({now, label + " is complete", Style::kGreen});
      continue;
    }
    std::string message;
    for (const json::value& condition : ItemsOf(Part(job, "status"), "conditions"))
      if (StringOr(condition, "type", "") == "Failed") message = TextOf(condition, "message");
    lines.push_back({now, fmt::format("{} failed: {}", label, message), Style::kRed});
  }
}

bool IsOver(const Sight& sight) {
  const json::array& nodes = ItemsOf(sight.nodes, "items");
  if (nodes.empty()) return false;
  for (const json::value& node : nodes)
    if (TextOf(Part(node, "status"), "phase") != "Gone") return false;
  if (!ItemsOf(sight.status, "running").empty()) return false;
  // Nothing runs and nothing is rented: what waits now for a reason of money or law waits for good.
  std::set<std::string> explained;
  for (const json::value& decision : ItemsOf(sight.status, "waiting")) {
    const std::string verdict = TextOf(decision, "verdict");
    if (verdict == "fits-site" || verdict == "on-its-way" || verdict == "rent") return false;
    if (TextOf(decision, "reason") == "site-soon") return false;
    explained.insert(TextOf(decision, "workload"));
  }
  bool ended = false;
  for (const json::value& job : ItemsOf(sight.jobs, "items")) {
    const std::string state = JobState(job);
    ended = ended || state == "complete" || state == "failed";
    if (state == "running") return false;
    // Between the end of its pod and the Job's own word for it.
    const std::string key =
        fmt::format("{}/Job/{}", TextOf(Part(job, "metadata"), "namespace"), NameOf(job));
    if (state == "waiting" && !explained.contains(key)) return false;
  }
  return ended;
}

}  // namespace spillway::demo
