// dial-stdio: the pod's end of a connection through kubectl exec.
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "cli/commands.h"
#include "client/kubectl_dialer.h"
#include "net/socket.h"

namespace spillway::cli {
namespace {

::spillway::Status WriteGreeting(int fd) {
  std::string_view left = client::kDialGreeting;
  while (!left.empty()) {
    const ssize_t sent = ::write(fd, left.data(), left.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return Fail(Code::kUnavailable, "nobody reads standard output");
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
  return Ok();
}

}  // namespace

int DialStdio(const Arguments& a, Io& io) {
  const auto socket = net::ConnectUnix(a.daemon.unix_path);
  if (!socket) {
    Error error = socket.error();
    error.message += "; is spillwayd running here, and does this replica lead?";
    return Report(io, error);
  }
  ::spillway::Status carried = WriteGreeting(io.out_descriptor);
  if (carried) carried = net::Relay(io.in_descriptor, io.out_descriptor, socket->get());
  return carried ? 0 : Report(io, carried.error());
}

}  // namespace spillway::cli
