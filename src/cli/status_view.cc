#include "cli/status_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quantity.h"
#include "cli/fields.h"
#include "cli/table.h"

namespace spillway::cli {
namespace {

constexpr std::size_t kBarWidth = 10;

// Share of the expected time that is over. It stops before the end: only the end itself is 100.
int Expected(Duration passed, Duration forecast) {
  if (forecast.count() <= 0) return 0;
  return static_cast<int>(std::clamp<std::int64_t>(passed * 100 / forecast, 0, 99));
}

Duration ForecastOf(const json::value& node, std::string_view step) {
  const json::value* text = FindPath(node, {"spec", "forecast", step});
  if (text == nullptr || !text->is_string()) return Duration{0};
  return ParseDuration(View(text->get_string())).value_or(Duration{0});
}

std::string Labelled(std::string_view label, int percent) {
  return fmt::format("{:<5} {} {:>3} %", label, Bar(percent, kBarWidth), percent);
}

const json::value& NodeNamed(const json::value& nodes, std::string_view name) {
  static const json::value kNone;
  for (const json::value& node : ItemsOf(nodes, "items"))
    if (const json::value* metadata = Find(node, "metadata"))
      if (StringOr(*metadata, "name", "") == name) return node;
  return kNone;
}

class Screen {
 public:
  Screen(const json::value& status, const json::value& nodes, const Terminal& terminal)
      : status_(status),
        nodes_(nodes),
        paint_(terminal.colour),
        width_(terminal.columns == 0 ? 100 : std::max<std::size_t>(terminal.columns, 40)),
        // Of a screen of 24 lines 8 go to headlines; the sections share the rest.
        most_(terminal.rows == 0 ? 1000 : std::max<std::size_t>((terminal.rows - 8) / 3, 3)),
        dense_(terminal.rows != 0 && terminal.rows < 36),
        now_(TimeOf(status, "now").value_or(Time{})) {}

  std::string Draw() {
    Head();
    Alarms();
    Waiting();
    Rented();
    Running();
    Budgets();
    out_ += SimulatedLine(status_, paint_);
    return std::move(out_);
  }

 private:
  void Head() {
    static const json::value kNone;
    const json::value* found = Find(status_, "site");
    const json::value& site = found == nullptr ? kNone : *found;
    const std::int64_t scale = IntOr(status_, "timeScale", 1);
    const std::string left = fmt::format(
        "site {} of {} GPUs busy   {} waiting   {} rented{}   {} per hour",
        IntOr(site, "gpusUsed", 0), IntOr(site, "gpusTotal", 0), ItemsOf(status_, "waiting").size(),
        ItemsOf(status_, "rented").size(), SimulatedLabel(status_), MoneyOf(status_, "perHour"));
    const std::string right =
        ClockOf(status_, "now") + " UTC" + (scale > 1 ? fmt::format(" ×{}", scale) : "");
    const std::size_t used = DisplayWidth(left) + DisplayWidth(right);
    out_ += paint_(Style::kBold, left);
    out_ += used + 2 <= width_ ? std::string(width_ - used, ' ') + right : "";
    out_ += "\n";
    std::string machines;
    for (const json::value& node : ItemsOf(site, "nodes")) {
      const std::int64_t total = IntOr(node, "gpusTotal", 0), busy = IntOr(node, "gpusUsed", 0);
      const int percent = total > 0 ? static_cast<int>(busy * 100 / total) : 0;
      const std::string state = !BoolOr(node, "ready", false)          ? " not ready"
                                : BoolOr(node, "unschedulable", false) ? " cordoned"
                                                                       : "";
      machines +=
          fmt::format("  {} {} {}/{}{}", TextOf(node, "name"), Bar(percent, 8), busy, total, state);
    }
    if (!machines.empty()) out_ += Clip(machines, width_) + "\n";
  }

  // On a small screen lines are worth more than room between them.
  void Title(std::string_view text) {
    out_ += (dense_ ? "" : "\n") + paint_(Style::kBold, text) + "\n";
  }

  // Says how many of `items` are not shown; returns how many are.
  std::size_t Shown(const json::array& items) const { return std::min(items.size(), most_); }
  void LeftOut(const json::array& items) {
    if (items.size() > most_) out_ += fmt::format("  … and {} more\n", items.size() - most_);
  }

