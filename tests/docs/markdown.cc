#include "markdown.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>

namespace spillway::docs {
namespace {

bool IsFence(std::string_view line) {
  const std::size_t at = line.find_first_not_of(' ');
  return at != std::string_view::npos && line.substr(at).starts_with("```");
}

bool IsListItem(std::string_view line) {
  const std::size_t at = line.find_first_not_of(' ');
  if (at == std::string_view::npos) return false;
  const std::string_view rest = line.substr(at);
  if (rest.starts_with("- ") || rest.starts_with("* ")) return true;
  const std::size_t digits = rest.find_first_not_of("0123456789");
  return digits != 0 && digits != std::string_view::npos && rest.substr(digits).starts_with(". ");
}

void ReadHeading(std::string_view line, int number, Document& document) {
  const std::size_t level = line.find_first_not_of('#');
  if (level == 0 || level == std::string_view::npos || level > 6 || line[level] != ' ') return;
  document.headings.push_back(
      {number, static_cast<int>(level), std::string(line.substr(level + 1))});
}

void ReadInline(std::string_view line, int number, Document& document) {
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == '`') {
      const std::size_t end = line.find('`', at + 1);
      if (end == std::string_view::npos) return;
      document.spans.push_back({number, std::string(line.substr(at + 1, end - at - 1))});
      at = end + 1;
    } else if (line.substr(at).starts_with("](")) {
      const std::size_t end = line.find(')', at);
      if (end == std::string_view::npos) return;
      document.links.push_back({number, std::string(line.substr(at + 2, end - at - 2))});
      at = end + 1;
    } else {
      ++at;
    }
  }
}

std::vector<Line> Lines(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back({static_cast<int>(lines.size()) + 1, std::string(text.substr(0, end))});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

Document ReadMarkdown(const std::filesystem::path& path, std::string_view text) {
  Document document;
  document.path = path;
  document.lines = Lines(text);
  bool fenced = false, after_blank = true, indented = false, in_list = false;
  for (const Line& line : document.lines) {
    const bool blank = line.text.find_first_not_of(' ') == std::string::npos;
    if (IsFence(line.text)) {
      fenced = !fenced;
    } else if (fenced) {
      document.code.push_back(line);
    } else {
      // Four spaces make a code block after a blank line, unless they continue a list item.
      const bool deep = line.text.starts_with("    ");
      if (!blank) {
        indented = deep && !in_list && (indented || after_blank);
        if (IsListItem(line.text) && !indented)
          in_list = true;
        else if (line.text[0] != ' ')
          in_list = false;
      }
      if (indented && !blank) {
        document.code.push_back({line.number, line.text.substr(4)});
      } else {
        ReadHeading(line.text, line.number, document);
        ReadInline(line.text, line.number, document);
      }
    }
    after_blank = blank;
  }
  return document;
}

std::string Anchor(std::string_view heading) {
  std::string anchor;
  for (const char c : heading) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || byte >= 0x80)
      anchor += static_cast<char>(std::tolower(byte));
    else if (c == ' ')
      anchor += '-';
  }
  return anchor;
}

std::vector<Document> AllDocuments(const std::filesystem::path& repository) {
  namespace fs = std::filesystem;
  std::vector<fs::path> paths;
  for (auto it = fs::recursive_directory_iterator(repository);
       it != fs::recursive_directory_iterator(); ++it) {
    const std::string name = it->path().filename().string();
    const bool built = it.depth() == 0 && name.starts_with("build");
    if (it->is_directory() && (built || name == ".git"))
      it.disable_recursion_pending();
    else if (it->path().extension() == ".md")
      paths.push_back(it->path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Document> documents;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    documents.push_back(ReadMarkdown(path, text));
  }
  return documents;
}

}  // namespace spillway::docs
