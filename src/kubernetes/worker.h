// Worker: writes that nobody waits for. A round must not stand still because an API server is slow;
// what it wants written is handed over here, and repeated until it is done.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace spillway::kubernetes {

class Worker {
 public:
  static constexpr Duration kFirstPause{200}, kLongestPause{std::chrono::seconds(30)};
  static constexpr int kThreads = 4;

  using Task = std::function<Status()>;

  // Tasks run only while `may_act` says so; otherwise they are dropped, because whoever acts now
  // knows better. At most `most` keys wait. `queue` names it in the metrics.
  Worker(std::function<bool()> may_act, std::size_t most, std::string queue);
  ~Worker();  // ends what runs, drops what waits

  // Runs `task` soon. A waiting task of the same key is replaced: only the newest matters. Tasks of
  // one key never run at the same time. One that fails with kUnavailable, kThrottled, kMaybeApplied
  // or kConflict is repeated after a pause that grows; any other failure is logged and final. When
  // `most` wait, new keys are dropped and logged. Thread-safe.
  void Do(const std::string& key, Task task);
  bool Has(const std::string& key) const;  // waiting or running
  // Waits until nothing waits or runs; false after `most`. For an orderly end.
  bool Drain(Duration most);
  void Stop();

 private:
  struct Entry {
    Task task;          // empty while it runs and nothing newer waits
    Duration due{0};    // steady
    Duration pause{0};  // after the next failure
    bool running = false;
  };
  void Run();
  std::map<std::string, Entry>::iterator NextDue(Duration now, Duration& wait);

  const std::function<bool()> may_act_;
  const std::size_t most_;
  const std::string queue_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace spillway::kubernetes
