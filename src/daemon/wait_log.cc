#include "daemon/wait_log.h"

namespace spillway::daemon {

bool WaitLog::Say(const std::string& what, Duration now) {
  const std::lock_guard lock(mutex_);
  // Whatever still waits is asked more often (control::kRepeatAtMost).
  std::erase_if(waiting_, [&](const auto& entry) { return now - entry.second.seen > kForget; });
  if (waiting_.size() >= kMost && !waiting_.contains(what)) waiting_.clear();
  const auto [it, begins] = waiting_.try_emplace(what, Waiting{now, now});
  it->second.seen = now;
  if (!begins && now - it->second.said < kEvery) return false;
  it->second.said = now;
  return true;
}

void WaitLog::Ended(const std::string& what) {
  const std::lock_guard lock(mutex_);
  waiting_.erase(what);
}

}  // namespace spillway::daemon
