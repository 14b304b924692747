#include "net/socket_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/socket.h"

namespace spillway::net {

SocketStream::SocketStream(int fd, const Clock& clock, Duration heartbeat, Duration send_timeout,
                           const std::atomic<bool>& stopping)
    : fd_(fd),
      clock_(clock),
      heartbeat_(heartbeat),
      send_timeout_(send_timeout),
      stopping_(stopping),
      last_sent_(clock.SteadyNow()) {}

bool SocketStream::Send(std::string_view event, std::string_view data, std::string_view id) {
  return !Closed() && Write(FormatSseEvent(event, data, id));
}

bool SocketStream::Closed() {
  return WaitClosed(0ms);
}

bool SocketStream::WaitClosed(Duration patience) {
  const Duration until = clock_.SteadyNow() + patience;
  while (!closed_ && !stopping_) {
    const Duration now = clock_.SteadyNow();
    const Duration heartbeat_due = last_sent_ + heartbeat_;
    if (now >= heartbeat_due) {
      Write(":\n\n");
      continue;
    }
    pollfd entry{fd_, POLLIN | POLLRDHUP, 0};
    const Duration wait = std::max(Duration(0), std::min(until, heartbeat_due) - now);
    if (poll(&entry, 1, static_cast<int>(wait.count())) > 0) LookAtInput(entry.revents);
    if (!closed_ && !stopping_ && clock_.SteadyNow() >= until) return false;
  }
  return true;
}

bool SocketStream::Write(std::string_view text) {
  const std::array parts{text};
  last_sent_ = clock_.SteadyNow();
  if (!SendAll(fd_, parts, clock_, last_sent_ + send_timeout_)) closed_ = true;
  return !closed_;
}

// A client has nothing to say on a stream; a close is the only news that matters.
void SocketStream::LookAtInput(short events) {
  if (events & (POLLRDHUP | POLLHUP | POLLERR)) closed_ = true;
  std::array<char, 512> ignored;
  const ssize_t got = recv(fd_, ignored.data(), ignored.size(), MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) closed_ = true;
}

}  // namespace spillway::net
