// Documents against the repository: what they name exists, and what is generated is up to date.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "markdown.h"
#include "metrics/definitions.h"
#include "model/plan.h"
#include "objects_reference.h"
#include "providers_reference.h"
#include "schema/manifest.h"
#include "schema/yaml.h"

namespace spillway::docs {
namespace {

namespace fs = std::filesystem;

const fs::path kRepository = SPILLWAY_SOURCE_DIR;

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

std::string Place(const Document& document, int line) {
  return fmt::format("{}:{}", fs::relative(document.path, kRepository).string(), line);
}

// README.md and everything below docs/.
bool IsDocs(const Document& document) {
  const std::string path = fs::relative(document.path, kRepository).string();
  return path == "README.md" || path.starts_with("docs/");
}

// The part of `text` that names a file or folder of the repository, or nothing. Patterns and
// placeholders (<id>, *, NAME) name nothing in particular; build/ is made later.
std::string RepositoryPath(const std::string& text) {
  static const std::regex kPath(
      R"(^(\./)?((src|docs|tests|scripts|catalog|deploy|examples|api|bench|cmake|\.ci)/[A-Za-z0-9_./-]*)$)");
  std::smatch match;
  return std::regex_match(text, match, kPath) ? match[2].str() : std::string();
}

TEST(Docs, ObjectsReferenceIsGenerated) {
  EXPECT_EQ(ReadText(kRepository / "docs/reference/objects.md"),
            ObjectsReference(schema::Schemas::Embedded()))
      << "run: build/bin/docs_tool objects > docs/reference/objects.md";
}

TEST(Docs, ProvidersReferenceIsGenerated) {
  EXPECT_EQ(ReadText(kRepository / "docs/reference/providers.md"),
            ProvidersReference(kRepository / "tests/contract/cloud/outcomes"))
      << "run: build/bin/docs_tool providers > docs/reference/providers.md";
}

// The table of annotations is written by hand, so each of them is tried.
TEST(Docs, AnnotationsInTheReferenceAreAcceptedAndNoOthers) {
  const std::string text = ReadText(kRepository / "docs/reference/objects.md");
  const std::regex row(R"(\n\| `spillway\.dev/([a-z-]+)` \| ([^|]+) \|)");
  std::set<std::string> documented;
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it)
    documented.insert((*it)[1].str() + " on " + (*it)[2].str());
  EXPECT_THAT(documented,
              ::testing::ElementsAre("dataset on PersistentVolumeClaim",
                                     "expected-duration on Pod, pod template", "gang on Job",
                                     "results on PersistentVolumeClaim",
                                     "results-dataset on PersistentVolumeClaim",
                                     "select on Pod, pod template", "shard on Pod, pod template"));
  const auto problems = [](std::string_view claim, std::string_view job, std::string_view pod) {
    const std::string manifest = fmt::format(
        "apiVersion: v1\nkind: PersistentVolumeClaim\n"
        "metadata: {{name: in, annotations: {{{}}}}}\n"
        "spec: {{accessModes: [ReadOnlyMany], resources: {{requests: {{storage: 1Gi}}}}}}\n---\n"
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j, annotations: {{{}}}}}\n"
        "spec:\n  completionMode: Indexed\n  template:\n    metadata: {{annotations: {{{}}}}}\n"
        "    spec:\n"
        "      restartPolicy: Never\n      containers: [{{name: c, image: i}}]\n"
        "      volumes: [{{name: v, persistentVolumeClaim: {{claimName: in}}}}]\n",
        claim, job, pod);
    return schema::FormatProblems(schema::ReadManifests("m.yaml", manifest, "default").problems);
  };
  EXPECT_EQ(problems("spillway.dev/dataset: d", "spillway.dev/gang: all-or-nothing",
                     "spillway.dev/select: \"in=a/**,b;in=c\", spillway.dev/shard: in=1, "
                     "spillway.dev/expected-duration: 4m"),
            "");
  EXPECT_EQ(problems("spillway.dev/results: a/b", "", ""), "");
  EXPECT_EQ(problems("spillway.dev/results: a, spillway.dev/results-dataset: d", "", ""), "");
  EXPECT_NE(problems("spillway.dev/select: in=a", "", ""), "");
  EXPECT_NE(problems("", "spillway.dev/dataset: d", ""), "");
  EXPECT_NE(problems("", "", "spillway.dev/gang: all-or-nothing"), "");
}

