#include "data/pack.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/path.h"

namespace spillway::data {
namespace {

constexpr std::int64_t kMinChunkBytes = 64 * 1024;
constexpr std::int64_t kMaxPackChunkBytes = 64 * 1024 * 1024;

// As many chunks as a node fetches at a time are an eighth as long, so that the first of them is
// there after two full chunks in all, and not after one from every stream.
constexpr std::size_t kFirstChunks = 16;
constexpr std::int64_t kFirstShare = 8;

// Appends `length` bytes of file `index` to the last chunk.
void Place(Layout& layout, std::size_t index, std::int64_t file_offset, std::int64_t length) {
  ChunkPlan& chunk = layout.chunks.back();
  chunk.pieces.push_back({index, file_offset, chunk.plain_bytes, length});
  layout.files[index].extents.push_back(
      {static_cast<std::uint32_t>(layout.chunks.size() - 1), chunk.plain_bytes, length});
  chunk.plain_bytes += length;
}

Status CheckEntry(const FileEntry& file, std::int64_t chunk_bytes) {
  if (file.size_bytes < 0)
    return Fail(Code::kInvalid, fmt::format("{}: size {} is negative", file.path, file.size_bytes));
  if (file.size_bytes / chunk_bytes >= static_cast<std::int64_t>(kMaxChunks))
    return Fail(Code::kInvalid, fmt::format("{}: {} bytes need more than {} chunks", file.path,
                                            file.size_bytes, kMaxChunks));
  return Ok();
}

}  // namespace

Result<Layout> PackFiles(std::vector<FileEntry> files, std::int64_t chunk_bytes) {
  if (chunk_bytes < kMinChunkBytes || chunk_bytes > kMaxPackChunkBytes)
    return Fail(Code::kInvalid, fmt::format("chunk size {} is outside {}..{} bytes", chunk_bytes,
                                            kMinChunkBytes, kMaxPackChunkBytes));
  if (files.size() > kMaxFiles)
    return Fail(Code::kInvalid,
                fmt::format("{} files, at most {} are allowed; pack small samples into archives",
                            files.size(), kMaxFiles));
  std::sort(files.begin(), files.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.path < b.path; });
  Layout layout;
  layout.files.reserve(files.size());
  const std::int64_t much = static_cast<std::int64_t>(kFirstChunks) * chunk_bytes;
  std::int64_t all = 0;  // bytes, or `much`
  for (FileEntry& file : files) {
    SPW_TRY(CheckEntry(file, chunk_bytes));
    file.mode &= 0777;
    all = std::min(all + file.size_bytes, much);
    layout.files.push_back({std::move(file), {}});
  }
  SPW_TRY(CheckPaths(layout.files));

  const std::int64_t first_bytes = std::max(chunk_bytes / kFirstShare, kMinChunkBytes);
  // How long the last chunk may become.
  const auto room = [&] {
    return all == much && layout.chunks.size() <= kFirstChunks ? first_bytes : chunk_bytes;
  };
  for (std::size_t i = 0; i < layout.files.size(); ++i) {
    const std::int64_t size = layout.files[i].entry.size_bytes;
    for (std::int64_t done = 0; done < size;) {
      const std::int64_t rest = size - done;
      const bool fits = !layout.chunks.empty() && layout.chunks.back().plain_bytes + rest <= room();
      if (!fits) {
        if (layout.chunks.size() == kMaxChunks)
          return Fail(Code::kInvalid,
                      fmt::format("the files need more than {} chunks", kMaxChunks));
        layout.chunks.emplace_back();
      }
      const std::int64_t length = std::min(rest, room() - layout.chunks.back().plain_bytes);
      Place(layout, i, done, length);
      done += length;
    }
  }
  return layout;
}

Status CheckPaths(const std::vector<PackedFile>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string& path = files[i].entry.path;
    SPW_TRY(CheckRelativePath(path));
    if (i > 0 && !(files[i - 1].entry.path < path))
      return Fail(Code::kInvalid,
                  fmt::format("path \"{}\" appears twice or is not in order", path));
  }
  for (const PackedFile& file : files) {
    const std::string_view path = file.entry.path;
    for (std::size_t at = path.find('/'); at != std::string_view::npos;
         at = path.find('/', at + 1)) {
      const std::string_view parent = path.substr(0, at);
      const auto found = std::lower_bound(files.begin(), files.end(), parent,
                                          [](const PackedFile& f, std::string_view p) {
                                            return std::string_view(f.entry.path) < p;
                                          });
      if (found != files.end() && found->entry.path == parent)
        return Fail(Code::kInvalid,
                    fmt::format("\"{}\" is a file and the directory of \"{}\"", parent, path));
    }
  }
  return Ok();
}

}  // namespace spillway::data
