// docs/reference/cli.md and the commands in documents against the binary.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <set>

#include "markdown.h"

namespace spillway::docs {
namespace {

namespace fs = std::filesystem;

const fs::path kRepository = SPILLWAY_SOURCE_DIR;
const fs::path kProgram = fs::path(SPILLWAY_BIN_DIR) / "spillway";

struct Output {
  int exit_code = -1;
  std::string text;
};

Output RunHelpAll() {
  const std::string command = fmt::format("'{}' help-all", kProgram.string());
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  Output output;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe))
    output.text.append(buffer.data(), n);
  const int status = pclose(pipe);
  output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

class DocsCli : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fs::exists(kProgram)) << kProgram << " is missing: build the target spillway first";
    help_ = RunHelpAll();
    ASSERT_EQ(help_.exit_code, 0) << "spillway help-all";
    ASSERT_NE(help_.text, "");
  }
  Output help_;
};

TEST_F(DocsCli, ReferenceIsTheBinarysOwnHelp) {
  std::ifstream file(kRepository / "docs/reference/cli.md", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, help_.text) << "run: build/bin/spillway help-all > docs/reference/cli.md";
}

// Labels inside signatures and keys look like calls in the documents of the formats.
bool HasLabels(const std::string& path) {
  return path == "docs/reference/chunks.md" || path == "docs/reference/certificate.md";
}

// Calls of spillway: the command has a heading in the reference, and its long flags stand there.
TEST_F(DocsCli, CommandsInDocumentsAreKnown) {
  std::set<std::string> commands;  // "apply", "audit verify", ...
  for (const Heading& heading : ReadMarkdown("cli.md", help_.text).headings)
    if (heading.text.starts_with("spillway ")) commands.insert(heading.text.substr(9));
  ASSERT_FALSE(commands.empty()) << "no headings \"spillway COMMAND\" in help-all";
  const std::regex call(R"((?:^|[ |(])(?:build/bin/)?spillway +([a-z][a-z-]*( [a-z]+)?)([^|#]*))");
  const std::regex flag(R"( (--[a-z-]+))");
  int calls = 0;
  for (const Document& document : AllDocuments(kRepository)) {
    const std::string path = fs::relative(document.path, kRepository).string();
    if (path != "README.md" && !path.starts_with("docs/")) continue;
    std::vector<Line> texts = document.code;
    if (!HasLabels(path))
      for (const CodeSpan& span : document.spans) texts.push_back({span.line, span.text});
    for (const Line& line : texts) {
      std::smatch match;
      if (!std::regex_search(line.text, match, call)) continue;
      ++calls;
      const std::string place = fmt::format("{}:{}: {}", path, line.number, line.text);
      const std::string words = match[1].str(), rest = match[3].str();
      EXPECT_TRUE(commands.contains(words) || commands.contains(words.substr(0, words.find(' '))))
          << place;
      for (std::sregex_iterator it(rest.begin(), rest.end(), flag), end; it != end; ++it)
        EXPECT_NE(help_.text.find((*it)[1].str()), std::string::npos) << place;
    }
  }
  EXPECT_GT(calls, 20);
}

}  // namespace
}  // namespace spillway::docs
