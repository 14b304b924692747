// Listening sockets and sending with a deadline.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"

namespace spillway::net {

using ::spillway::Fd;

// A listening Unix socket of mode 0600 that removes its file when it goes, unless another server
// has put its own there meanwhile.
class UnixListener {
 public:
  // Replaces the file a dead server left. kConflict if a server answers there or the path is not
  // a socket; kInvalid if the path is longer than the system allows (107 bytes).
  static Result<UnixListener> Bind(const std::string& path);

  UnixListener() = default;
  UnixListener(UnixListener&& other) noexcept;
  UnixListener& operator=(UnixListener&& other) noexcept;
  ~UnixListener();
  int fd() const { return fd_.get(); }
  bool valid() const { return fd_.valid(); }

 private:
  Fd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// A connection to the server behind a Unix socket. kUnavailable if nobody listens there, kDenied if
// we may not, kInvalid for a path that is too long.
Result<Fd> ConnectUnix(const std::string& path);

// Copies from `in` to the connected socket and from the socket to `out` until the socket's peer has
// ended (ok, everything is written) or nobody reads `out` any more (kUnavailable). The end of `in`
// ends our half of the connection only. Blocks; borrows all three.
Status Relay(int in, int out, int socket);

// Listens on loopback only: "127.0.0.1", "::1" or "localhost"; anything else is kInvalid. Port 0
// takes any free port; `*port` receives the one taken. kConflict if the port is in use.
Result<Fd> ListenLoopback(const std::string& host, int* port);
// The same on any IPv4 or IPv6 address of this machine: "0.0.0.0", "::", "192.0.2.7".
Result<Fd> ListenAddress(const std::string& address, int* port);

// Sends all parts to a non-blocking socket, or fails (kUnavailable) when the peer is gone or the
// clock's SteadyNow() reaches `deadline`. Never raises SIGPIPE.
Status SendAll(int fd, std::span<const std::string_view> parts, const Clock& clock,
               Duration deadline);

}  // namespace spillway::net