// One row for each metric that the code has, in its order, and no others.
TEST(Docs, MetricsInTheReferenceAreThoseOfTheCode) {
  std::string rows;
  for (const metrics::Definition* what : metrics::kAll) {
    std::string labels;
    for (std::size_t i = 0; i < what->Labels(); ++i)
      labels += fmt::format("{}`{}`", i == 0 ? " " : ", ", what->labels[i]);
    rows +=
        fmt::format("| `{}` | {} |{} | {} |\n", what->name, Name(what->type), labels, what->help);
  }
  const std::string text = ReadText(kRepository / "docs/reference/metrics.md");
  const std::string head = "|---|---|---|---|\n";
  EXPECT_EQ(text.substr(std::min(text.size(), text.find(head) + head.size())), rows);
}

TEST(Docs, EveryDocumentHasOneTitleAtItsTop) {
  for (const Document& document : AllDocuments(kRepository)) {
    int titles = 0;
    for (const Heading& heading : document.headings) titles += heading.level == 1 ? 1 : 0;
    EXPECT_EQ(titles, 1) << Place(document, 1);
    ASSERT_FALSE(document.headings.empty()) << Place(document, 1);
    EXPECT_EQ(document.headings.front().line, 1) << Place(document, 1);
  }
}

TEST(Docs, LinksLeadSomewhere) {
  std::map<fs::path, std::set<std::string>> anchors;
  const std::vector<Document> documents = AllDocuments(kRepository);
  for (const Document& document : documents)
    for (const Heading& heading : document.headings)
      anchors[document.path.lexically_normal()].insert(Anchor(heading.text));
  for (const Document& document : documents) {
    for (const Link& link : document.links) {
      if (link.target.find("://") != std::string::npos) continue;
      const std::size_t hash = std::min(link.target.find('#'), link.target.size());
      const std::string file = link.target.substr(0, hash);
      const fs::path path =
          (file.empty() ? document.path : document.path.parent_path() / file).lexically_normal();
      EXPECT_TRUE(fs::exists(path)) << Place(document, link.line) << ": " << link.target;
      if (hash == link.target.size()) continue;
      EXPECT_TRUE(anchors[path].contains(link.target.substr(hash + 1)))
          << Place(document, link.line) << ": no heading for " << link.target;
    }
  }
}

TEST(Docs, NamedPathsExist) {
  int named = 0;
  for (const Document& document : AllDocuments(kRepository)) {
    for (const CodeSpan& span : document.spans) {
      const std::string path = RepositoryPath(span.text);
      if (path.empty()) continue;
      ++named;
      EXPECT_TRUE(fs::exists(kRepository / path)) << Place(document, span.line) << ": " << path;
    }
  }
  EXPECT_GT(named, 100);
}

// "`Function` (`src/folder/file.cc`)": the file has a definition or declaration of that name.
TEST(Docs, NamedFunctionsAreInTheirFiles) {
  const std::regex place(R"(`([A-Za-z0-9_:]+)`\s+\(`(src/[A-Za-z0-9_./-]+)`\))");
  int named = 0;
  for (const Document& document : AllDocuments(kRepository)) {
    if (!IsDocs(document)) continue;
    const std::string text = ReadText(document.path);
    for (std::sregex_iterator it(text.begin(), text.end(), place), end; it != end; ++it) {
      ++named;
      const std::string name = (*it)[1].str(), file = (*it)[2].str();
      const std::string last = name.substr(name.rfind(':') + 1);
      const std::string source = ReadText(kRepository / file);
      EXPECT_TRUE(std::regex_search(source, std::regex("\\b" + last + "\\b")))
          << fs::relative(document.path, kRepository) << ": " << name << " is not in " << file;
    }
  }
  EXPECT_GT(named, 30);
}

