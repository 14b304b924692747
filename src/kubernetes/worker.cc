#include "kubernetes/worker.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "metrics/instruments.h"

namespace spillway::kubernetes {
namespace {

Duration SteadyNow() {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

bool WorthRepeating(Code code) {
  return code == Code::kUnavailable || code == Code::kThrottled || code == Code::kMaybeApplied ||
         code == Code::kConflict;
}

}  // namespace

Worker::Worker(std::function<bool()> may_act, std::size_t most, std::string queue)
    : may_act_(std::move(may_act)), most_(most), queue_(std::move(queue)) {
  metrics::OfProcess().writes_dropped.Add({queue_}, 0);
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Run(); });
}

Worker::~Worker() {
  Stop();
}

void Worker::Do(const std::string& key, Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    const auto it = entries_.find(key);
    if (it == entries_.end() && entries_.size() >= most_) {
      log::Error("too many writes wait; one is dropped", {{"key", key}});
      metrics::OfProcess().writes_dropped.Add({queue_});
      return;
    }
    Entry& entry = it == entries_.end() ? entries_[key] : it->second;
    entry.task = std::move(task);
    entry.due = Duration{0};
    entry.pause = kFirstPause;
  }
  changed_.notify_one();
}

bool Worker::Has(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(key);
}

bool Worker::Drain(Duration most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [&] { return entries_.empty(); });
}

void Worker::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

std::map<std::string, Worker::Entry>::iterator Worker::NextDue(Duration now, Duration& wait) {
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (it->second.running || !it->second.task) continue;
    if (it->second.due <= now) return it;
    wait = std::min(wait, it->second.due - now);
  }
  return entries_.end();
}

void Worker::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    Duration wait = kLongestPause;
    const auto it = NextDue(SteadyNow(), wait);
    if (it == entries_.end()) {
      changed_.wait_for(lock, wait);
      continue;
    }
    const std::string key = it->first;
    it->second.running = true;
    Task task = std::move(it->second.task);
    it->second.task = nullptr;
    lock.unlock();
    const Status done = may_act_() ? task() : Ok();
    lock.lock();
    Entry& entry = entries_.at(key);
    entry.running = false;
    const bool again = !done && WorthRepeating(done.error().code) && !stopping_;
    if (!done)
      log::Warn(
          again ? "a write failed and is repeated" : "a write failed",
          {{"key", key}, {"code", CodeName(done.error().code)}, {"error", done.error().message}});
    if (again && !entry.task) {
      entry.task = std::move(task);
      entry.due = SteadyNow() + entry.pause;
      entry.pause = std::min(entry.pause * 2, kLongestPause);
    }
    if (!entry.task) entries_.erase(key);
    changed_.notify_all();
  }
}

}  // namespace spillway::kubernetes
