#include "gateway/source_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "gateway/files.h"
#include "net/socket.h"

namespace spillway::gateway {
namespace {

std::int64_t Nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

class Walk {
 public:
  // Unless `keep`, files are counted only.
  Walk(std::string directory, const data::Selection& selection, bool keep, const Room& room)
      : directory_(std::move(directory)), selection_(selection), keep_(keep), room_(room) {}

  // Takes the open directory, whose path below the root is `prefix` ("" or "a/b/").
  Status Visit(net::Fd fd, const std::string& prefix, int depth) {
    if (depth > kMaxSourceDepth)
      return Fail(Code::kInvalid, fmt::format("{}/{}: more than {} directories deep", directory_,
                                              prefix, kMaxSourceDepth));
    SPW_ASSIGN(const std::vector<std::string> names, Names(fd, prefix));
    for (const std::string& name : names) SPW_TRY(VisitName(fd.get(), prefix, name, depth));
    return Ok();
  }

  SourceListing Take() {
    std::sort(listing_.selected.begin(), listing_.selected.end(),
              [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
    if (selection_.Sharded()) KeepShards();
    if (!keep_) listing_.selected = {};
    return std::move(listing_);
  }

 private:
  // Where a file is in the order is known only once all are there.
  void KeepShards() {
    data::Cut cut(selection_);
    std::erase_if(listing_.selected, [&](const SourceFile& file) {
      if (cut.Takes(file.path)) return false;
      --listing_.selected_objects;
      listing_.selected_bytes -= file.state.size_bytes;
      return true;
    });
  }

  Result<std::vector<std::string>> Names(const net::Fd& fd, const std::string& prefix) {
    const std::string place = directory_ + "/" + prefix;
    const int copy = fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
    const std::unique_ptr<DIR, int (*)(DIR*)> handle(copy < 0 ? nullptr : fdopendir(copy),
                                                     closedir);
    if (!handle) return Fail(FileError("list", place, errno));
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* entry = readdir(handle.get());
      if (entry == nullptr) break;
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++seen_ > kMaxSourceObjects)
        return Fail(Code::kInvalid,
                    fmt::format("{}: more than {} objects; pack small samples into archives",
                                directory_, kMaxSourceObjects));
      names.push_back(std::move(name));
    }
    if (errno != 0) return Fail(FileError("list", place, errno));
    return names;
  }

  Status VisitName(int parent, const std::string& prefix, const std::string& name, int depth) {
    const std::string path = prefix + name;
    struct stat info{};
    if (fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return Fail(FileError("stat", directory_ + "/" + path, errno));
    if (S_ISDIR(info.st_mode)) {
      net::Fd child(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!child.valid()) return Fail(FileError("open", directory_ + "/" + path, errno));
      return Visit(std::move(child), path + "/", depth + 1);
    }
    ++listing_.objects;
    const bool leaves = selection_.Leaves(path);
    if (!S_ISREG(info.st_mode)) {
      if (!leaves) return Ok();
      return Fail(
          Code::kInvalid,
          fmt::format("{}/{}: is {}, which is not followed; replace it by the file it stands "
                      "for, or exclude it",
                      directory_, path,
                      S_ISLNK(info.st_mode) ? "a symbolic link" : "a special file"));
    }
    listing_.bytes += info.st_size;
    if (!leaves) return Ok();
    listing_.uncut_objects = ++listing_.selected_objects;
    listing_.uncut_bytes = listing_.selected_bytes += info.st_size;
    if (!keep_ && !selection_.Sharded()) return Ok();
    listing_.selected.push_back({path, info.st_mode & 0777u, FileState::Of(info)});
    return AskRoom(room_, listing_);
  }

  const std::string directory_;
  const data::Selection& selection_;
  const bool keep_;
  const Room& room_;
  std::size_t seen_ = 0;
  SourceListing listing_;
};

Result<net::Fd> OpenRoot(const std::string& directory) {
  net::Fd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root.valid()) return root;
  if (errno == ENOTDIR)
    return Fail(Code::kInvalid, fmt::format("{}: is not a directory", directory));
  return Fail(FileError("open", directory, errno));
}

// Keeps the last file open. Not thread-safe.
class DirectoryReader final : public SourceReader {
 public:
  DirectoryReader(std::string directory, net::Fd root)
      : directory_(std::move(directory)), root_(std::move(root)) {}

