#include "cli/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>

namespace spillway::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFiles = 1000;
constexpr std::size_t kMaxBytes = 4u << 20;  // of standard input, as of a file
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::vector<std::string> FilesIn(const std::string& directory,
                                 std::vector<schema::Problem>& problems) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    if (extension != ".yaml" && extension != ".yml" && extension != ".json") continue;
    std::error_code ignored;
    if (!it->is_directory(ignored)) files.push_back(it->path().string());
  }
  if (error)
    problems.push_back({directory, {}, "", "it cannot be read: " + error.message(), "a directory"});
  else if (files.empty())
    problems.push_back(
        {directory, {}, "", "no manifest is in it", "*.yaml, *.yml or *.json files"});
  std::sort(files.begin(), files.end());
  return files;
}

void ReadInput(std::istream& in, std::vector<schema::Source>& sources,
               std::vector<schema::Problem>& problems) {
  std::string text(kMaxBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxBytes)
    problems.push_back({"standard input", {}, "", "it is longer than 4 MiB", "a shorter text"});
  else
    sources.push_back({"standard input", std::move(text)});
}

}  // namespace

std::vector<schema::Source> ReadSources(const std::vector<std::string>& files, std::istream& in,
                                        std::vector<schema::Problem>& problems) {
  std::vector<schema::Source> sources;
  std::vector<std::string> all;
  for (const std::string& file : files) {
    std::error_code ignored;
    if (file == "-") {
      ReadInput(in, sources, problems);
    } else if (fs::is_directory(file, ignored)) {
      const std::vector<std::string> inside = FilesIn(file, problems);
      all.insert(all.end(), inside.begin(), inside.end());
    } else {
      all.push_back(file);
    }
  }
  if (all.size() > kMaxFiles) {
    problems.push_back({files.front(),
                        {},
                        "",
                        fmt::format("{} files at once", all.size()),
                        fmt::format("at most {}", kMaxFiles)});
    return sources;
  }
  for (const std::string& file : all) {
    auto text = schema::ReadManifestFile(file);
    if (text)
      sources.push_back({file, std::move(*text)});
    else
      problems.push_back(text.error());
  }
  return sources;
}

JoinedSources::JoinedSources(const std::vector<schema::Source>& sources)
    : name_(sources.size() == 1 ? sources[0].file : "several-files") {
  for (const schema::Source& source : sources) {
    if (!text_.empty()) text_ += text_.back() == '\n' ? "---\n" : "\n---\n";
    parts_.push_back(
        {source.file, static_cast<int>(std::count(text_.begin(), text_.end(), '\n')) + 1});
    std::string_view text = source.text;
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    text_ += text;
  }
}

std::string JoinedSources::Localise(const std::string& message) const {
  if (parts_.size() < 2) return message;
  const std::string prefix = name_ + ":";
  std::string out;
  for (std::size_t at = 0; at < message.size();) {
    std::size_t end = message.find('\n', at);
    end = end == std::string::npos ? message.size() : end + 1;
    const std::string_view line(message.data() + at, end - at);
    at = end;
    int number = 0;
    const char* digits = line.data() + prefix.size();
    if (!line.starts_with(prefix)) {
      out += line;
      continue;
    }
    const auto [rest, error] = std::from_chars(digits, line.data() + line.size(), number);
    if (error != std::errc()) {
      out += line;
      continue;
    }
    const auto after =
        std::upper_bound(parts_.begin(), parts_.end(), number,
                         [](int l, const Part& part) { return l < part.first_line; });
    const Part& part = after == parts_.begin() ? *after : *std::prev(after);
    out += fmt::format("{}:{}", part.file, number - part.first_line + 1);
    out.append(rest, line.data() + line.size());
  }
  return out;
}

}  // namespace spillway::cli
