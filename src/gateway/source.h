// A directory as the source of a Dataset: what of it leaves the site, and reading exactly that.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/result.h"
#include "base/time.h"
#include "data/selection.h"
#include "net/socket.h"

namespace spillway::gateway {

inline constexpr std::size_t kMaxSourceObjects = 1'000'000;
inline constexpr int kMaxSourceDepth = 64;

// Tells one state of a file from another. The change time moves with every write, even one that
// sets the modification time back.
struct FileState {
  std::int64_t size_bytes = 0, mtime_ns = 0, ctime_ns = 0;
  std::uint64_t device = 0, inode = 0;

  static FileState Of(const struct stat& info);
  bool operator==(const FileState&) const = default;
};

struct SourceFile {
  std::string path;  // below the directory
  std::uint32_t mode = 0;
  FileState state;

  bool operator==(const SourceFile&) const = default;
};

struct SourceListing {
  std::vector<SourceFile> selected;  // sorted by path, bytewise
  std::int64_t selected_bytes = 0;
  std::int64_t objects = 0, bytes = 0;  // everything in the directory; links count as objects
};

// Walks the directory. Links are never followed. kNotFound when it is not there; kInvalid when it
// is no directory, holds too much, or the selection names something that is neither file nor
// directory (a link would silently be missing where the run looks for it).
Result<SourceListing> ListSource(const std::string& directory, const data::Selection& selection);

// Reads files of one listing. Not thread-safe.
class SourceReader {
 public:
  static Result<SourceReader> Open(const std::string& directory);

  // Fills `out` from `offset` on. kCorrupt when the file is no longer in the state of the listing,
  // before or after reading. Keeps the last file open, so read a file from front to back.
  Status Read(const SourceFile& file, std::int64_t offset, std::span<std::uint8_t> out);

 private:
  SourceReader(std::string directory, net::Fd root)
      : directory_(std::move(directory)), root_(std::move(root)) {}
  Status OpenFile(const SourceFile& file);
  Status CheckState(const SourceFile& file) const;

  std::string directory_;
  net::Fd root_, file_;
  std::string path_;  // of file_
};

// What a selection would send, for estimates: walks at most once in `max_age` per selection.
// Thread-safe; holds at most kMaxEntries answers.
class SelectionCache {
 public:
  static constexpr std::size_t kMaxEntries = 256;

  explicit SelectionCache(Duration max_age) : max_age_(max_age) {}

  struct Size {
    std::int64_t leaves_objects = 0, leaves_bytes = 0;
    std::int64_t stays_objects = 0, stays_bytes = 0;
  };
  // `now`: a steady clock. Errors as ListSource and Selection::Parse; they are remembered too.
  Result<Size> Look(const std::string& directory, const std::vector<std::string>& include,
                    const std::vector<std::string>& exclude, const std::vector<std::string>& narrow,
                    Duration now);

 private:
  struct Entry {
    Duration looked_at;
    Result<Size> size;
  };
  const Duration max_age_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace spillway::gateway
