// Every wrong file of tests/data/bad at a real API server with our definitions: who refuses it, and
// what is said of it where nobody can. docs/reference/bad-input.md is the table of the answers.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/kubernetes/fixture.h"

namespace spillway::kubernetes_test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kBad = fs::path(SPILLWAY_SOURCE_DIR) / "tests/data/bad";
const fs::path kTable = fs::path(SPILLWAY_SOURCE_DIR) / "docs/reference/bad-input.md";

// Where other objects are needed to know that something is wrong, and the object that says so.
struct Told {
  std::string_view kind, name;
  std::string_view reason;  // of an Event; empty: the condition Consistent says it
};
const std::map<std::string, Told, std::less<>> kTold = {
    {"budget-below-policy.yaml", {"BurstPolicy", "research", ""}},
    {"budget-overlap-in-file.yaml", {"Budget", "c", ""}},
    {"budget-overlap.yaml", {"Budget", "b", ""}},
    {"claim-unknown-dataset.yaml", {"PersistentVolumeClaim", "c", "DatasetUnknown"}},
    {"policy-above-budget.yaml", {"BurstPolicy", "p", ""}},
    {"policy-unknown-namespace.yaml", {"BurstPolicy", "p", ""}},
    {"policy-unknown-provider.yaml", {"BurstPolicy", "p", ""}},
    {"provider-region.yaml", {"CloudProvider", "other", ""}},
    {"unknown-catalog.yaml", {"CloudProvider", "other", ""}},
    // Kubernetes itself says these: kube-scheduler of the pod, the Job controller of the Job.
    {"unknown-claim.yaml", {"Pod", "j", "FailedScheduling"}},
    {"unknown-priority-class.yaml", {"Job", "j", "FailedCreate"}},
};

// Not wrong there.
const std::map<std::string, std::string_view, std::less<>> kRight = {
    {"binary-tag.yaml", "kubectl decodes !!binary"},
    {"duplicate-key.yaml", "kubectl takes the last of two equal keys"},
    {"duplicate-object.yaml", "kubectl applies both, one after the other"},
    {"namespace-on-cluster-kind.yaml", "kubectl ignores it"},
    {"relative-mount.yaml", "taken relative to /"},
};

// What our own reader says of a file: the fields it names, and its first line without the place.
struct Ours {
  std::vector<std::string> fields;
  std::string first;
};
Ours OurAnswer(const std::string& file) {
  Ours ours;
  std::istringstream lines(ReadFile(kBad / (file + ".expected")));
  const std::regex place("^[^:]+:[0-9]+:[0-9]+: ");
  for (std::string line; std::getline(lines, line);) {
    line = std::regex_replace(line, place, "");
    if (ours.first.empty()) ours.first = line;
    const std::size_t colon = line.find(": ");
    if (line.find(' ') > colon) ours.fields.push_back(line.substr(0, colon));
  }
  return ours;
}

// Which part of the API server, or kubectl before it, and the fields that it names.
struct Refusal {
  std::string who;
  std::set<std::string> fields;
};
Refusal Read(const std::string& answer) {
  Refusal refusal;
  std::smatch found;
  static const std::regex kPolicy(
      "ValidatingAdmissionPolicy '([^']+)'.* denied request: ([a-z.A-Z]+): ");
  static const std::regex kUnknown("unknown field \"([^\"]+)\"");
  static const std::regex kStructField("Go struct field [A-Za-z]+\\.(\\S+) of type");
  static const std::regex kField("(?:^|\\* |invalid: )([a-zA-Z][A-Za-z0-9_.\\[\\]/-]*): ");
  if (std::regex_search(answer, found, kPolicy))
    return {fmt::format("admission policy {}", found.str(1)), {found.str(2)}};
  if (std::regex_search(answer, found, kUnknown)) return {"API server", {found.str(1)}};
  if (answer.find("Error from server") != std::string::npos) {
    if (std::regex_search(answer, found, kStructField)) return {"API server", {found.str(1)}};
    return {"API server", {}};
  }
  static const std::regex kInvalid("The ([A-Za-z]+) \".*\" is invalid:");
  if (!std::regex_search(answer, found, kInvalid)) return {"kubectl", {}};
  const std::string kind = found.str(1);
  const bool own =
      kind == "CloudProvider" || kind == "BurstPolicy" || kind == "Budget" || kind == "Dataset";
  refusal.who = own ? "definition" : "API server";
  static const std::regex kOneOf("\"([a-zA-Z.]+)\" must validate one and only one");
  std::istringstream lines(answer.substr(static_cast<std::size_t>(found.position(0))));
  for (std::string line; std::getline(lines, line);)
    for (const std::regex* form : {&kField, &kOneOf})
      if (std::regex_search(line, found, *form)) refusal.fields.insert(found.str(1));
  return refusal;
}

