// How the files of a dataset are laid into chunks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::data {

inline constexpr std::int64_t kDefaultChunkBytes = std::int64_t{4} * 1024 * 1024;
inline constexpr std::size_t kMaxFiles = 1'000'000;
inline constexpr std::size_t kMaxChunks = 1'000'000;

// A regular file as the site sees it.
struct FileEntry {
  std::string path;  // relative, see CheckRelativePath
  std::int64_t size_bytes = 0;
  std::uint32_t mode = 0644;  // permission bits, 0..0777
  Time mtime;

  bool operator==(const FileEntry&) const = default;
};

// `length` > 0 bytes of a file, at `offset` in the plaintext of chunk `chunk`.
struct Extent {
  std::uint32_t chunk = 0;
  std::int64_t offset = 0;
  std::int64_t length = 0;

  bool operator==(const Extent&) const = default;
};

// The content of a file is its extents one after the other; an empty file has none.
struct PackedFile {
  FileEntry entry;
  std::vector<Extent> extents;

  bool operator==(const PackedFile&) const = default;
};

// One stretch of a file inside a chunk, seen from the chunk: what a sender has to read.
struct Piece {
  std::size_t file = 0;  // index into Layout::files
  std::int64_t file_offset = 0;
  std::int64_t chunk_offset = 0;
  std::int64_t length = 0;
};

struct ChunkPlan {
  std::int64_t plain_bytes = 0;
  std::vector<Piece> pieces;  // without gaps, in order of chunk_offset
};

struct Layout {
  std::vector<PackedFile> files;  // sorted by path, bytewise
  std::vector<ChunkPlan> chunks;
};

// The same files give the same layout, in whatever order they come. A file that fits into a chunk
// is never cut; one that does not starts a chunk of its own, and small files fill up its last one.
// Of 16 full chunks and more, the first 16 are an eighth as long (64 KiB at least): reading may
// begin that much earlier. Permission bits above 0777 are dropped (no set-uid leaves the site).
// kInvalid for a bad or double path, a name that is both file and directory, a negative size, too
// many files or chunks, or `chunk_bytes` outside 64 KiB .. 64 MiB.
Result<Layout> PackFiles(std::vector<FileEntry> files,
                         std::int64_t chunk_bytes = kDefaultChunkBytes);

// Ok when the paths are valid, strictly ascending, and none is a directory of another.
Status CheckPaths(const std::vector<PackedFile>& files);

}  // namespace spillway::data
