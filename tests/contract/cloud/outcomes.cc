#include "tests/contract/cloud/outcomes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace spillway::ports {
namespace {

// A case in all variants of one adapter: shown if any shows it.
struct Outcome {
  std::string name;
  bool complete = true;  // every variant ran and none failed
  bool shown = false;
  std::string reason;  // the first variant's
};

std::string Line(const Outcome& outcome) {
  json::object line{{"case", outcome.name}, {"shown", outcome.shown}};
  if (!outcome.shown) line["reason"] = outcome.reason;
  return CanonicalJson(line);
}

std::string ReasonOf(const testing::TestResult& result) {
  for (int i = 0; i < result.total_part_count(); ++i)
    if (result.GetTestPartResult(i).skipped()) return result.GetTestPartResult(i).message();
  return "";
}

void Add(const testing::TestInfo& test, std::vector<Outcome>& outcomes) {
  const std::string_view full = test.name();  // "Case/Variant"
  const std::string name(full.substr(0, full.find('/')));
  auto it = std::find_if(outcomes.begin(), outcomes.end(),
                         [&](const Outcome& one) { return one.name == name; });
  if (it == outcomes.end()) {
    outcomes.push_back({name, true, false, ""});
    it = std::prev(outcomes.end());
  }
  const testing::TestResult& result = *test.result();
  it->complete = it->complete && test.should_run() && !result.Failed();
  it->shown = it->shown || (test.should_run() && result.Passed());
  if (result.Skipped() && it->reason.empty()) it->reason = ReasonOf(result);
}

// By adapter: "Exec/CloudConformance" and "Exec/CloudFaults" are of Exec.
std::map<std::string, std::vector<Outcome>> OutcomesOfThisRun() {
  std::map<std::string, std::vector<Outcome>> outcomes;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    const std::string_view name = suite.name();
    if (!name.ends_with("/CloudConformance") && !name.ends_with("/CloudFaults")) continue;
    std::vector<Outcome>& of = outcomes[std::string(name.substr(0, name.find('/')))];
    for (int j = 0; j < suite.total_test_count(); ++j) Add(*suite.GetTestInfo(j), of);
  }
  return outcomes;
}

std::string FileOf(std::string adapter) {
  std::transform(adapter.begin(), adapter.end(), adapter.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return SPILLWAY_SOURCE_DIR "/tests/contract/cloud/outcomes/" + adapter + ".jsonl";
}

std::vector<std::string> LinesOf(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void Compare(const std::string& path, const std::vector<Outcome>& outcomes) {
  const std::vector<std::string> kept = LinesOf(path);
  for (const Outcome& outcome : outcomes) {
    if (!outcome.complete) continue;
    EXPECT_NE(std::find(kept.begin(), kept.end(), Line(outcome)), kept.end())
        << path << " does not say " << Line(outcome)
        << ": if this is right, run the program with SPILLWAY_OUTCOMES=write, then\n"
           "build/bin/docs_tool providers > docs/reference/providers.md";
  }
  EXPECT_EQ(kept.size(), outcomes.size()) << path << " has cases that are no more";
}

// A case that was left out keeps its line.
void Write(const std::string& path, const std::vector<Outcome>& outcomes) {
  const std::vector<std::string> kept = LinesOf(path);
  std::ofstream file(path);
  for (const Outcome& outcome : outcomes) {
    std::string line = Line(outcome);
    if (!outcome.complete) {
      const auto it = std::find_if(kept.begin(), kept.end(), [&](const std::string& one) {
        return one.find("\"" + outcome.name + "\"") != std::string::npos;
      });
      EXPECT_NE(it, kept.end()) << outcome.name << " failed or was left out";
      if (it == kept.end()) continue;
      line = *it;
    }
    file << line << "\n";
  }
  EXPECT_TRUE(file.flush().good()) << path;
}

class Keeper final : public testing::Environment {
 public:
  void TearDown() override {
    const char* wanted = std::getenv("SPILLWAY_OUTCOMES");
    const bool write = wanted != nullptr && std::string_view(wanted) == "write";
    for (const auto& [adapter, outcomes] : OutcomesOfThisRun())
      write ? Write(FileOf(adapter), outcomes) : Compare(FileOf(adapter), outcomes);
  }
};

}  // namespace

bool KeepOutcomes() {
  testing::AddGlobalTestEnvironment(new Keeper);  // GoogleTest deletes it
  return true;
}

}  // namespace spillway::ports
