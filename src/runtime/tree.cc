#include "runtime/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "runtime/fd.h"
#include "runtime/frames.h"

namespace spillway::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEntriesPerDirectory = 1'000'000;

tl::unexpected<Error> Failed(std::string_view what, std::string_view path) {
  return Fail(Code::kInternal, fmt::format("{} '{}': {}", what, path, std::strerror(errno)));
}

Result<std::vector<std::string>> NamesIn(int directory, const std::string& path) {
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return Failed("cannot list", path);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), &::closedir);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() >= kMaxEntriesPerDirectory)
      return Fail(Code::kQuota,
                  fmt::format("'{}' holds more than {} entries", path, kMaxEntriesPerDirectory));
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string_view KindOf(mode_t mode) {
  if (S_ISLNK(mode)) return "is a symbolic link";
  if (S_ISFIFO(mode)) return "is a named pipe";
  if (S_ISSOCK(mode)) return "is a socket";
  return "is a device";
}

class Walk {
 public:
  explicit Walk(const TreeVisitor& visitor) : visitor_(visitor) {}

  Status Directory(int directory, const std::string& prefix, int depth) {
    SPW_ASSIGN(const auto names, NamesIn(directory, prefix.empty() ? "." : prefix));
    for (const std::string& name : names) SPW_TRY(Entry(directory, prefix + name, name, depth));
    return Ok();
  }

 private:
  Status Entry(int directory, const std::string& path, const std::string& name, int depth) {
    struct stat info = {};
    if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return visitor_.skipped(path, std::strerror(errno));
    const bool is_directory = S_ISDIR(info.st_mode);
    if (!is_directory && !S_ISREG(info.st_mode))
      return visitor_.skipped(path, std::string(KindOf(info.st_mode)));
    if (depth >= kMaxPathDepth || path.size() > kMaxPathBytes)
      return visitor_.skipped(path, "is nested deeper than 64 directories");
    const mode_t needed = is_directory ? 0500 : 0400;
    if ((info.st_mode & needed) != needed)
      (void)::fchmodat(directory, name.c_str(), (info.st_mode & 0777) | needed, 0);
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    const Fd fd(::openat(directory, name.c_str(), flags | (is_directory ? O_DIRECTORY : 0)));
    if (!fd) return visitor_.skipped(path, std::strerror(errno));
    if (is_directory) return Directory(fd.get(), path + "/", depth + 1);
    return visitor_.file(path, fd.get(), info);
  }

  const TreeVisitor& visitor_;
};

}  // namespace

Status WalkTree(const std::string& root, const TreeVisitor& visitor) {
  (void)::chmod(root.c_str(), 0700);
  const Fd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Failed("cannot open", root);
  return Walk(visitor).Directory(fd.get(), "", 0);
}

Result<Fd> CreateBelow(const std::string& root, const std::string& path) {
  Fd directory(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return Failed("cannot open", root);
  std::size_t begin = 0;
  for (std::size_t end; (end = path.find('/', begin)) != std::string::npos; begin = end + 1) {
    const std::string name = path.substr(begin, end - begin);
    const bool made = ::mkdirat(directory.get(), name.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return Failed("cannot create the directory of", path);
    directory = Fd(
        ::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    // Whatever the umask says.
    if (!directory || (made && ::fchmod(directory.get(), 0755) != 0))
      return Failed("cannot open the directory of", path);
  }
  Fd file(::openat(directory.get(), path.c_str() + begin,
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return Failed("cannot create", path);
  return file;
}

Status MakeTreeReadOnly(const std::string& root) {
  std::error_code error;
  std::vector<fs::path> all = {root};
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end;
       it.increment(error))
    if (!it->is_symlink(error)) all.push_back(it->path());
  for (const fs::path& path : all) {
    if (error) break;
    fs::permissions(path, fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write,
                    fs::perm_options::remove, error);
  }
  if (error)
    return Fail(Code::kInternal,
                fmt::format("cannot make '{}' read-only: {}", root, error.message()));
  return Ok();
}

void RemoveTree(const std::string& root) {
  std::error_code ignored;
  fs::permissions(root, fs::perms::owner_all, fs::perm_options::add, ignored);
  for (fs::recursive_directory_iterator
           it(root, fs::directory_options::skip_permission_denied, ignored),
       end;
       it != end; it.increment(ignored)) {
    if (ignored) break;
    if (it->is_directory(ignored) && !it->is_symlink(ignored))
      fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
  }
  fs::remove_all(root, ignored);
}

}  // namespace spillway::runtime
