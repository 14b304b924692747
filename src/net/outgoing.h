// A response on its way, for http_server.cc: as much as the socket takes, then later the rest.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "net/channel.h"
#include "net/http_message.h"

namespace spillway::net {

// Not thread-safe. Holds at most kPieceBytes of a body that is read while it is sent.
class Outgoing {
 public:
  static constexpr std::size_t kPieceBytes = 64 << 10;
  // After so much at once others get their turn.
  static constexpr std::int64_t kTurnBytes = 1 << 20;

  // `deadline` on the steady clock: not sent by then, it is given up.
  Outgoing(std::string head, Response response, bool keep_alive, bool head_only, Duration deadline);

  enum class State {
    kSent,
    kTurnOver,   // go on at once
    kWantRead,   // go on when the socket is readable
    kWantWrite,  // go on when it is writable
    kPaused,     // go on at resume_at()
    kFailed,     // the connection is of no use any more
  };
  State Continue(Channel& channel, Duration now);

  bool keep_alive() const { return keep_alive_; }
  Duration deadline() const { return deadline_; }
  Duration resume_at() const { return resume_at_; }

 private:
  // What is to be sent next; empty: nothing is left, or a pause.
  State Fill(Duration now);

  Response response_;
  const bool keep_alive_;
  std::string piece_;  // head, then pieces of the body
  std::size_t piece_sent_ = 0;
  std::int64_t taken_bytes_ = 0;  // of the body
  std::int64_t body_bytes_ = 0;
  Duration deadline_, resume_at_{0};
};

}  // namespace spillway::net
