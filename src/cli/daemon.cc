#include "cli/daemon.h"

#include <algorithm>

namespace spillway::cli {
namespace {

constexpr Duration kShortPause = 1s, kLongPause = 30s;

}  // namespace

Watcher::Watcher(net::Endpoint daemon)
    : daemon_(std::move(daemon)), thread_([this] { Follow(); }) {}

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
  client::Client client(daemon_);
  std::optional<std::int64_t> last;
  Duration pause = kShortPause;
  while (!stop_) {
    const auto ended = client.Watch(
        [&](std::int64_t revision) {
          last = revision;
          pause = kShortPause;
          const std::lock_guard lock(mutex_);
          news_ = true;
          changed_.notify_all();
          return !stop_;
        },
        last, &stop_);
    if (ended) continue;
    // Broken: callers look by themselves when their patience ends, so there is no hurry, least of
    // all where a connection is a kubectl.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, pause, [&] { return stop_.load(); });
    pause = std::min(pause * 2, kLongPause);
  }
}

}  // namespace spillway::cli
