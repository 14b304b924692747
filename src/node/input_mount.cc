#include "node/input_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/log.h"

namespace spillway::node {

Status MayServeInputs() {
  if (::geteuid() != 0) return Fail(Code::kDenied, "mounting needs root");
  const Fd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device) return Fail(Code::kUnavailable, fmt::format("/dev/fuse: {}", std::strerror(errno)));
  return Ok();
}

Result<std::unique_ptr<InputMount>> InputMount::Open(const std::string& directory,
                                                     std::shared_ptr<const StagedData> data,
                                                     InputContent& content, fuse::Connection left) {
  SPW_TRY(MayServeInputs());
  std::unique_ptr<InputMount> mount(new InputMount(directory, std::move(data)));
  if (left.device) {
    mount->connection_ = std::move(left);
  } else {
    // A mount that nobody kept is dead, and in the way.
    ::umount2(directory.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error)
      return Fail(Code::kInternal, fmt::format("cannot make '{}': {}", directory, error.message()));
    SPW_ASSIGN(mount->connection_, fuse::Mount(directory));
  }
  SPW_ASSIGN(fuse::Connection own, fuse::Duplicate(mount->connection_));
  SPW_ASSIGN(mount->server_,
             fuse::Server::Start(std::move(own), directory, mount->data_->files.tree(), content));
  {
    const std::lock_guard lock(mount->bell_->mutex);
    mount->bell_->server = mount->server_.get();
  }
  mount->data_->cache->OnArrival([bell = mount->bell_] { bell->Ring(); });
  return mount;
}

InputMount::~InputMount() {
  Close();
  {
    const std::lock_guard lock(bell_->mutex);
    bell_->server = nullptr;
  }
  server_.reset();
}

void InputMount::Close() {
  if (closed_) return;
  closed_ = true;
  if (server_ != nullptr) {
    server_->Wake();  // reads that wait fail
    server_->ForgetPages();
  }
  if (::umount2(directory_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
      errno != ENOENT)
    log::Warn("the inputs stay mounted, empty", {{"why", std::strerror(errno)}});
  ::rmdir(directory_.c_str());
}

}  // namespace spillway::node
