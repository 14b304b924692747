#include "net/outgoing.h"

#include <algorithm>

#include "base/log.h"

namespace spillway::net {

Outgoing::Outgoing(std::string head, Response response, bool keep_alive, bool head_only,
                   Duration deadline)
    : response_(std::move(response)),
      keep_alive_(keep_alive),
      piece_(std::move(head)),
      body_bytes_(head_only ? 0 : BodyBytes(response_)),
      deadline_(deadline) {
  // A small answer is one packet.
  if (response_.source || body_bytes_ > static_cast<std::int64_t>(kPieceBytes)) return;
  piece_.append(response_.body, 0, static_cast<std::size_t>(body_bytes_));
  taken_bytes_ = body_bytes_;
}

Outgoing::State Outgoing::Fill(Duration now) {
  piece_sent_ = 0;
  const auto size =
      static_cast<std::size_t>(std::min<std::int64_t>(kPieceBytes, body_bytes_ - taken_bytes_));
  if (!response_.source) {
    piece_.assign(response_.body, static_cast<std::size_t>(taken_bytes_), size);
    taken_bytes_ += static_cast<std::int64_t>(size);
    return State::kTurnOver;
  }
  piece_.resize(size);
  const Result<BodySource::Piece> read = response_.source->Read(taken_bytes_, piece_);
  piece_.resize(read ? std::min(read->bytes, size) : 0);
  if (!read) {
    log::Error("a response is cut", {{"reason", read.error().message}});
    return State::kFailed;
  }
  taken_bytes_ += static_cast<std::int64_t>(piece_.size());
  if (!piece_.empty()) return State::kTurnOver;
  const Duration wait = std::max(read->wait, 1ms);
  resume_at_ = now + wait;
  deadline_ += wait;
  return State::kPaused;
}

Outgoing::State Outgoing::Continue(Channel& channel, Duration now) {
  std::int64_t sent_bytes = 0;
  while (true) {
    if (piece_sent_ == piece_.size()) {
      if (taken_bytes_ == body_bytes_) return State::kSent;
      if (sent_bytes >= kTurnBytes) return State::kTurnOver;
      if (const State filled = Fill(now); filled != State::kTurnOver) return filled;
    }
    const Channel::Moved moved = channel.Send(std::string_view(piece_).substr(piece_sent_));
    if (moved.io == Channel::Io::kWantRead) return State::kWantRead;
    if (moved.io == Channel::Io::kWantWrite) return State::kWantWrite;
    if (moved.io == Channel::Io::kClosed) return State::kFailed;
    piece_sent_ += moved.bytes;
    sent_bytes += static_cast<std::int64_t>(moved.bytes);
  }
}

}  // namespace spillway::net
