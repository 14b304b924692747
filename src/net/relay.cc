#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/socket.h"

namespace spillway::net {
namespace {

// A pipe that polls writable takes so many bytes without blocking: PIPE_BUF.
constexpr std::size_t kPiece = 4096;

// One of the two directions.
struct Way {
  int from = -1, to = -1;
  bool open = true;
  std::array<char, 16 * kPiece> bytes;
  std::size_t begin = 0, end = 0;

  bool Empty() const { return begin == end; }
  bool Wants() const { return open && Empty(); }

  // After POLLIN or a hang-up of `from`.
  void Take() {
    const ssize_t got = ::read(from, bytes.data(), bytes.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) open = false;
    begin = 0;
    end = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  // After POLLOUT of `to`; false if nobody reads it any more.
  bool Give() {
    const std::size_t size = std::min(end - begin, kPiece);
    ssize_t sent = ::send(to, bytes.data() + begin, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == ENOTSOCK) sent = ::write(to, bytes.data() + begin, size);
    if (sent < 0) return errno == EINTR || errno == EAGAIN;
    begin += static_cast<std::size_t>(sent);
    return true;
  }
};

}  // namespace

Status Relay(int in, int out, int socket) {
  Way up{in, socket, true, {}}, down{socket, out, true, {}};
  bool ended_up = false;
  while (down.open || !down.Empty()) {
    if (!up.open && up.Empty() && !ended_up) {
      ended_up = true;
      ::shutdown(socket, SHUT_WR);
    }
    // Without events, `out` still tells when its reader has gone.
    std::array<pollfd, 3> entries{pollfd{up.Wants() ? in : -1, POLLIN, 0}, pollfd{socket, 0, 0},
                                  pollfd{out, static_cast<short>(down.Empty() ? 0 : POLLOUT), 0}};
    if (!up.Empty()) entries[1].events |= POLLOUT;
    if (down.Wants()) entries[1].events |= POLLIN;
    if (entries[1].events == 0) entries[1].fd = -1;
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR)
      return Fail(Code::kInternal, "poll failed");
    if (entries[2].revents & (POLLERR | POLLHUP | POLLNVAL))
      return Fail(Code::kUnavailable, "the other side is gone");
    if (entries[0].revents != 0) up.Take();
    const bool broken = (entries[1].revents & (POLLERR | POLLHUP)) != 0;
    if (down.Wants() && (broken || (entries[1].revents & POLLIN))) down.Take();
    if (!up.Empty() && (broken || ((entries[1].revents & POLLOUT) && !up.Give()))) {
      up.open = false;  // the server wants no more; what it has to say still comes
      up.begin = up.end;
    }
    if ((entries[2].revents & POLLOUT) && !down.Give())
      return Fail(Code::kUnavailable, "the other side is gone");
  }
  return Ok();
}

}  // namespace spillway::net