TEST(Docs, LinesAreAtMostAHundredColumns) {
  for (const Document& document : AllDocuments(kRepository)) {
    if (!IsDocs(document) || document.path.filename() == "cli.md") continue;
    for (const Line& line : document.lines) {
      const bool table = line.text.starts_with("|");
      const bool one_word = line.text.find(' ', 4) == std::string::npos;
      if (table || one_word || line.text.find("](") != std::string::npos) continue;
      const auto columns = std::count_if(line.text.begin(), line.text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
      });
      EXPECT_LE(columns, 100) << Place(document, line.number);
    }
  }
}

// Where a program's flags are written down; empty if it has none of its own to check here. The
// command line `spillway` is checked against its own help, see docs_cli_test.cc.
std::string SourceOfFlags(const std::string& command) {
  if (command.starts_with("scripts/")) return ReadText(kRepository / command);
  std::string source;
  for (const auto& file : std::filesystem::directory_iterator(kRepository / "src/apps" / command))
    if (file.path().extension() == ".cc") source += ReadText(file.path());
  return source;
}

// What a reader is told to type exists: scripts, programs, and the long flags that follow them.
TEST(Docs, CommandsInDocumentsExist) {
  const std::regex call(
      R"((?:^|[ (])(?:\./|build/bin/)?(scripts/[a-z0-9-]+|spillwayd|spillway-(?:node|sim|demo)|docs_tool)(?= |$)([^|;#`]*))");
  const std::regex flag(R"((--[a-z-]+))");
  int commands = 0;
  for (const Document& document : AllDocuments(kRepository)) {
    if (!IsDocs(document)) continue;
    std::vector<Line> texts = document.code;
    for (const CodeSpan& span : document.spans) texts.push_back({span.line, span.text});
    for (const Line& line : texts) {
      std::smatch match;
      if (!std::regex_search(line.text, match, call)) continue;
      ++commands;
      const std::string command = match[1].str(), rest = match[2].str();
      const std::string place = Place(document, line.number) + ": " + line.text;
      if (command == "docs_tool") continue;
      const std::string source = SourceOfFlags(command);
      EXPECT_NE(source, "") << place;
      for (std::sregex_iterator it(rest.begin(), rest.end(), flag), end; it != end; ++it) {
        const std::string name = (*it)[1].str();
        EXPECT_TRUE(name == "--help" || source.find(name) != std::string::npos) << place;
      }
    }
  }
  EXPECT_GT(commands, 10);
}

// The tables of docs/concepts.md have a row, or a name in a row, for each value of these.
TEST(Docs, ConceptsKnowEveryPhaseFailureAndReason) {
  const std::string concepts = ReadText(kRepository / "docs/concepts.md");
  for (int i = 0; i <= static_cast<int>(Phase::kGone); ++i)
    EXPECT_NE(concepts.find(fmt::format("\n| {} |", Name(static_cast<Phase>(i)))),
              std::string::npos)
        << Name(static_cast<Phase>(i));
  for (int i = 1; i <= static_cast<int>(Failure::kGangFailed); ++i)
    EXPECT_NE(concepts.find(fmt::format("`{}`", Name(static_cast<Failure>(i)))), std::string::npos)
        << Name(static_cast<Failure>(i));
  for (int i = 1; i <= static_cast<int>(OfferReason::kNotRented); ++i)
    EXPECT_NE(concepts.find(fmt::format("`{}`", Name(static_cast<OfferReason>(i)))),
              std::string::npos)
        << Name(static_cast<OfferReason>(i));
}

// --- What documents say of the HTTP API. ---