  void Alarms() {
    const json::array& alarms = ItemsOf(status_, "alarms");
    if (alarms.empty()) return;
    Title("ALARMS");
    for (std::size_t i = 0; i < Shown(alarms); ++i) {
      const std::vector<std::string> lines = Wrap(TextOf(alarms[i], "sentence"), width_ - 4);
      for (std::size_t l = 0; l < lines.size(); ++l)
        out_ += (l == 0 ? "  ! " : "    ") + paint_(Style::kRed, lines[l]) + "\n";
    }
    LeftOut(alarms);
  }

  void Waiting() {
    const json::array& waiting = ItemsOf(status_, "waiting");
    if (waiting.empty()) return;
    Title("WAITING, AND WHY");
    std::size_t name_width = 0;
    for (const json::value& w : waiting)
      name_width = std::max(name_width, DisplayWidth(TextOf(w, "workload")));
    name_width = std::min(name_width, width_ / 3);
    for (std::size_t i = 0; i < Shown(waiting); ++i) {
      const json::value& w = waiting[i];
      const std::string first = fmt::format(
          "  {}  {}  {}  ", PadRight(Clip(TextOf(w, "workload"), name_width), name_width),
          PadLeft(Count(IntOr(w, "gpus", 0), "GPU"), 6), PadLeft(SecondsOf(w, "waitedSeconds"), 6));
      const std::size_t at = DisplayWidth(first);
      const std::vector<std::string> lines = Wrap(TextOf(w, "sentence"), width_ - at);
      const bool rents = TextOf(w, "verdict") == "rent" || TextOf(w, "verdict") == "on-its-way";
      out_ += first;
      for (std::size_t l = 0; l < lines.size(); ++l) {
        if (l > 0) out_ += std::string(at, ' ');
        out_ += paint_(rents ? Style::kGreen : Style::kYellow, lines[l]) + "\n";
      }
      if (lines.empty()) out_ += "\n";
    }
    LeftOut(waiting);
  }

  void Rented() {
    const json::array& rented = ItemsOf(status_, "rented");
    if (rented.empty()) return;
    Title("RENTED" + SimulatedLabel(status_));
    Table table{{{"NAME"}, {"PHASE"}, {"PROGRESS"}, {"WHERE", false, true}, {"FOR", false, true}},
                {},
                2,
                2};
    // What a narrow terminal has no room for.
    const bool since = width_ >= 90, per_hour = width_ >= 120;
    if (since) table.columns.push_back({"SINCE", true});
    table.columns.push_back({"COST", true});
    if (per_hour) table.columns.push_back({"PER HOUR", true});
    for (std::size_t i = 0; i < Shown(rented); ++i) {
      const json::value& r = rented[i];
      const std::string failure = TextOf(r, "failure");
      std::vector<std::string> row{
          TextOf(r, "name"), TextOf(r, "phase") + (failure.empty() ? "" : " !" + failure),
          ProgressOf(r, NodeNamed(nodes_, StringOr(r, "name", "")), now_),
          fmt::format("{}/{}/{}", TextOf(r, "provider"), TextOf(r, "region"), TextOf(r, "type")),
          TextOf(r, "for")};
      if (since) row.push_back(SecondsOf(r, "phaseSeconds"));
      row.push_back(MoneyOf(r, "costSoFar"));
      if (per_hour) row.push_back(MoneyOf(r, "perHour"));
      table.rows.push_back(std::move(row));
    }
    out_ += table.Render(width_, paint_);
    LeftOut(rented);
  }

