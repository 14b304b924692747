#include "net/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace spillway::net {
namespace {

constexpr int kBacklog = 128;

std::string ErrnoText() {
  return std::error_code(errno, std::generic_category()).message();
}

Result<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return Fail(Code::kInvalid, "socket path '" + path + "' has " + std::to_string(path.size()) +
                                    " bytes; the system allows " +
                                    std::to_string(sizeof(address.sun_path) - 1));
  std::ranges::copy(path, address.sun_path);
  return address;
}

const sockaddr* Generic(const auto* address) {
  return reinterpret_cast<const sockaddr*>(address);
}

// Makes room for a new socket file, or says who is in the way.
Status ClearPath(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return Ok();
    return Fail(Code::kDenied, "cannot look at socket path '" + path + "': " + ErrnoText());
  }
  if (!S_ISSOCK(info.st_mode))
    return Fail(Code::kConflict, "'" + path + "' exists and is not a socket: move it away");
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return Fail(Code::kInternal, "cannot make a socket: " + ErrnoText());
  // Only a refused connection proves that nobody listens; EAGAIN means a full queue.
  if (connect(probe.get(), Generic(&address), sizeof(address)) == 0 || errno == EAGAIN)
    return Fail(Code::kConflict, "another server is listening on '" + path + "': stop it first");
  if (errno != ECONNREFUSED)
    return Fail(Code::kDenied, "cannot probe socket '" + path + "': " + ErrnoText());
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return Fail(Code::kDenied, "cannot remove the stale socket '" + path + "': " + ErrnoText());
  return Ok();
}

}  // namespace

Result<UnixListener> UnixListener::Bind(const std::string& path) {
  SPW_ASSIGN(const sockaddr_un address, UnixAddress(path));
  SPW_TRY(ClearPath(path, address));
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Fail(Code::kInternal, "cannot make a socket: " + ErrnoText());
  if (bind(fd.get(), Generic(&address), sizeof(address)) != 0) {
    const Code code = errno == EADDRINUSE ? Code::kConflict : Code::kDenied;
    return Fail(code, "cannot create socket '" + path + "': " + ErrnoText());
  }
  UnixListener listener;
  listener.fd_ = std::move(fd);
  listener.path_ = path;
  struct stat info{};
  if (lstat(path.c_str(), &info) == 0) {
    listener.device_ = info.st_dev;
    listener.inode_ = info.st_ino;
  }
  // Nobody can connect before listen(), so there is no moment with wider permissions.
  if (chmod(path.c_str(), 0600) != 0 || listen(listener.fd(), kBacklog) != 0)
    return Fail(Code::kInternal, "cannot listen on '" + path + "': " + ErrnoText());
  return listener;
}

UnixListener::UnixListener(UnixListener&& other) noexcept {
  *this = std::move(other);
}

UnixListener& UnixListener::operator=(UnixListener&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

UnixListener::~UnixListener() {
  if (!fd_.valid()) return;
  struct stat info{};
  if (lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_)
    unlink(path_.c_str());
}

Result<Fd> ConnectUnix(const std::string& path) {
  SPW_ASSIGN(const sockaddr_un address, UnixAddress(path));
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Fail(Code::kInternal, "cannot make a socket: " + ErrnoText());
  if (connect(fd.get(), Generic(&address), sizeof(address)) == 0) return fd;
  return Fail(errno == EACCES || errno == EPERM ? Code::kDenied : Code::kUnavailable,
              "cannot connect to '" + path + "': " + ErrnoText());
}

Result<Fd> ListenLoopback(const std::string& host, int* port) {
  if (host != "127.0.0.1" && host != "::1" && host != "localhost")
    return Fail(Code::kInvalid, "listen host '" + host +
                                    "' is not loopback; use 127.0.0.1 and put a proxy with TLS "
                                    "before it to serve other machines");
  return ListenAddress(host == "localhost" ? "127.0.0.1" : host, port);
}

Result<Fd> ListenAddress(const std::string& address, int* port) {
  if (*port < 0 || *port > 65535)
    return Fail(Code::kInvalid, "listen port " + std::to_string(*port) + " is not in 0..65535");
  sockaddr_storage storage{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  const bool is_v4 = inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1;
  if (!is_v4 && inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) != 1)
    return Fail(Code::kInvalid,
                "listen address '" + address + "' is not an IPv4 or IPv6 address, like 0.0.0.0");
  storage.ss_family = is_v4 ? AF_INET : AF_INET6;
  (is_v4 ? v4->sin_port : v6->sin6_port) = htons(static_cast<std::uint16_t>(*port));
  socklen_t size = is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  Fd fd(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Fail(Code::kInternal, "cannot make a socket: " + ErrnoText());
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), Generic(&storage), size) != 0 || listen(fd.get(), kBacklog) != 0) {
    const Code code = errno == EADDRINUSE ? Code::kConflict : Code::kDenied;
    return Fail(code,
                "cannot listen on " + address + ":" + std::to_string(*port) + ": " + ErrnoText());
  }
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &size) == 0)
    *port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
  return fd;
}

Status SendAll(int fd, std::span<const std::string_view> parts, const Clock& clock,
               Duration deadline) {
  std::vector<iovec> left;
  for (const std::string_view part : parts)
    if (!part.empty()) left.push_back({const_cast<char*>(part.data()), part.size()});
  std::size_t first = 0;
  while (first < left.size()) {
    msghdr message{};
    message.msg_iov = &left[first];
    message.msg_iovlen = left.size() - first;
    const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
      return Fail(Code::kUnavailable, "the peer is gone: " + ErrnoText());
    if (sent < 0) {
      const Duration wait = deadline - clock.SteadyNow();
      if (wait <= 0ms) return Fail(Code::kUnavailable, "the peer reads too slowly");
      pollfd entry{fd, POLLOUT, 0};
      poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(wait.count(), 60'000)));
      continue;
    }
    for (auto taken = static_cast<std::size_t>(sent); taken > 0;) {
      const std::size_t step = std::min(taken, left[first].iov_len);
      left[first].iov_base = static_cast<char*>(left[first].iov_base) + step;
      left[first].iov_len -= step;
      taken -= step;
      if (left[first].iov_len == 0) ++first;
    }
  }
  return Ok();
}

}  // namespace spillway::net
