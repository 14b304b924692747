#include "cli/report_views.h"

#include <fmt/format.h>

#include <map>

#include "base/money.h"
#include "base/quantity.h"
#include "cli/fields.h"
#include "cli/table.h"

namespace spillway::cli {
namespace {

// Offers shown of those that are allowed, and of those that are refused; -o wide shows all.
constexpr std::size_t kOffersShown = 10;
constexpr std::size_t kVerdictWidth = 60;

std::string Paragraph(std::string_view text, const Terminal& terminal) {
  std::string out;
  for (const std::string& line : Wrap(text, terminal.columns == 0 ? 100 : terminal.columns))
    out += line + "\n";
  return out;
}

std::string Micro(const json::value& value, std::string_view key) {
  const json::value* micro = Find(value, key);
  return micro == nullptr || !micro->is_int64() ? std::string()
                                                : HumanMoney(Money::Micro(micro->get_int64()));
}

std::string Place(const json::value& v) {
  return fmt::format("{}/{}/{}", TextOf(v, "provider"), TextOf(v, "region"), TextOf(v, "type"));
}

std::string Facts(const json::value& facts) {
  std::string out =
      fmt::format("policy {}, data class {} ({}), {} of input, {}, priority {}",
                  TextOf(facts, "policy").empty() ? "none" : TextOf(facts, "policy"),
                  TextOf(facts, "dataClass"), TextOf(facts, "dataClassSource"),
                  HumanBytes(IntOr(facts, "inputBytes", 0)),
                  Count(IntOr(facts, "pods", 0), "pod") +
                      (BoolOr(facts, "gang", false) ? " as a gang, all or nothing" : ""),
                  IntOr(facts, "priority", 0));
  return out;
}

std::string DecisionText(const json::value& d, std::string_view now) {
  std::string out;
  const std::string waited = SecondsOf(d, "waitedSeconds");
  if (!waited.empty()) out += "waits for " + waited;
  const auto add = [&](const std::string& text) {
    if (!text.empty()) out += (out.empty() ? "" : ", ") + text;
  };
  const std::string estimate = MoneyOf(d, "estimate"), missing = MoneyOf(d, "missing");
  add(estimate.empty() ? "" : "renting would cost about " + estimate);
  add(missing.empty() ? "" : "the budget lacks " + missing);
  const std::string until = WhenOf(d, "until", now);
  add(until.empty() ? "" : "looked at again at " + until);
  return out;
}

std::string ExplainOffers(const json::value& explain, bool wide, const Terminal& terminal) {
  const json::array& offers = ItemsOf(explain, "offers");
  if (offers.empty()) return {};
  Table table{{{"OFFER", false, true},
               {"GPUS", true},
               {"PER HOUR", true},
               {"TOTAL", true},
               {"VERDICT", false, true}},
              {},
              2,
              2};
  if (wide) table.columns.push_back({"EVIDENCE"});
  std::map<bool, std::size_t> shown;  // by "refused"
  std::size_t left_out = 0;
  for (const json::value& o : offers) {
    const std::string reason = TextOf(o, "reason");
    const bool refused = MoneyOf(o, "total").empty() && reason != "chosen" && reason != "allowed";
    if (!wide && reason != "chosen" && ++shown[refused] > kOffersShown) {
      ++left_out;
      continue;
    }
    const std::string sentence = TextOf(o, "sentence");
    std::vector<std::string> row{Place(o), fmt::format("{}", IntOr(o, "gpus", 0)),
                                 MoneyOf(o, "perHour"), MoneyOf(o, "total"),
                                 wide ? sentence : Clip(sentence, kVerdictWidth)};
    if (wide) row.push_back(TextOf(o, "evidence"));
    table.rows.push_back(std::move(row));
  }
  const Painter paint(terminal.colour);
  std::string out = "\n" + paint(Style::kBold, "OFFERS" + SimulatedLabel(explain)) + "\n" +
                    table.Render(wide ? 0 : terminal.columns, paint);
  if (left_out > 0)
    out += fmt::format("  … and {} more; -o wide shows all with evidence\n", left_out);
  return out;
}

std::string LifeOf(const json::value& node, const Painter& paint) {
  static const json::value kNone;
  const auto part = [&](std::string_view key) -> const json::value& {
    const json::value* found = Find(node, key);
    return found == nullptr ? kNone : *found;
  };
  std::string out = paint(Style::kBold, fmt::format("  {} ", TextOf(node, "name"))) +
                    fmt::format("{}  {}\n", TextOf(node, "phase"), Place(node));
  out += fmt::format("    why      {}\n", TextOf(node, "why"));
  std::string times;
  for (const json::value& step : ItemsOf(node, "steps")) {
    const std::string actual = SecondsOf(step, "actualSeconds");
    times += fmt::format("{}{} {} (forecast {})", times.empty() ? "" : ", ",
                         TextOf(step, "step") == "giveBack" ? "return" : TextOf(step, "step"),
                         actual.empty() ? "-" : actual, SecondsOf(step, "forecastSeconds"));
  }
  out += "    times    " + times + "\n";
  out += fmt::format("    paid     {} (forecast {})\n", SecondsOf(part("paid"), "actualSeconds"),
                     SecondsOf(part("paid"), "forecastSeconds"));
  out +=
      fmt::format("    cost     {} (forecast {}, worst case {})\n", MoneyOf(part("cost"), "actual"),
                  MoneyOf(part("cost"), "forecast"), MoneyOf(part("cost"), "worstCase"));
  out += fmt::format("    data     {} in, {} out; {} and {} never left\n",
                     HumanBytes(IntOr(node, "bytesIn", 0)), HumanBytes(IntOr(node, "bytesOut", 0)),
                     Count(IntOr(part("neverLeft"), "objects", 0), "object"),
                     HumanBytes(IntOr(part("neverLeft"), "bytes", 0)));
  const std::string certificate = TextOf(part("wipe"), "certificate");
  out += fmt::format("    wipe     {}{}{}\n", TextOf(part("wipe"), "class"),
                     BoolOr(part("wipe"), "verified", false) ? ", read back" : "",
                     certificate.empty() ? "" : ", certificate " + certificate);
  const std::string failure = TextOf(node, "failure");
  if (!failure.empty())
    out +=
        "    failure  " + paint(Style::kRed, failure + ": " + TextOf(node, "failureDetail")) + "\n";
  return out;
}

// "3 us-nexus, 12 price-limit" of a plan's explanation.
std::string RefusedText(const json::value& plan, std::int64_t index) {
  const json::array& explanations = ItemsOf(plan, "explanations");
  if (index < 0 || static_cast<std::size_t>(index) >= explanations.size()) return {};
  std::map<std::string, int> counts;
  for (const json::value& o : ItemsOf(explanations[static_cast<std::size_t>(index)], "offers"))
    if (TextOf(o, "reason") != "chosen") ++counts[TextOf(o, "reason")];
  std::string out;
  for (const auto& [reason, count] : counts)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, reason);
  return out;
}

std::string VerdictText(const json::value* verdict, bool wide) {
  if (verdict == nullptr) return {};
  const std::string sentence = TextOf(*verdict, "sentence");
  return wide ? sentence : Clip(sentence, kVerdictWidth);
}

std::vector<std::string> CostCells(const json::value& row) {
  const std::int64_t live = IntOr(row, "live", 0);
  const std::string key = TextOf(row, "key");
  const std::int64_t paid = IntOr(row, "secondsPaid", 0);
  const std::int64_t computed = IntOr(row, "secondsComputed", 0);
  return {key.empty() ? "(no budget)" : key,
          fmt::format("{}{}", IntOr(row, "burstNodes", 0),
                      live > 0 ? fmt::format(" ({} live)", live) : ""),
          SecondsOf(row, "secondsPaid"),
          SecondsOf(row, "secondsComputed"),
          paid > 0 ? Percent(computed * 100 / paid) : "",
          MoneyOf(row, "estimate"),
          MoneyOf(row, "actual"),
          MoneyOf(row, "compute"),
          MoneyOf(row, "sideObjects"),
          MoneyOf(row, "egress")};
}

// "41s, slow ones 1m10s (12)": learned from 12 machines. `otherwise`: what is said of none.
std::string MeasuredText(const json::value& offer, std::string_view what,
                         std::string_view otherwise) {
  const json::value* time = Find(offer, what);
  const std::int64_t machines = time == nullptr ? 0 : IntOr(*time, "machines", 0);
  if (time == nullptr || (machines == 0 && otherwise.empty())) return "";
  const auto span = [&](const char* key) {
    return FormatDuration(std::chrono::seconds(IntOr(*time, key, 0)));
  };
  return fmt::format("{}, slow ones {} ({})", span("medianSeconds"), span("p90Seconds"),
                     machines > 0 ? fmt::format("{}", machines) : std::string(otherwise));
}

// "2s (9), 118 MiB/s (7)": whatever the size, and how fast much data comes.
std::string StagingText(const json::value& offer) {
  std::string text;
  if (const json::value* time = Find(offer, "stage"); time && IntOr(*time, "machines", 0) > 0)
    text = fmt::format("{} ({})",
                       FormatDuration(std::chrono::seconds(IntOr(*time, "medianSeconds", 0))),
                       IntOr(*time, "machines", 0));
  if (const json::value* rate = Find(offer, "stageRate"); rate && IntOr(*rate, "machines", 0) > 0)
    text += fmt::format("{}{}/s ({})", text.empty() ? "" : ", ",
                        HumanBytes(IntOr(*rate, "medianBytesPerSecond", 0)),
                        IntOr(*rate, "machines", 0));
  return text;
}

// "3 of 15"
std::string FailsText(const json::value& offer) {
  const json::value* tries = Find(offer, "tries");
  const std::int64_t tried = tries == nullptr ? 0 : IntOr(*tries, "tried", 0);
  return tried == 0 ? "" : fmt::format("{} of {}", IntOr(*tries, "failed", 0), tried);
}

std::vector<std::string> WideOfferCells(const json::value& offer) {
  return {TextOf(offer, "capacity"),
          MeasuredText(offer, "boot", "catalogue"),
          MeasuredText(offer, "join", ""),
          StagingText(offer),
          MeasuredText(offer, "start", ""),
          FailsText(offer),
          JoinTexts(ItemsOf(offer, "certificates")),
          TextOf(offer, "source"),
          TextOf(offer, "readAt").substr(0, 10)};
}

}  // namespace