bool IsOrContains(const std::string& outer, const std::string& inner) {
  return inner.starts_with(outer) &&
         (inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[');
}

std::string Cell(std::string text) {
  if (text.size() > 110) text = text.substr(0, text.rfind(' ', 110)) + " ...";
  std::string cell;
  for (const char c : text) cell += c == '|' ? std::string("\\|") : std::string(1, c);
  return cell;
}

class RefusalsTest : public KubernetesTest {
 protected:
  static void SetUpTestSuite() { TestCluster::Start(false); }

  Outcome Try(const std::string& file, bool dry_run) const {
    std::vector<std::string> args = {"apply", "-f", kBad / file};
    if (dry_run) args.emplace_back("--dry-run=server");
    return k().Kubectl(args);
  }

  // The sentence of the object's condition Consistent that is not met; empty while there is none.
  std::string Contradiction(const Told& told) const {
    const std::string resource = told.kind == "Budget"          ? "budgets"
                                 : told.kind == "CloudProvider" ? "cloudproviders"
                                                                : "burstpolicies";
    const auto object =
        k().Find({"spillway.dev", "v1alpha1", resource, false}, "", std::string(told.name));
    const json::value* status = object ? spillway::Find(*object, "status") : nullptr;
    const json::array* conditions = status == nullptr ? nullptr : FindArray(*status, "conditions");
    if (conditions == nullptr) return "";
    for (const json::value& condition : *conditions)
      if (StringOr(condition, "type", "") == "Consistent" &&
          StringOr(condition, "status", "") == "False")
        return std::string(StringOr(condition, "message", ""));
    return "";
  }

  std::string EventText(const Told& told) const {
    for (const json::value& event : k().List(kEvents))
      if (Text(event, {"involvedObject", "kind"}) == told.kind &&
          Text(event, {"involvedObject", "name"}).starts_with(told.name) &&
          Text(event, {"reason"}) == told.reason)
        return Text(event, {"message"});
    return "";
  }

  // Applies a file that nobody refuses, and waits for who says what is wrong with it.
  std::string WhoTells(const std::string& file, const Told& told) {
    const Outcome applied = Try(file, false);
    EXPECT_EQ(applied.exit, 0) << applied.err;
    std::string text;
    EXPECT_TRUE(Eventually(
        [&] {
          text = told.reason.empty() ? Contradiction(told) : EventText(told);
          return !text.empty();
        },
        30s))
        << file << "\n"
        << Story();
    // The sentence is the one of our own reader.
    const Ours ours = OurAnswer(file);
    if (told.reason.empty() && file != "budget-below-policy.yaml") {
      EXPECT_THAT(text, HasSubstr(ours.fields.at(0))) << file;
    }
    k().Kubectl({"delete", "--wait=false", "-f", kBad / file});
    return told.reason.empty() ? fmt::format("condition Consistent of the {}", told.kind)
                               : fmt::format("Event {} of the {}", told.reason, told.kind);
  }

  std::string Row(const std::string& file) {
    const Ours ours = OurAnswer(file);
    const auto row = [&](const std::string& who, const std::string& what) {
      ++counts_[who.substr(0, who.find(" spillway"))];
      return fmt::format("| {} | {} | {} | {} |\n", file, Cell(ours.first), who, Cell(what));
    };
    const Outcome tried = Try(file, true);
    if (const auto told = kTold.find(file); told != kTold.end()) {
      EXPECT_EQ(tried.exit, 0) << file << ": " << tried.err;
      return row("afterwards", WhoTells(file, told->second));
    }
    const bool ours_alone = ours.first.find("embedded mode") != std::string::npos;
    if (const auto right = kRight.find(file); right != kRight.end() || ours_alone) {
      EXPECT_EQ(tried.exit == 0, true) << file << ": " << tried.err;
      return row("nobody", ours_alone ? "right on Kubernetes" : std::string(right->second));
    }
    EXPECT_NE(tried.exit, 0) << file << " is refused by our reader alone:\n" << tried.out;
    const Refusal refusal = Read(tried.err);
    ExpectSameField(file, ours, refusal, tried.err);
    return row(refusal.who, fmt::format("{}", fmt::join(refusal.fields, ", ")));
  }

  // Both sides are made of the same definition: a file of our own kinds is refused by both for the
  // same field, or for what contains it.
  static void ExpectSameField(const std::string& file, const Ours& ours, const Refusal& refusal,
                              const std::string& answer) {
    if (refusal.who != "definition") return;
    EXPECT_TRUE(std::ranges::any_of(
        ours.fields,
        [&](const std::string& field) {
          return std::ranges::any_of(refusal.fields, [&](const std::string& theirs) {
            return IsOrContains(theirs, field) || IsOrContains(field, theirs);
          });
        }))
        << file << ": " << ours.first << "\n"
        << answer;
  }

  std::map<std::string, int> counts_;  // files, by who refuses them
};

constexpr std::string_view kHead =
    "| file | what is wrong | refused by | field, or where it is told |\n|---|---|---|---|\n";
constexpr std::string_view kIntroduction =
    R"(# Wrong files, and who refuses them

Every file of `tests/data/bad`, what `spillway apply` says of it, and what a Kubernetes 1.36 with
our definitions does. The table is checked by a test against a real API server.

- *definition*: the schema or a rule (CEL) of `deploy/crds`, with the field it names
- *admission policy*: a ValidatingAdmissionPolicy of `deploy/kubernetes/install.yaml`
- *API server*, *kubectl*: Kubernetes itself
- *afterwards*: other objects are needed to know it, so it is told of the object that is there then
- *nobody*: it means something else on Kubernetes, or is not wrong there

)";

TEST_F(RefusalsTest, EveryWrongFileIsAnswered) {
  const Outcome there = k().Kubectl({"apply", "-f", kBad / "existing/site.yaml"});
  ASSERT_EQ(there.exit, 0) << there.err;
  StartDaemons(kTimeScale);
  if (HasFatalFailure()) return;
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(kBad))
    if (entry.is_regular_file() && entry.path().extension() != ".expected")
      files.push_back(entry.path().filename());
  std::ranges::sort(files);
  std::string rows;
  for (const std::string& file : files) rows += Row(file);
  std::string counted;
  for (const auto& [who, count] : counts_)
    counted += fmt::format("{}{} {}", counted.empty() ? "" : ", ", who, count);
  const std::string table =
      fmt::format("{}{} files: {}.\n\n{}{}", kIntroduction, files.size(), counted, kHead, rows);
  const std::string made = fs::current_path() / "bad-input.md";
  std::ofstream(made) << table;
  // Not EXPECT_EQ, which would print both tables.
  EXPECT_TRUE(ReadFile(kTable) == table) << "diff " << kTable << " " << made;
  // What was there before and is right says so again.
  EXPECT_TRUE(
      Eventually([&] { return Contradiction({"BurstPolicy", "research", ""}).empty(); }, 30s));
}

}  // namespace
}  // namespace spillway::kubernetes_test
