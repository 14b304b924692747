#include "demo/results.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/encoding.h"

namespace spillway::demo {

namespace fs = std::filesystem;

Result<FileHashes> HashFiles(const std::string& directory) {
  FileHashes files;
  std::error_code error;
  fs::recursive_directory_iterator it(directory, error), end;
  if (error) return Fail(Code::kNotFound, fmt::format("{}: {}", directory, error.message()));
  for (; it != end; it.increment(error)) {
    if (error) return Fail(Code::kUnavailable, fmt::format("{}: {}", directory, error.message()));
    if (!it->is_regular_file() || it->path().filename().string().starts_with('.')) continue;
    std::ifstream file(it->path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    if (!file) return Fail(Code::kUnavailable, it->path().string() + ": cannot be read");
    files[fs::relative(it->path(), directory).string()] = Sha256Hex(bytes);
  }
  return files;
}

std::string ModelHash(const FileHashes& files) {
  std::string lines, only;
  int models = 0;
  for (const auto& [path, hash] : files) {
    if (fs::path(path).filename() != "model.bin") continue;
    ++models;
    only = hash;
    lines += path + " " + hash + "\n";
  }
  return models == 0 ? std::string() : models == 1 ? only : Sha256Hex(lines);
}

}  // namespace spillway::demo