std::string OffersView(const json::value& offers, bool wide, const Terminal& terminal) {
  const Painter paint(terminal.colour);
  Table table{{{"OFFER", false, true},
               {"COUNTRY"},
               {"GPUS", true},
               {"PRODUCT", false, true},
               {"PER HOUR", true},
               {"PER GPU", true},
               {"STOCK"},
               {"US NEXUS"},
               {"VERDICT", false, true}},
              {},
              2};
  if (wide)
    for (const char* name : {"CAPACITY", "BOOTS IN", "JOINS IN", "STAGES IN", "STARTS IN", "FAILS",
                             "CERTIFICATES", "SOURCE", "READ"})
      table.columns.push_back({name});
  for (const json::value& o : ItemsOf(offers, "items")) {
    const json::value* verdict = Find(o, "verdict");
    std::vector<std::string> row{Place(o),
                                 TextOf(o, "country"),
                                 fmt::format("{}", IntOr(o, "gpus", 0)),
                                 TextOf(o, "gpuProduct"),
                                 MoneyOf(o, "perHour"),
                                 MoneyOf(o, "perGpuHour"),
                                 TextOf(o, "stock"),
                                 TextOf(o, "usNexus"),
                                 VerdictText(verdict, wide)};
    if (wide)
      for (std::string& cell : WideOfferCells(o)) row.push_back(std::move(cell));
    table.rows.push_back(std::move(row));
  }
  std::string out = table.Render(wide ? 0 : terminal.columns, paint);
  const std::string sentence = TextOf(offers, "sentence");
  if (!sentence.empty()) out += "\n" + Paragraph(sentence, terminal);
  return out + SimulatedLine(offers, paint);
}

