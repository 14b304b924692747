// A queue of names and one thread that does something slow for each.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace spillway::gateway {

// Thread-safe. A name that waits or is being worked on is not taken again, so the queue is bounded
// by the number of names.
class Announcer {
 public:
  // `work` is called from the thread, one name at a time, and must not throw.
  explicit Announcer(std::function<void(const std::string&)> work);
  ~Announcer();  // stops

  void Request(const std::string& name);
  // Begins nothing more and waits for what runs.
  void Stop();

 private:
  void Run();

  const std::function<void(const std::string&)> work_;
  std::mutex mutex_;  // guards the four below
  std::condition_variable changed_;
  std::deque<std::string> queue_;
  std::set<std::string> known_;  // waiting or being worked on
  bool stopping_ = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace spillway::gateway