  // What runs on rented machines stands with them above.
  void Running() {
    Table table{{{"WORKLOAD", false, true}, {"PODS", true}, {"WHERE", false, true}}, {}, 2, 2};
    std::size_t left_out = 0;
    for (const json::value& r : ItemsOf(status_, "running")) {
      std::string where;
      std::int64_t pods = 0;
      for (const json::value& place : ItemsOf(r, "where")) {
        if (BoolOr(place, "rented", false)) continue;
        pods += IntOr(place, "pods", 0);
        where += (where.empty() ? "" : ", ") + TextOf(place, "node");
      }
      if (pods == 0) continue;
      if (table.rows.size() == most_) {
        ++left_out;
        continue;
      }
      const std::int64_t starting = IntOr(r, "starting", 0);
      if (starting > 0) where += fmt::format(" ({} starting)", starting);
      table.rows.push_back({TextOf(r, "workload"), fmt::format("{}", pods), where});
    }
    if (table.rows.empty()) return;
    Title("RUNNING AT THE SITE");
    out_ += table.Render(width_, paint_);
    if (left_out > 0) out_ += fmt::format("  … and {} more\n", left_out);
  }

  void Budgets() {
    const json::array& budgets = ItemsOf(status_, "budgets");
    if (budgets.empty()) return;
    Title("BUDGETS");
    Table table{{{"NAME", false, true},
                 {"USED"},
                 {"LEFT", true},
                 {"OF", true},
                 {"SPENT", true},
                 {"RESERVED", true},
                 {"PERIOD"}},
                {},
                2,
                2};
    for (std::size_t i = 0; i < Shown(budgets); ++i) {
      const json::value& b = budgets[i];
      const auto percent = static_cast<int>(IntOr(b, "percent", 0));
      table.rows.push_back({TextOf(b, "name"),
                            fmt::format("{} {:>3} %{}", Bar(percent, kBarWidth), percent,
                                        BoolOr(b, "warn", false) ? " !" : ""),
                            MoneyOf(b, "left"), MoneyOf(b, "amount"), MoneyOf(b, "spent"),
                            MoneyOf(b, "reserved"), TextOf(b, "period")});
    }
    out_ += table.Render(width_, paint_);
    LeftOut(budgets);
  }

  const json::value& status_;
  const json::value& nodes_;
  Painter paint_;
  std::size_t width_, most_;
  bool dense_;
  Time now_;
  std::string out_;
};

// Rate and time left are of real time: a demonstration's clock does not change them.
std::string Staging(const json::value& progress) {
  std::string text = Labelled("stage", static_cast<int>(IntOr(progress, "stagedPercent", 0)));
  if (const std::int64_t total = IntOr(progress, "totalBytes", 0); total > 0)
    text += fmt::format(" of {}", HumanBytes(total));
  const std::int64_t rate = IntOr(progress, "stagedBytesPerSecond", 0);
  if (rate > 0) text += fmt::format("  {}/s", HumanBytes(rate));
  const std::int64_t left = IntOr(progress, "stagedSecondsLeft", 0);
  if (left > 0) text += fmt::format("  {} left", HumanDuration(std::chrono::seconds(left)));
  return text;
}

}  // namespace

std::string ProgressOf(const json::value& rented, const json::value& node, Time now) {
  static const json::value kNone;
  const json::value* found = Find(rented, "progress");
  const json::value& progress = found == nullptr ? kNone : *found;
  const std::string phase = TextOf(rented, "phase");
  const Duration in_phase = std::chrono::seconds(IntOr(rented, "phaseSeconds", 0));
  if (phase == "Planned" || phase == "Requested" || phase == "Provisioned") {
    const Time created = TimeOf(rented, "createdAt").value_or(now);
    return Labelled("boot", Expected(now - created, ForecastOf(node, "boot")));
  }
  // Pods may begin before all of their data is there.
  const bool missing = IntOr(progress, "stagedBytes", 0) < IntOr(progress, "totalBytes", 0);
  if (phase == "Joined" || (phase == "Running" && missing)) return Staging(progress);
  if (phase == "Running") return Labelled("run", Expected(in_phase, ForecastOf(node, "run")));
  if (phase == "Returning") {
    const std::int64_t pending = IntOr(progress, "resultsPending", 0);
    return pending > 0 ? Count(pending, "result") + " to come" : "results home";
  }
  if (phase == "Wiping")
    return Labelled("wipe", static_cast<int>(IntOr(progress, "wipePercent", 0)));
  if (phase == "Staged") return "data is there";
  return {};
}

std::string StatusView(const json::value& status, const json::value& nodes,
                       const Terminal& terminal) {
  return Screen(status, nodes, terminal).Draw();
}

}  // namespace spillway::cli
