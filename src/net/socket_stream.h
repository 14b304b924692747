// The event stream over a connected socket, for http_server.cc.
#pragma once

#include <atomic>
#include <string_view>

#include "base/time.h"
#include "net/sse.h"

namespace spillway::net {

// Borrows everything it is given. The socket is non-blocking and its response head is sent.
class SocketStream final : public EventStream {
 public:
  SocketStream(int fd, const Clock& clock, Duration heartbeat, Duration send_timeout,
               const std::atomic<bool>& stopping);

  bool Send(std::string_view event, std::string_view data, std::string_view id) override;
  bool Closed() override;
  bool WaitClosed(Duration patience) override;

 private:
  bool Write(std::string_view text);
  void LookAtInput(short events);

  int fd_;
  const Clock& clock_;
  Duration heartbeat_, send_timeout_;
  const std::atomic<bool>& stopping_;
  Duration last_sent_;
  bool closed_ = false;
};

}  // namespace spillway::net
