// A way between two programs that a test may cut, freeze or tamper with.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/time.h"

namespace spillway::integration {

// Listens on a loopback port and passes every connection on to another. Thread-safe.
class CutRelay {
 public:
  explicit CutRelay(int target_port);
  ~CutRelay();

  int port() const { return port_; }
  enum class Way {
    kOpen,
    kClosed,  // connections break, and new ones break at once
    kFrozen,  // nothing arrives any more, and nobody is told
  };
  void Set(Way way);
  // From now on one bit is flipped in every so many bytes that go down to the client; 0: none.
  void FlipEvery(std::int64_t bytes) { flip_every_ = bytes; }
  // From now on so many bytes go down in a second, over all connections; 0: as many as come.
  void Throttle(std::int64_t bytes_per_s) { bytes_per_s_ = bytes_per_s; }

  std::int64_t bytes_down() const { return bytes_down_; }
  std::int64_t flipped() const { return flipped_; }
  // What the first client has sent so far.
  std::string FirstSaid() const;
  // Waits until so many connections have come, or so many bytes have gone down; false after a
  // minute.
  bool WaitForConnections(int count);
  bool WaitForBytesDown(std::int64_t bytes);

 private:
  struct Link;
  void Accept();
  void Carry(Link& link);
  bool Pass(int from, int to, bool down, bool first);
  void WaitForTurn(std::int64_t bytes);

  const int target_port_;
  int port_ = 0;
  Fd listener_;
  std::atomic<bool> over_ = false;
  std::atomic<Way> way_ = Way::kOpen;
  std::atomic<std::int64_t> bytes_down_ = 0, flip_every_ = 0, flipped_ = 0, bytes_per_s_ = 0;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  int connections_ = 0;
  std::string first_said_;
  std::chrono::steady_clock::time_point line_free_at_;
  std::list<Link> links_;
  std::thread acceptor_;
};

}  // namespace spillway::integration
