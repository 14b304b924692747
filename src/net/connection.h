// A connection of http_server.cc: who it is, where in its request or response, what it occupies.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/time.h"
#include "net/channel.h"
#include "net/http_codec.h"
#include "net/http_message.h"
#include "net/outgoing.h"

namespace spillway::net {

// Part of a shared total, given back on destruction.
class Share {
 public:
  Share() = default;
  Share(std::atomic<std::int64_t>* total, std::int64_t amount) : total_(total), amount_(amount) {
    *total_ += amount_;
  }
  Share(Share&& other) noexcept { *this = std::move(other); }
  Share& operator=(Share&& other) noexcept {
    std::swap(total_, other.total_);
    std::swap(amount_, other.amount_);
    return *this;
  }
  ~Share() {
    if (total_ != nullptr) *total_ -= amount_;
  }

 private:
  std::atomic<std::int64_t>* total_ = nullptr;
  std::int64_t amount_ = 0;
};

enum class Phase { kIdle, kReceiving, kSending, kPaused, kDraining };

// Owned by the receiving thread, except while a worker or a stream serves its request.
struct Connection {
  Channel channel;
  PeerKind peer = PeerKind::kUnix;
  std::int64_t peer_uid = -1;
  Share slot;  // of max_connections or of kRefusedConnections
  Share body;  // of buffered_body_bytes
  Phase phase = Phase::kIdle;
  short waits_for = POLLIN;
  Duration deadline{};  // kPaused: when it goes on
  std::string buffer;
  std::unique_ptr<RequestParser> parser;  // while receiving and serving
  std::unique_ptr<Outgoing> outgoing;     // while its response is being sent

  int fd() const { return channel.fd(); }
};
using ConnectionPtr = std::unique_ptr<Connection>;

}  // namespace spillway::net
