// Executor: a bounded pool that carries out commands, in order per subject.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "control/conductor.h"

namespace spillway::daemon {

// Thread-safe. Commands of one subject (a BurstNode or an orphan) run one after the other; a
// command that equals one still waiting is dropped, so the queue is bounded by the number of needs.
class Executor final : public control::CommandSink {
 public:
  // `run` is called from pool threads and must not throw.
  Executor(int threads, std::function<void(const control::Command&)> run);
  ~Executor() override;  // runs nothing more that has not begun, waits for what runs

  void Send(const control::Command& command) override;
  void Stop();
  std::size_t Waiting() const;

 private:
  struct Queued {
    std::string text;
    control::Command command;
  };
  void Work();

  std::function<void(const control::Command&)> run_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::deque<Queued>> queues_;  // by subject
  std::set<std::string> busy_;                        // subjects with a command running
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace spillway::daemon
