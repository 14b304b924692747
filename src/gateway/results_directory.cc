#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gateway/files.h"
#include "gateway/incoming_file.h"

namespace spillway::gateway {
namespace {

// Opens root/a/b/c, making what is missing, without following a link at any step.
Result<Fd> OpenPlace(const std::string& root, const std::string& relative) {
  Fd at(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) return Fail(FileError("open", root, errno));
  for (std::size_t from = 0; from < relative.size();) {
    const std::size_t to = std::min(relative.find('/', from), relative.size());
    const std::string name = relative.substr(from, to - from);
    const std::string place = root + "/" + relative.substr(0, to);
    if (mkdirat(at.get(), name.c_str(), 0755) == 0) {
      if (fsync(at.get()) != 0) return Fail(FileError("fsync", place, errno));
    } else if (errno != EEXIST) {
      return Fail(FileError("create", place, errno));
    }
    Fd next(openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid() && (errno == ENOTDIR || errno == ELOOP))
      return Fail(
          Code::kInvalid,
          fmt::format("{}: is a file or a symbolic link where a directory of results should "
                      "be",
                      place));
    if (!next.valid()) return Fail(FileError("open", place, errno));
    at = std::move(next);
    from = to + 1;
  }
  return at;
}

// A hidden temporary in the directory of the final one.
class DirectoryFile final : public IncomingFile {
 public:
  DirectoryFile(Fd directory, std::string directory_path, std::string hidden, Fd file,
                IncomingResult about)
      : IncomingFile(std::move(about), std::move(file), directory_path + "/" + hidden),
        directory_(std::move(directory)),
        directory_path_(std::move(directory_path)),
        hidden_(std::move(hidden)) {}

  // Gone already if it was renamed.
  void Drop() override { unlinkat(directory_.get(), hidden_.c_str(), 0); }

  Status Commit() override {
    const std::string name = about_.path.substr(about_.path.rfind('/') + 1);
    const std::string path = directory_path_ + "/" + name;
    if (fchmod(file_.get(), (about_.mode & 0777u) | 0600u) != 0 || fsync(file_.get()) != 0)
      return Fail(FileError("fsync", path_, errno));
    if (renameat(directory_.get(), hidden_.c_str(), directory_.get(), name.c_str()) != 0) {
      if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST)
        return Fail(Code::kInvalid,
                    fmt::format("{}: is a directory, a result cannot replace it", path));
      return Fail(FileError("rename to", path, errno));
    }
    if (fsync(directory_.get()) != 0) return Fail(FileError("fsync", path, errno));
    return Ok();
  }

 private:
  const Fd directory_;
  const std::string directory_path_, hidden_;
};

// The directory of a file of the place, relative to the root.
std::string ParentOf(const std::string& directory, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return directory + (slash == std::string::npos ? "" : "/" + path.substr(0, slash));
}

}  // namespace

std::string HiddenPath(const std::string& root, const std::string& directory,
                       const std::string& name, const std::string& path) {
  return root + "/" + ParentOf(directory, path) + "/" + name;
}

Result<std::unique_ptr<IncomingFile>> ReceiveIntoDirectory(const std::string& root,
                                                           const std::string& directory,
                                                           const std::string& name,
                                                           IncomingResult about) {
  const std::string parent = ParentOf(directory, about.path);
  SPW_ASSIGN(Fd place, OpenPlace(root, parent));
  // What an earlier attempt left may have another owner's mode: it begins afresh.
  unlinkat(place.get(), name.c_str(), 0);
  Fd file(
      openat(place.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid())
    return Fail(FileError("create", HiddenPath(root, directory, name, about.path), errno));
  return std::make_unique<DirectoryFile>(std::move(place), root + "/" + parent, name,
                                         std::move(file), std::move(about));
}

}  // namespace spillway::gateway
