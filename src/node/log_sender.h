// Pod logs: kept in memory, sent to the site with offsets, never written to the disk.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "node/door_client.h"
#include "node/stopper.h"

namespace spillway::node {

// The unsent end of one pod's log. When it is full, new lines are dropped and a line says how many
// bytes, so that what was sent before keeps its offsets. Not thread-safe: LogSender locks.
class LogBuffer {
 public:
  explicit LogBuffer(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  void AppendLine(std::string_view line);
  // Up to `most` unsent bytes and their offset in the whole log.
  std::string_view Unsent(std::size_t most) const;
  std::int64_t offset() const { return offset_; }
  void Sent(std::size_t bytes);
  bool empty() const { return text_.empty() && dropped_bytes_ == 0; }

 private:
  void NoteDropped();

  const std::size_t limit_bytes_;
  std::string text_;
  std::int64_t offset_ = 0;  // of text_ in the whole log
  std::int64_t dropped_bytes_ = 0;
};

// One thread sends the logs of all pods, in turn. Thread-safe.
class LogSender {
 public:
  static constexpr std::size_t kPieceBytes = 256 << 10;

  // `on_drained` is called when a pod's log has been sent as far as it goes.
  LogSender(DoorAccess& access, std::size_t limit_bytes, Duration retry_first, Duration retry_most,
            std::function<void()> on_drained);
  ~LogSender();
  void Stop();

  void AppendLine(const std::string& pod, const std::string& uid, std::string_view line);
  // Everything this pod wrote is at the site, or was refused there for good.
  bool Drained(const std::string& uid) const;
  bool AllDrained() const;
  // Drops what is unsent and the pod's place.
  void Forget(const std::string& uid);

 private:
  struct Log {
    std::string pod;
    LogBuffer buffer;
  };
  void Run();
  // Sends one piece of every log that has one; false if any could not be sent.
  bool SendRound(DoorClient& client);

  DoorAccess& access_;
  const std::size_t limit_bytes_;
  const Duration retry_first_, retry_most_;
  const std::function<void()> on_drained_;
  Stopper stopper_;
  mutable std::mutex mutex_;  // guards logs_
  std::condition_variable changed_;
  std::map<std::string, Log> logs_;  // by uid
  std::thread thread_;               // last: it uses everything above
};

}  // namespace spillway::node
