// The parts of Markdown that documents are checked by.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::docs {

struct Line {
  int number = 0;  // from one
  std::string text;
};

struct Heading {
  int line = 0;
  int level = 0;
  std::string text;
};

struct Link {
  int line = 0;
  std::string target;
};

struct CodeSpan {
  int line = 0;
  std::string text;
};

// One document, cut into what prose says and what code blocks show.
struct Document {
  std::filesystem::path path;
  std::vector<Line> lines;
  std::vector<Heading> headings;
  std::vector<Link> links;
  std::vector<CodeSpan> spans;  // `...` in prose
  std::vector<Line> code;       // lines of fenced and of indented blocks, without the indent
};

// Understands "#" headings, fenced and four-space code blocks, inline links and code spans on one
// line: all that documents here use.
Document ReadMarkdown(const std::filesystem::path& path, std::string_view text);

// The anchor GitHub makes of a heading.
std::string Anchor(std::string_view heading);

// Every document of the repository: *.md outside of build folders and .git, sorted.
std::vector<Document> AllDocuments(const std::filesystem::path& repository);

}  // namespace spillway::docs