std::string ExplainView(const json::value& explain, bool wide, const Terminal& terminal) {
  const Painter paint(terminal.colour);
  std::string out = paint(Style::kBold, TextOf(explain, "workload")) + "\n" +
                    Paragraph(TextOf(explain, "sentence"), terminal);
  if (const json::value* decision = Find(explain, "decision"))
    out += Paragraph(DecisionText(*decision, TextOf(explain, "now")), terminal);
  if (const json::value* facts = Find(explain, "facts")) out += Paragraph(Facts(*facts), terminal);
  out += ExplainOffers(explain, wide, terminal);
  if (const json::value* past = Find(explain, "past"))
    out += Paragraph(fmt::format("These were the offers at {}, when it was decided: {}",
                                 TextOf(*past, "at"), TextOf(*past, "sentence")),
                     terminal);
  if (TextOf(explain, "judged") == "policy" && !ItemsOf(explain, "offers").empty())
    out += "  It does not wait, so only the rules of its policy are applied here.\n";
  const json::array& nodes = ItemsOf(explain, "burstNodes");
  if (!nodes.empty())
    out += "\n" + paint(Style::kBold, "RENTED FOR IT" + SimulatedLabel(explain)) + "\n";
  for (const json::value& node : nodes) out += LifeOf(node, paint);
  const std::string simulated = SimulatedLine(explain, paint);
  return simulated.empty() ? out : out + "\n" + simulated;
}