json::value ApiDocument() {
  auto documents = schema::ReadYaml("openapi.yaml", ReadText(kRepository / "api/openapi.yaml"));
  if (!documents || documents->size() != 1) {
    ADD_FAILURE() << "api/openapi.yaml cannot be read";
    return json::object{};
  }
  return std::move(documents->front().value);
}

// Paths below a schema of all lists and of all members that hold no members themselves:
// "offers.rejected", "offers.rejected[].type".
void AddKeys(const json::value& api, const json::value& schema, const std::string& path,
             std::set<std::string>& keys) {
  if (const std::string_view ref = StringOr(schema, "$ref", ""); !ref.empty()) {
    const std::string name(ref.substr(ref.rfind('/') + 1));
    const json::value* target = FindPath(api, {"components", "schemas", name});
    ASSERT_NE(target, nullptr) << ref;
    return AddKeys(api, *target, path, keys);
  }
  const json::value* items = Find(schema, "items");
  if (const json::object* properties = FindObject(schema, "properties")) {
    for (const auto& member : *properties) {
      const std::string dot = path.empty() ? "" : path + ".";
      AddKeys(api, member.value(), dot + std::string(member.key()), keys);
    }
  } else if (items != nullptr && FindObject(*items, "properties") != nullptr) {
    keys.insert(path);
    AddKeys(api, *items, path + "[]", keys);
  } else {
    keys.insert(path);
  }
}

// The keys of the report are the API's and those that the demonstration adds.
TEST(Docs, ReportHasTheKeysOfTheApi) {
  const json::value api = ApiDocument();
  const json::value* report = FindPath(api, {"components", "schemas", "Report"});
  ASSERT_NE(report, nullptr);
  std::set<std::string> keys{"ok",
                             "workloads[].resultSha256",
                             "workloads[].expectedSha256",
                             "audit.verified",
                             "buckets",
                             "timeline",
                             "scans"};
  AddKeys(api, *report, "", keys);
  std::set<std::string> documented;
  const Document document =
      ReadMarkdown("report.md", ReadText(kRepository / "docs/reference/report.md"));
  for (const Line& line : document.lines) {
    if (!line.text.starts_with("| `")) continue;
    const std::string cell = line.text.substr(2, line.text.find(" |", 2) - 2);
    const std::regex key("`([^`]+)`");
    for (std::sregex_iterator it(cell.begin(), cell.end(), key), end; it != end; ++it)
      documented.insert((*it)[1].str());
  }
  EXPECT_EQ(documented, keys);
}

// "/api/v1/..." in a document is an address of the API.
TEST(Docs, AddressesAreThoseOfTheApi) {
  const json::value api = ApiDocument();
  const json::object* paths = FindObject(api, "paths");
  ASSERT_NE(paths, nullptr);
  std::vector<std::regex> known;
  for (const auto& member : *paths)
    known.emplace_back(
        std::regex_replace(std::string(member.key()), std::regex(R"(\{[^}]*\})"), "[^/]+"));
  const std::regex address(R"((?:\$A|/api/v1)(/[A-Za-z0-9_/.-]*))");
  int named = 0;
  for (const Document& document : AllDocuments(kRepository)) {
    if (!IsDocs(document)) continue;
    std::vector<Line> texts = document.code;
    for (const CodeSpan& span : document.spans) texts.push_back({span.line, span.text});
    for (const Line& line : texts) {
      for (std::sregex_iterator it(line.text.begin(), line.text.end(), address), end; it != end;
           ++it) {
        ++named;
        const std::string path = "/api/v1" + (*it)[1].str();
        const bool exists = std::any_of(known.begin(), known.end(), [&](const std::regex& one) {
          return std::regex_match(path, one);
        });
        EXPECT_TRUE(exists) << Place(document, line.number) << ": " << path;
      }
    }
  }
  EXPECT_GT(named, 10);
}

}  // namespace
}  // namespace spillway::docs
