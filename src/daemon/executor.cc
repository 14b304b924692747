#include "daemon/executor.h"

#include <algorithm>

namespace spillway::daemon {

Executor::Executor(int threads, std::function<void(const control::Command&)> run)
    : run_(std::move(run)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Executor::~Executor() {
  Stop();
}

void Executor::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

namespace {

// Sealing may take minutes and ends by itself when its key is destroyed, so it does not stand in
// the way of what else its node needs.
std::string QueueOf(const control::Command& command) {
  const std::string& subject = control::Subject(command);
  return std::holds_alternative<control::PrepareRun>(command) ? subject + "/prepare" : subject;
}

}  // namespace

void Executor::Send(const control::Command& command) {
  {
    const std::lock_guard lock(mutex_);
    std::deque<Queued>& queue = queues_[QueueOf(command)];
    std::string text = control::Describe(command);
    const bool waiting =
        std::any_of(queue.begin(), queue.end(), [&](const Queued& q) { return q.text == text; });
    if (waiting || stopping_) return;
    queue.push_back({std::move(text), command});
  }
  wake_.notify_one();
}

std::size_t Executor::Waiting() const {
  const std::lock_guard lock(mutex_);
  std::size_t waiting = busy_.size();
  for (const auto& [subject, queue] : queues_) waiting += queue.size();
  return waiting;
}

void Executor::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    auto ready = queues_.end();
    wake_.wait(lock, [&] {
      ready = std::find_if(queues_.begin(), queues_.end(),
                           [&](const auto& q) { return !busy_.contains(q.first); });
      return stopping_ || ready != queues_.end();
    });
    if (stopping_) return;
    const std::string subject = ready->first;
    const control::Command command = std::move(ready->second.front().command);
    ready->second.pop_front();
    if (ready->second.empty()) queues_.erase(ready);
    busy_.insert(subject);
    lock.unlock();
    run_(command);
    lock.lock();
    busy_.erase(subject);
    wake_.notify_one();
  }
}

}  // namespace spillway::daemon
