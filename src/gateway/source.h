// Where the files of a Dataset are: a directory, or a part of a bucket. What of it leaves the site,
// and reading exactly that.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "data/selection.h"

namespace spillway::gateway {

inline constexpr std::size_t kMaxSourceObjects = 1'000'000;
inline constexpr int kMaxSourceDepth = 64;

// Tells one state of a file from another.
struct FileState {
  std::int64_t size_bytes = 0, mtime_ns = 0;
  // Of a file in a directory. The change time moves with every write, even one that sets the
  // modification time back.
  std::int64_t ctime_ns = 0;
  std::uint64_t device = 0, inode = 0;
  std::string etag;  // of an object in a bucket

  static FileState Of(const struct stat& info);
  bool operator==(const FileState&) const = default;
};

struct SourceFile {
  std::string path;  // below the directory or the prefix
  std::uint32_t mode = 0;
  FileState state;

  bool operator==(const SourceFile&) const = default;
};

struct SourceListing {
  std::vector<SourceFile> selected;  // sorted by path, bytewise
  std::int64_t selected_objects = 0, selected_bytes = 0;
  // Of all shards, also of those that other machines get; without shards the same.
  std::int64_t uncut_objects = 0, uncut_bytes = 0;
  std::int64_t objects = 0, bytes = 0;  // everything in the source; links count as objects
};

// Reads files of one listing.
class SourceReader {
 public:
  virtual ~SourceReader() = default;

  // Fills `out` from `offset` on. kCorrupt, with the file's name, when it is no longer in the state
  // of the listing. Read a file from front to back.
  virtual Status Read(const SourceFile& file, std::int64_t offset, std::span<std::uint8_t> out) = 0;

  // How many calls of Read() at a time pay; 1: there may be only one at a time.
  virtual int Parallel() const { return 1; }
  // No more patience: what is being read fails soon. From any thread.
  virtual void Cancel() {}
};

// Asked while a source is listed whether there is memory for so many files more; its error ends the
// listing. Empty: there is.
using Room = std::function<Status(std::int64_t files)>;
// After each file that was selected: asks for kRoomFiles at a time.
inline constexpr std::int64_t kRoomFiles = 1000;
Status AskRoom(const Room& room, const SourceListing& listing);

// Thread-safe.
class Source {
 public:
  virtual ~Source() = default;

  // For messages, and one and the same for the same place.
  virtual std::string Name() const = 0;
  // Who may see what in it is a part of this: the same text, the same files.
  virtual std::string Identity() const { return Name(); }
  // Looking at it takes requests to another machine.
  virtual bool IsFar() const { return false; }

  // Everything that is there now and what of it is selected. kNotFound when it is not there;
  // kInvalid when it holds too much or the selection names something that cannot be a file (it
  // would silently be missing where the run looks for it). Of what is far also kThrottled,
  // kUnavailable and kDenied.
  virtual Result<SourceListing> List(const data::Selection& selection, const Room& room) = 0;
  Result<SourceListing> List(const data::Selection& selection) { return List(selection, {}); }
  // The same without the files, which take memory: `selected` stays empty. (A directory is listed
  // nonetheless to be cut into shards.)
  virtual Result<SourceListing> Count(const data::Selection& selection) = 0;
  virtual Result<std::unique_ptr<SourceReader>> Open() = 0;

  // Ok while the source still holds what was listed; kCorrupt names what is different: files that
  // were read one after the other would be a mixture of two versions.
  virtual Status CheckUnchanged(const data::Selection& selection, const SourceListing& listed) = 0;
};

// Whether what is there now has every file that was listed in the same state, and no other unless
// it may grow.
class Comparison {
 public:
  // `listed` outlives it; `name` names a file of the source in messages.
  Comparison(const SourceListing& listed, bool may_grow,
             std::function<std::string(const std::string& path)> name);
  // The next selected file that is there, in order. Errors as Source::CheckUnchanged().
  Status Next(const SourceFile& there);
  // There is no more.
  Status End() const;

 private:
  Status Changed(const SourceFile& file, std::string_view what) const;

  const SourceListing& listed_;
  const bool may_grow_;
  const std::function<std::string(const std::string& path)> name_;
  std::vector<SourceFile>::const_iterator next_;
};

// "<name>: changed while it was read; ...", kCorrupt.
Error SourceChanged(const std::string& name, std::string_view what = "changed");

}  // namespace spillway::gateway
