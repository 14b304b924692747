#include "node/log_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace spillway::node {

void LogBuffer::NoteDropped() {
  if (dropped_bytes_ == 0) return;
  text_ +=
      fmt::format("[{} bytes of this log were dropped: the site could not take them in time]\n",
                  dropped_bytes_);
  dropped_bytes_ = 0;
}

void LogBuffer::AppendLine(std::string_view line) {
  if (text_.size() + line.size() + 1 > limit_bytes_) {
    dropped_bytes_ += static_cast<std::int64_t>(line.size()) + 1;
    if (text_.empty()) NoteDropped();
    return;
  }
  NoteDropped();
  text_.append(line).push_back('\n');
}

std::string_view LogBuffer::Unsent(std::size_t most) const {
  return std::string_view(text_).substr(0, most);
}

void LogBuffer::Sent(std::size_t bytes) {
  text_.erase(0, bytes);
  offset_ += static_cast<std::int64_t>(bytes);
  if (text_.empty()) NoteDropped();
}

LogSender::LogSender(DoorAccess& access, std::size_t limit_bytes, Duration retry_first,
                     Duration retry_most, std::function<void()> on_drained)
    : access_(access),
      limit_bytes_(limit_bytes),
      retry_first_(retry_first),
      retry_most_(retry_most),
      on_drained_(std::move(on_drained)) {
  thread_ = std::thread([this] { Run(); });
}

LogSender::~LogSender() {
  Stop();
  thread_.join();
}

void LogSender::Stop() {
  stopper_.Stop();
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void LogSender::AppendLine(const std::string& pod, const std::string& uid, std::string_view line) {
  const std::lock_guard lock(mutex_);
  logs_.try_emplace(uid, Log{pod, LogBuffer(limit_bytes_)}).first->second.buffer.AppendLine(line);
  changed_.notify_all();
}

bool LogSender::Drained(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto it = logs_.find(uid);
  return it == logs_.end() || it->second.buffer.empty();
}

bool LogSender::AllDrained() const {
  const std::lock_guard lock(mutex_);
  return std::all_of(logs_.begin(), logs_.end(),
                     [](const auto& entry) { return entry.second.buffer.empty(); });
}

void LogSender::Forget(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  logs_.erase(uid);
}

void LogSender::Run() {
  DoorClient client(access_);
  Backoff backoff(retry_first_, retry_most_);
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] {
        return stopper_.Stopped() || std::any_of(logs_.begin(), logs_.end(), [](const auto& entry) {
                 return !entry.second.buffer.empty();
               });
      });
    }
    if (stopper_.Stopped()) return;
    if (SendRound(client)) {
      backoff.Reset();
    } else if (!backoff.Wait(stopper_)) {
      return;
    }
  }
}

bool LogSender::SendRound(DoorClient& client) {
  struct Piece {
    std::string pod, uid, bytes;
    std::int64_t offset;
  };
  std::vector<Piece> pieces;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, log] : logs_)
      if (!log.buffer.empty())
        pieces.push_back(
            {log.pod, uid, std::string(log.buffer.Unsent(kPieceBytes)), log.buffer.offset()});
  }
  bool all = true;
  for (const Piece& piece : pieces) {
    if (stopper_.Stopped()) return false;
    const Status sent = client.PostLog(piece.pod, piece.uid, piece.offset, piece.bytes);
    if (!sent && !IsDefinite(sent.error())) {
      all = false;
      continue;
    }
    if (!sent) log::Warn("the site refuses a pod's log", {{"pod", piece.pod}});
    bool drained = false;
    {
      const std::lock_guard lock(mutex_);
      const auto it = logs_.find(piece.uid);
      if (it == logs_.end()) continue;
      it->second.buffer.Sent(piece.bytes.size());
      drained = it->second.buffer.empty();
    }
    if (drained) on_drained_();
  }
  return all;
}

}  // namespace spillway::node
