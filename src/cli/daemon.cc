#include "cli/daemon.h"

namespace spillway::cli {

Watcher::Watcher(std::string socket) : socket_(std::move(socket)), thread_([this] { Follow(); }) {}

Watcher::~Watcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watcher::Wait(Duration patience) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patience, [&] { return news_; });
  news_ = false;
}

void Watcher::Follow() {
  client::Client client(net::Endpoint{socket_, "", ""});
  std::optional<std::int64_t> last;
  while (!stop_) {
    const auto ended = client.Watch(
        [&](std::int64_t revision) {
          last = revision;
          const std::lock_guard lock(mutex_);
          news_ = true;
          changed_.notify_all();
          return !stop_;
        },
        last, &stop_);
    if (ended) continue;
    // Broken: callers look by themselves when their patience ends, so there is no hurry.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 1s, [&] { return stop_.load(); });
  }
}

}  // namespace spillway::cli
