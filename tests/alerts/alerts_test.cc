// The metrics and the alert rules, checked by promtool and against each other.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "base/encoding.h"
#include "metrics/instruments.h"
#include "server/fake_backend.h"
#include "server/probes.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

const fs::path kRepository = SPILLWAY_SOURCE_DIR;
const std::string kRules = (kRepository / "deploy/kubernetes/alerts.yaml").string();

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

struct Outcome {
  int exit_code = -1;
  std::string output;
};

Outcome Shell(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

// Every instrument once, so that every family is on the page.
std::string WholePage() {
  metrics::Instruments& all = metrics::OfProcess();
  all.api_requests.Add({"list", "pods", "200"});
  all.api_seconds.Observe(3ms, {"list"});
  all.provider_calls.Add({"scaleway", "create", "maybe-applied"});
  all.provider_seconds.Observe(2s, {"scaleway", "create"});
  all.rounds.Add({"ok"});
  all.round_age.Mark();
  all.watch_silence.Mark({"pods"});
  all.watch_failures.Add({"pods"});
  all.relists.Add({"pods"});
  all.writes_dropped.Add({"events"}, 0);
  static server::FakeBackend backend;
  auto round = std::make_shared<server::RoundView>(server::NoonRound());
  round->providers["scaleway"].listed_at = round->snapshot.now;
  backend.round = round;
  server::Probes probes("kubernetes", [] { return std::optional<Duration>(9s); });
  probes.Serve(&backend);
  return probes.Metrics();
}

std::set<std::string> Matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    found.insert((*it)[1].str());
  return found;
}

#define NEEDS_PROMTOOL()                                                               \
  if (Shell("promtool --version").exit_code != 0)                                      \
  GTEST_SKIP() << "promtool is not here: apt-get install prometheus (Debian), or let " \
                  "scripts/test install it"

TEST(Metrics, EveryDefinitionIsOnThePage) {
  const std::set<std::string> shown = Matches(WholePage(), "# TYPE ([a-z_]+) ");
  std::set<std::string> defined;
  for (const metrics::Definition* what : metrics::kAll) defined.emplace(what->name);
  EXPECT_EQ(shown, defined);
}

TEST(Metrics, PromtoolAcceptsThePage) {
  NEEDS_PROMTOOL();
  const fs::path file =
      fs::temp_directory_path() / ("spillway-metrics-" + std::to_string(getpid()) + ".txt");
  std::ofstream(file) << WholePage();
  const Outcome outcome = Shell("promtool check metrics < " + file.string());
  fs::remove(file);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(outcome.output, "");
}

TEST(Alerts, PromtoolAcceptsTheRules) {
  NEEDS_PROMTOOL();
  const Outcome outcome = Shell("promtool check rules " + kRules);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

TEST(Alerts, FireWhenTheyShouldAndOnlyThen) {
  NEEDS_PROMTOOL();
  const Outcome outcome =
      Shell("promtool test rules " + (kRepository / "tests/alerts/rules.yaml").string());
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

TEST(Alerts, EachIsTriedAndHasItsPage) {
  const std::string rules = ReadText(kRules);
  const std::set<std::string> alerts = Matches(rules, "alert: ([A-Za-z]+)");
  EXPECT_GT(alerts.size(), 12u);
  const std::string tests = ReadText(kRepository / "tests/alerts/rules.yaml");
  const std::string runbook = ReadText(kRepository / "docs/operations.md");
  for (const std::string& alert : alerts) {
    std::string anchor = alert;
    std::ranges::transform(anchor, anchor.begin(), [](char c) { return std::tolower(c); });
    EXPECT_NE(rules.find("runbook: docs/operations.md#" + anchor + "\n"), std::string::npos);
    EXPECT_NE(runbook.find("\n### " + alert + "\n"), std::string::npos) << alert;
    const bool tried = tests.find("alertname: " + alert + "\n") != std::string::npos ||
                       tests.find("{alertname=\"" + alert + "\"") != std::string::npos;
    EXPECT_TRUE(tried) << alert << ": nothing makes it fire in tests/alerts/rules.yaml";
  }
  for (const std::string& heading : Matches(runbook, "\n### (Spillway[A-Za-z]+)"))
    EXPECT_TRUE(alerts.contains(heading)) << heading << ": no such alert";
}

TEST(Alerts, MetricsInRulesAndRunbookExist) {
  std::set<std::string> defined;
  for (const metrics::Definition* what : metrics::kAll) {
    defined.emplace(what->name);
    if (what->type == metrics::Type::kHistogram)
      for (const char* suffix : {"_bucket", "_sum", "_count"})
        defined.insert(std::string(what->name) + suffix);
  }
  for (const char* file :
       {"deploy/kubernetes/alerts.yaml", "tests/alerts/rules.yaml", "docs/operations.md"})
    for (const std::string& name : Matches(ReadText(kRepository / file), "\\b(spillway_[a-z_]+)"))
      EXPECT_TRUE(defined.contains(name)) << file << ": " << name;
}

}  // namespace
}  // namespace spillway
