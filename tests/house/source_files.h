// The repository's own files, for the tests of this folder.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::house {

inline std::filesystem::path Root() {
  return SPILLWAY_SOURCE_DIR;
}

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// All .h and .cc files below a folder of the repository, sorted, relative to its root.
inline std::vector<std::string> SourceFiles(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Root() / folder)) {
    const std::string extension = entry.path().extension();
    if (entry.is_regular_file() && (extension == ".h" || extension == ".cc"))
      files.push_back(std::filesystem::relative(entry.path(), Root()));
  }
  std::ranges::sort(files);
  return files;
}

inline std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

// Code that runs only in tests: it may sleep, look at a clock, and include what it tests.
inline bool IsTest(std::string_view file) {
  return file.ends_with("_test.cc") || file.find("/test_") != file.npos ||
         file.ends_with("test_util.h") || file.find("/fake_") != file.npos;
}

}  // namespace spillway::house
