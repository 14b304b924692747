#include "daemon/inspection.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "base/log.h"

namespace spillway::daemon {
namespace {

constexpr std::size_t kMaxSampleBytes = 48 << 20;

ByteBuffer ReadFile(const std::filesystem::path& path, std::size_t most) {
  std::ifstream file(path, std::ios::binary);
  ByteBuffer bytes;
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || !file) return bytes;
  bytes.resize(std::min<std::size_t>(size, most));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

// Regular files below a directory, sorted; links are not followed.
std::vector<std::filesystem::path> FilesBelow(const std::string& directory) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  std::filesystem::recursive_directory_iterator it(directory, error);
  for (; !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error))
    if (it->is_regular_file(error) && !it->is_symlink(error)) files.push_back(it->path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Inspector::Inspector(std::string sample_root, std::string state_file)
    : sample_root_(std::move(sample_root)), state_file_(std::move(state_file)) {
  std::ifstream file(state_file_);
  for (std::string line; std::getline(file, line);) {
    const Result<json::value> v = ParseJson(line);
    if (!v) continue;
    results_.push_back({std::string(StringOr(*v, "burstNode", "")), BoolOr(*v, "afterWipe", false),
                        IntOr(*v, "scannedBytes", 0), IntOr(*v, "plaintextWindows", 0)});
  }
}

const data::ScanIndex* Inspector::Index() {
  std::call_once(built_, [&] {
    std::vector<ByteBuffer> samples;
    std::size_t total = 0;
    for (const auto& path : FilesBelow(sample_root_)) {
      if (total >= kMaxSampleBytes) break;
      samples.push_back(ReadFile(path, kMaxSampleBytes - total));
      total += samples.back().size();
    }
    const std::vector<ByteView> views(samples.begin(), samples.end());
    Result<data::ScanIndex> index = data::ScanIndex::Build(views);
    if (index)
      index_ = std::make_unique<data::ScanIndex>(std::move(*index));
    else
      log::Error("rented disks cannot be inspected", {{"error", index.error().message}});
  });
  return index_.get();
}

void Inspector::Inspect(const std::string& burst_node, bool after_wipe, const std::string& disk) {
  {
    const std::lock_guard lock(mutex_);
    for (const server::Inspection& done : results_)
      if (done.burst_node == burst_node && done.after_wipe == after_wipe) return;
  }
  const data::ScanIndex* index = Index();
  if (index == nullptr) return;
  server::Inspection result{burst_node, after_wipe, 0, 0};
  for (const auto& path : FilesBelow(disk)) {
    data::Scanner scanner(*index);
    std::ifstream file(path, std::ios::binary);
    ByteBuffer buffer(1 << 20);
    while (file) {
      file.read(reinterpret_cast<char*>(buffer.data()),
                static_cast<std::streamsize>(buffer.size()));
      scanner.Feed(ByteView(buffer.data(), static_cast<std::size_t>(file.gcount())));
    }
    result.scanned_bytes += scanner.scanned_bytes();
    result.plaintext_windows += scanner.hit_windows();
    for (const data::ScanHit& hit : scanner.hits())
      log::Error("plaintext on a rented disk",
                 {{"node", burst_node}, {"file", path.string()}, {"offset", hit.offset}});
  }
  const std::lock_guard lock(mutex_);
  results_.push_back(result);
  std::ofstream(state_file_, std::ios::app)
      << json::serialize(json::object{{"burstNode", result.burst_node},
                                      {"afterWipe", result.after_wipe},
                                      {"scannedBytes", result.scanned_bytes},
                                      {"plaintextWindows", result.plaintext_windows}})
      << "\n";
}

std::vector<server::Inspection> Inspector::Results() const {
  const std::lock_guard lock(mutex_);
  return results_;
}

}  // namespace spillway::daemon
