#include "gateway/announcer.h"

namespace spillway::gateway {

Announcer::Announcer(std::function<void(const std::string&)> work)
    : work_(std::move(work)), thread_([this] { Run(); }) {}

Announcer::~Announcer() {
  Stop();
}

void Announcer::Request(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || !known_.insert(name).second) return;
  queue_.push_back(name);
  changed_.notify_one();
}

void Announcer::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Announcer::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const std::string name = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work_(name);
    lock.lock();
    known_.erase(name);
  }
}

}  // namespace spillway::gateway
