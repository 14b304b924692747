// What is told to wait its turn is asked again every few seconds: when that is worth a line in the
// log.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/time.h"

namespace spillway::daemon {

// Thread-safe.
class WaitLog {
 public:
  static constexpr Duration kEvery{std::chrono::minutes(1)};
  static constexpr Duration kForget{std::chrono::minutes(5)};  // what was not asked for so long
  static constexpr std::size_t kMost = 1000;  // things that wait; of more, all are forgotten

  // It waits: true when that begins, and again each minute while it lasts. `now` is steady time.
  bool Say(const std::string& what, Duration now);
  // It waits no more, so that the next time is a new beginning.
  void Ended(const std::string& what);

 private:
  struct Waiting {
    Duration said{0}, seen{0};
  };
  std::mutex mutex_;
  std::map<std::string, Waiting> waiting_;
};

}  // namespace spillway::daemon