  Status Read(const SourceFile& file, std::int64_t offset, std::span<std::uint8_t> out) override {
    if (!file_.valid() || path_ != file.path) SPW_TRY(OpenFile(file));
    SPW_TRY(ReadAt(file_.get(), directory_ + "/" + file.path, offset, out));
    return CheckState(file);
  }

 private:
  Status OpenFile(const SourceFile& file);
  Status CheckState(const SourceFile& file) const;

  const std::string directory_;
  const net::Fd root_;
  net::Fd file_;
  std::string path_;  // of file_
};

// One name at a time without following links, so that a directory that was swapped for a link
// leads nowhere.
Status DirectoryReader::OpenFile(const SourceFile& file) {
  net::Fd at;
  std::size_t from = 0;
  while (true) {
    const std::size_t slash = file.path.find('/', from);
    const bool last = slash == std::string::npos;
    const std::string name = file.path.substr(from, last ? slash : slash - from);
    const int parent = at.valid() ? at.get() : root_.get();
    net::Fd next(openat(parent, name.c_str(),
                        O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY)));
    if (!next.valid()) return Fail(FileError("open", directory_ + "/" + file.path, errno));
    at = std::move(next);
    if (last) break;
    from = slash + 1;
  }
  file_ = std::move(at);
  path_ = file.path;
  return CheckState(file);
}

Status DirectoryReader::CheckState(const SourceFile& file) const {
  struct stat info{};
  if (fstat(file_.get(), &info) != 0)
    return Fail(FileError("stat", directory_ + "/" + file.path, errno));
  if (FileState::Of(info) == file.state) return Ok();
  return Fail(SourceChanged(directory_ + "/" + file.path));
}

class DirectorySource final : public Source {
 public:
  explicit DirectorySource(std::string directory) : directory_(std::move(directory)) {}

  std::string Name() const override { return directory_; }

  using Source::List;
  Result<SourceListing> List(const data::Selection& selection, const Room& room) override {
    return Look(selection, true, room);
  }
  Result<SourceListing> Count(const data::Selection& selection) override {
    return Look(selection, false, {});
  }

  Result<std::unique_ptr<SourceReader>> Open() override {
    SPW_ASSIGN(net::Fd root, OpenRoot(directory_));
    return std::make_unique<DirectoryReader>(directory_, std::move(root));
  }

  Status CheckUnchanged(const data::Selection& selection, const SourceListing& listed) override {
    SPW_ASSIGN(const SourceListing now, List(selection));
    Comparison comparison(listed, false,
                          [this](const std::string& path) { return directory_ + "/" + path; });
    for (const SourceFile& file : now.selected) SPW_TRY(comparison.Next(file));
    return comparison.End();
  }

 private:
  Result<SourceListing> Look(const data::Selection& selection, bool keep, const Room& room) {
    SPW_ASSIGN(net::Fd root, OpenRoot(directory_));
    Walk walk(directory_, selection, keep, room);
    SPW_TRY(walk.Visit(std::move(root), "", 0));
    return walk.Take();
  }

  const std::string directory_;
};

}  // namespace

FileState FileState::Of(const struct stat& info) {
  FileState state;
  state.size_bytes = info.st_size;
  state.mtime_ns = Nanoseconds(info.st_mtim);
  state.ctime_ns = Nanoseconds(info.st_ctim);
  state.device = info.st_dev;
  state.inode = info.st_ino;
  return state;
}

std::unique_ptr<Source> OpenDirectorySource(std::string directory) {
  return std::make_unique<DirectorySource>(std::move(directory));
}

}  // namespace spillway::gateway