std::string PlanView(const json::value& plan, const Terminal& terminal) {
  const Painter paint(terminal.colour);
  std::string out;
  for (const json::value& problem : ItemsOf(plan, "problems"))
    if (problem.is_string())
      out += paint(Style::kRed, "left out: " + Safe(View(problem.get_string()))) + "\n";
  const json::array& decisions = ItemsOf(plan, "decisions");
  if (decisions.empty()) return out + "Nothing waits; nothing would be rented.\n";
  Table table{{{"WORKLOAD", false, true},
               {"VERDICT"},
               {"COST", true},
               {"MISSING", true},
               {"WHY", false, true}},
              {},
              2};
  for (const json::value& d : decisions)
    table.rows.push_back({TextOf(d, "workload"), TextOf(d, "verdict"),
                          Micro(d, "estimateMicroEuro"), Micro(d, "missingMicroEuro"),
                          TextOf(d, "sentence")});
  out += table.Render(terminal.columns, paint);
  const json::array& rentals = ItemsOf(plan, "rentals");
  if (!rentals.empty()) {
    out += "\n" + paint(Style::kBold, "WOULD RENT" + SimulatedLabel(plan)) + "\n";
    Table rent{{{"MACHINE", false, true},
                {"FOR", false, true},
                {"PODS", true},
                {"PAID", true},
                {"COST", true},
                {"AT WORST", true}},
               {},
               2};
    for (const json::value& r : rentals) {
      static const json::value kNone;
      const json::value* found = Find(r, "forecast");
      const json::value& forecast = found == nullptr ? kNone : *found;
      const auto money = [&](std::string_view key) {
        const Result<Money> amount = ParseMoney(StringOr(forecast, key, ""));
        return amount ? HumanMoney(*amount) : std::string();
      };
      rent.rows.push_back({Place(r), TextOf(r, "workload"),
                           fmt::format("{}", ItemsOf(r, "pods").size()), TextOf(forecast, "paid"),
                           money("total"), money("worstCase")});
    }
    out += rent.Render(terminal.columns, paint);
  }
  for (const json::value& d : decisions) {
    const std::string refused = RefusedText(plan, IntOr(d, "explanation", -1));
    if (!refused.empty())
      out += Paragraph(fmt::format("offers not taken for {}: {}", TextOf(d, "workload"), refused),
                       terminal);
  }
  return out + SimulatedLine(plan, paint);
}

std::string CostView(const json::value& cost, const Terminal& terminal) {
  const Painter paint(terminal.colour);
  std::string by = TextOf(cost, "by");
  for (char& c : by) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  Table table{{{by, false, true},
               {"NODES", true},
               {"PAID", true},
               {"COMPUTED", true},
               {"USED", true},
               {"ESTIMATE", true},
               {"ACTUAL", true},
               {"COMPUTE", true},
               {"DISKS ETC", true},
               {"EGRESS", true}},
              {},
              2};
  for (const json::value& row : ItemsOf(cost, "rows")) table.rows.push_back(CostCells(row));
  if (table.rows.empty()) return "Nothing was rented.\n" + SimulatedLine(cost, paint);
  if (const json::value* total = Find(cost, "total")) table.rows.push_back(CostCells(*total));
  return table.Render(terminal.columns, paint) + SimulatedLine(cost, paint);
}

std::string DoctorView(const json::value& doctor, const Terminal& terminal) {
  const Painter paint(terminal.colour);
  std::string out;
  for (const json::value& item : ItemsOf(doctor, "items")) {
    const bool ok = BoolOr(item, "ok", false);
    out += fmt::format("{} {}: {}\n", ok ? paint(Style::kGreen, "✓") : paint(Style::kRed, "✗"),
                       TextOf(item, "name"), TextOf(item, "sentence"));
  }
  return out;
}

}  // namespace spillway::cli
