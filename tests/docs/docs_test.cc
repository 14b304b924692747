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
#include "objects_reference.h"
#include "schema/manifest.h"

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

// The table of annotations is written by hand, so each of them is tried.
TEST(Docs, AnnotationsInTheReferenceAreAcceptedAndNoOthers) {
  const std::string text = ReadText(kRepository / "docs/reference/objects.md");
  const std::regex row(R"(\n\| `spillway\.dev/([a-z-]+)` \| ([^|]+) \|)");
  std::set<std::string> documented;
  for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it)
    documented.insert((*it)[1].str() + " on " + (*it)[2].str());
  EXPECT_THAT(documented, ::testing::ElementsAre("dataset on PersistentVolumeClaim",
                                                 "expected-duration on Pod, pod template",
                                                 "gang on Job", "results on PersistentVolumeClaim",
                                                 "select on Pod, pod template"));
  const auto problems = [](std::string_view claim, std::string_view job, std::string_view pod) {
    const std::string manifest = fmt::format(
        "apiVersion: v1\nkind: PersistentVolumeClaim\n"
        "metadata: {{name: in, annotations: {{{}}}}}\n"
        "spec: {{accessModes: [ReadOnlyMany], resources: {{requests: {{storage: 1Gi}}}}}}\n---\n"
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j, annotations: {{{}}}}}\n"
        "spec:\n  template:\n    metadata: {{annotations: {{{}}}}}\n    spec:\n"
        "      restartPolicy: Never\n      containers: [{{name: c, image: i}}]\n"
        "      volumes: [{{name: v, persistentVolumeClaim: {{claimName: in}}}}]\n",
        claim, job, pod);
    return schema::FormatProblems(schema::ReadManifests("m.yaml", manifest, "default").problems);
  };
  EXPECT_EQ(problems("spillway.dev/dataset: d", "spillway.dev/gang: all-or-nothing",
                     "spillway.dev/select: \"in=a/**,b;in=c\", spillway.dev/expected-duration: 4m"),
            "");
  EXPECT_EQ(problems("spillway.dev/results: a/b", "", ""), "");
  EXPECT_NE(problems("spillway.dev/select: in=a", "", ""), "");
  EXPECT_NE(problems("", "spillway.dev/dataset: d", ""), "");
  EXPECT_NE(problems("", "", "spillway.dev/gang: all-or-nothing"), "");
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

// What a reader is told to type exists: scripts and programs.
TEST(Docs, CommandsInDocumentsExist) {
  const std::regex script(R"((?:^|[ (|])\.?/?(scripts/[a-z0-9-]+))");
  const std::regex program(R"(build/bin/([a-z0-9_-]+))");
  int commands = 0;
  for (const Document& document : AllDocuments(kRepository)) {
    if (!IsDocs(document)) continue;
    std::vector<Line> texts = document.code;
    for (const CodeSpan& span : document.spans) texts.push_back({span.line, span.text});
    for (const Line& line : texts) {
      const std::string& text = line.text;
      for (std::sregex_iterator it(text.begin(), text.end(), script), end; it != end; ++it) {
        ++commands;
        EXPECT_TRUE(fs::exists(kRepository / (*it)[1].str()))
            << Place(document, line.number) << ": " << (*it)[1].str();
      }
      for (std::sregex_iterator it(text.begin(), text.end(), program), end; it != end; ++it) {
        ++commands;
        const std::string name = (*it)[1].str();
        const bool is_program = fs::exists(kRepository / "src/apps" / name) ||
                                name == "docs_tool" || name.ends_with("_test") ||
                                name.ends_with("_bench");
        EXPECT_TRUE(is_program) << Place(document, line.number) << ": " << name;
      }
    }
  }
  EXPECT_GT(commands, 10);
}

TEST(Docs, EverySourceFolderSaysItsPurpose) {
  for (const auto& entry : fs::directory_iterator(kRepository / "src")) {
    if (!entry.is_directory()) continue;
    const std::string name = entry.path().filename().string();
    if (name == "apps" || name == "clouds") continue;  // folders of folders
    const bool readme = fs::exists(entry.path() / "README.md");
    bool header = false;
    for (const auto& file : fs::directory_iterator(entry.path()))
      header |= file.path().extension() == ".h" && ReadText(file.path()).starts_with("// ");
    EXPECT_TRUE(readme || header) << "src/" << name;
  }
}

}  // namespace
}  // namespace spillway::docs
