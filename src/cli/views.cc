// status, offers, explain, plan, cost, doctor, version: one question to the daemon each.
#include <fmt/format.h>

#include "cli/daemon.h"
#include "cli/fields.h"
#include "cli/report_views.h"
#include "cli/sources.h"
#include "cli/status_view.h"
#include "cli/yaml_text.h"
#include "schema/manifest.h"

namespace spillway::cli {
namespace {

// Prints the answer as -o asks; `view` makes the text for people.
template <typename View>
int Show(const Arguments& a, Io& io, const Result<json::value>& answer, View&& view) {
  if (!answer) return Report(io, answer.error());
  if (a.output == "json")
    io.out << PrettyJson(*answer);
  else if (a.output == "yaml")
    io.out << YamlText(*answer);
  else
    io.out << view(*answer);
  return 0;
}

// The forecasts behind progress bars; without them bars are empty, which is no reason to fail.
json::value BurstNodes(client::Client& daemon, const json::value& status) {
  if (ItemsOf(status, "rented").empty()) return nullptr;
  return daemon.List({"burstnodes", "", ""}).value_or(json::value(nullptr));
}

// From the top left corner, every line cleared to its end and then what is below: what stays the
// same does not flicker.
std::string Redrawn(const std::string& screen) {
  std::string out = "\x1b[H";
  for (const char c : screen) {
    if (c == '\n') out += "\x1b[K";
    out += c;
  }
  return out + "\x1b[J";
}

int WatchStatus(client::Client& daemon, const Arguments& a, Io& io) {
  std::optional<Watcher> watcher;  // after the first answer, which is worth more
  while (!io.Stopped()) {
    const auto status = daemon.Status();
    if (!status) return Report(io, status.error());
    const std::string screen = StatusView(*status, BurstNodes(daemon, *status), io.terminal);
    io.out << (io.terminal.is_terminal ? Redrawn(screen) : screen + "\n") << std::flush;
    if (!watcher) watcher.emplace(a.daemon);
    watcher->Wait(1s);
  }
  return 0;
}

}  // namespace

int Status(const Arguments& a, Io& io) {
  client::Client daemon = Connect(a);
  if (a.watch) return WatchStatus(daemon, a, io);
  return Show(a, io, daemon.Status(), [&](const json::value& status) {
    return StatusView(status, BurstNodes(daemon, status), io.terminal);
  });
}

int Offers(const Arguments& a, Io& io) {
  return Show(a, io, Connect(a).Offers(a.policy, a.ns), [&](const json::value& offers) {
    return OffersView(offers, a.output == "wide", io.terminal);
  });
}

int Explain(const Arguments& a, Io& io) {
  client::Client daemon = Connect(a);
  const std::size_t slash = a.target.find('/');
  const bool whole =
      slash != std::string::npos && a.target.find('/', slash + 1) != std::string::npos;
  const auto answer =
      whole ? daemon.Explain(a.target)
      : slash == std::string::npos
          ? daemon.Explain({"job", a.Namespace(), a.target})
          : daemon.Explain({a.target.substr(0, slash), a.Namespace(), a.target.substr(slash + 1)});
  return Show(a, io, answer, [&](const json::value& explain) {
    return ExplainView(explain, a.output == "wide", io.terminal);
  });
}

int Plan(const Arguments& a, Io& io) {
  client::Client daemon = Connect(a);
  const auto view = [&](const json::value& plan) { return PlanView(plan, io.terminal); };
  if (a.files.empty()) return Show(a, io, daemon.Plan(), view);
  std::vector<schema::Problem> problems;
  const std::vector<schema::Source> sources = ReadSources(a.files, io.in, problems);
  const schema::Manifests manifests =
      schema::ReadManifests(schema::Schemas::Embedded(), sources, a.Namespace());
  problems.insert(problems.end(), manifests.problems.begin(), manifests.problems.end());
  if (!problems.empty()) {
    io.err << schema::FormatProblems(problems);
    return 2;
  }
  const JoinedSources joined(sources);
  const auto answer = daemon.PlanWith(joined.name(), joined.text(), a.Namespace());
  if (!answer && answer.error().code == Code::kInvalid) {
    io.err << joined.Localise(answer.error().message) << "\n";
    return 2;
  }
  return Show(a, io, answer, view);
}

int Cost(const Arguments& a, Io& io) {
  return Show(a, io, Connect(a).Cost(a.by, a.since),
              [&](const json::value& cost) { return CostView(cost, io.terminal); });
}

int Doctor(const Arguments& a, Io& io) {
  const auto answer = Connect(a).Doctor();
  const int code = Show(a, io, answer,
                        [&](const json::value& doctor) { return DoctorView(doctor, io.terminal); });
  return code == 0 && !BoolOr(*answer, "ok", false) ? 1 : code;
}

int Version(const Arguments& a, Io& io) {
  const auto answer = Connect(a).Version();
  if (a.output == "json") {
    io.out << PrettyJson(json::object{{"program", "spillway"},
                                      {"version", SPILLWAY_VERSION},
                                      {"daemon", answer ? *answer : json::value(nullptr)}});
    return 0;
  }
  io.out << "spillway " << SPILLWAY_VERSION << "\n";
  if (!answer) {
    io.out << (a.daemon.dialer == nullptr
                   ? "spillwayd: not reachable at " + a.daemon.Name()
                   : "spillwayd: not reachable: " + Safe(answer.error().message))
           << "\n";
    return 0;
  }
  const std::int64_t scale = IntOr(*answer, "timeScale", 1);
  io.out << fmt::format("{} {}, API {}, {}{}\n", TextOf(*answer, "program"),
                        TextOf(*answer, "version"), TextOf(*answer, "api"), a.daemon.Name(),
                        scale > 1 ? fmt::format(", its clock runs {} times faster", scale) : "")
         << (SaysSimulated(*answer) ? "simulated:\n" : "");
  for (const json::value& sentence : ItemsOf(*answer, "simulated"))
    if (sentence.is_string()) io.out << "  " << Safe(View(sentence.get_string())) << "\n";
  return 0;
}

}  // namespace spillway::cli
