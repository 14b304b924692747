// Server-sent events: the text format of
// https://html.spec.whatwg.org/multipage/server-sent-events.html
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::net {

struct SseEvent {
  std::string event = "message";
  std::string data;
  std::string id;  // the last id seen on the stream; send it as Last-Event-ID to resume
};

// One event as text. Data may have several lines; line breaks in `event` or `id` are dropped.
// Empty `event` means "message", empty `id` leaves the last one.
std::string FormatSseEvent(std::string_view event, std::string_view data, std::string_view id);

// Takes the stream in pieces of any size. Comments and `retry` are skipped. Not thread-safe.
class SseParser {
 public:
  explicit SseParser(std::size_t max_event_bytes = 1 << 20) : max_event_bytes_(max_event_bytes) {}

  // The events completed by this piece, in order. kInvalid once an event exceeds the limit.
  Result<std::vector<SseEvent>> Feed(std::string_view piece);

 private:
  void TakeLine(std::vector<SseEvent>* events);

  std::size_t max_event_bytes_;
  std::string line_;
  std::string event_, data_, last_id_;
  bool skip_line_feed_ = false;  // the previous piece ended between CR and LF
  bool first_line_ = true;       // may start with a byte order mark
};

// The server's side of one stream; handed to Response::stream. Used by one thread only. The
// function must call Closed(), WaitClosed() or Send() at least once a second: they notice the end
// of the client or the server and keep the connection alive.
class EventStream {
 public:
  virtual ~EventStream() = default;
  // False once the stream is over. Blocks at most the server's send timeout.
  virtual bool Send(std::string_view event, std::string_view data, std::string_view id) = 0;
  // True once client or server have ended the stream; sends a heartbeat comment when one is due.
  virtual bool Closed() = 0;
  // The same, but waits up to `patience` for the end.
  virtual bool WaitClosed(Duration patience) = 0;
};

}  // namespace spillway::net
