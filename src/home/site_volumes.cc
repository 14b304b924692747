#include "home/site_volumes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "node/mounts.h"
#include "node/volume_request.h"
#include "runtime/frames.h"

namespace spillway::home {
namespace {

using runtime::Fd;

constexpr mode_t kResultsMode = 0777;

Result<Fd> OpenRoot(std::string_view what, const std::string& root) {
  Fd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return Fail(Code::kInvalid, fmt::format("{} '{}': {}", what, root, std::strerror(errno)));
  return fd;
}

// One directory below another, never through a link (openat2(2), Linux 5.6).
Fd OpenDirectory(const Fd& at, const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(::syscall(SYS_openat2, at.get(), path.c_str(), &how, sizeof how)));
}

tl::unexpected<Error> CannotOpen(const std::string& path) {
  if (errno == ENOENT)
    return Fail(Code::kNotFound, fmt::format("directory '{}' is not below the site's root", path));
  if (errno == ELOOP || errno == EXDEV || errno == ENOTDIR)
    return Fail(Code::kInvalid,
                fmt::format("'{}' must be a directory below the site's root without links", path));
  return Fail(Code::kInternal, fmt::format("cannot open '{}': {}", path, std::strerror(errno)));
}

// Opens `path` name by name and makes what is missing.
Result<Fd> MakeDirectory(const Fd& root, const std::string& path) {
  Fd at = OpenDirectory(root, ".");
  if (!at) return CannotOpen(".");
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    const bool made = ::mkdirat(at.get(), name.c_str(), 0755) == 0;
    if (!made && errno != EEXIST) return CannotOpen(path);
    struct stat above{};
    if (::fstat(at.get(), &above) != 0) return CannotOpen(path);
    at = OpenDirectory(at, name);
    if (!at) return CannotOpen(path);
    // Its owner is that of the directory above: the site's daemon brings results to the same
    // places.
    if (made && ::fchownat(at.get(), "", above.st_uid, above.st_gid, AT_EMPTY_PATH) != 0)
      return CannotOpen(path);
    // Whatever the umask says. O_PATH has no fchmod.
    const std::string self = fmt::format("/proc/self/fd/{}", at.get());
    if (made && ::chmod(self.c_str(), end == path.size() ? kResultsMode : 0755) != 0)
      return CannotOpen(path);
    begin = end + 1;
  }
  return at;
}

}  // namespace

Result<std::unique_ptr<SiteVolumes>> SiteVolumes::Open(const std::string& data_root,
                                                       const std::string& results_root,
                                                       BucketVolumes* buckets) {
  SPW_ASSIGN(Fd data, OpenRoot("the data root", data_root));
  SPW_ASSIGN(Fd results, OpenRoot("the results root", results_root));
  return std::unique_ptr<SiteVolumes>(
      new SiteVolumes(std::move(data), std::move(results), buckets));
}

Status SiteVolumes::Publish(const csi::PublishRequest& request) {
  SPW_ASSIGN(const node::VolumeRequest asked, node::ReadVolumeRequest(request));
  if (!asked.bucket.empty()) {
    if (buckets_ != nullptr) return buckets_->Publish(asked, request);
    return Fail(Code::kInvalid,
                fmt::format("volume {}: is {}, and this node uses no buckets: start spillway-node "
                            "--site with --s3-credentials, or let the pod run on a rented machine",
                            request.volume_id, asked.bucket));
  }
  if (const Status fits = runtime::CheckRelativePath(asked.directory); !fits)
    return Fail(fits.error().In(fmt::format("volume {}: directory", request.volume_id)));
  const bool dataset = asked.kind == node::VolumeRequest::Kind::kDataset;
  Fd directory;
  if (dataset) {
    directory = OpenDirectory(data_, asked.directory);
    if (!directory) return CannotOpen(asked.directory);
  } else {
    SPW_ASSIGN(directory, MakeDirectory(results_, asked.directory));
  }
  return node::ShowDirectory(fmt::format("/proc/self/fd/{}", directory.get()), request.target_path,
                             dataset || request.read_only);
}

Status SiteVolumes::Unpublish(const std::string& /*volume_id*/, const std::string& target_path) {
  if (buckets_ != nullptr && buckets_->Has(target_path)) return buckets_->Unpublish(target_path);
  return node::Unmount(target_path);
}

}  // namespace spillway::home
