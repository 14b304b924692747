// A small process that holds what must outlive the agent's: descriptors of mounts, and the secrets
// with which the next agent proves itself. In memory only.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "base/fd.h"
#include "base/time.h"

namespace spillway::node {

struct KeptItem {
  ByteBuffer bytes;     // at most Kept::kMostBytes
  std::vector<Fd> fds;  // at most Kept::kMostFds
};
using KeptItems = std::map<std::string, KeptItem, std::less<>>;

// The agent's end. Thread-safe.
class Kept {
 public:
  static constexpr std::size_t kMostBytes = 60'000, kMostFds = 2, kMostItems = 1024;

  Kept(Fd socket, KeptItems left) : socket_(std::move(socket)), left_(std::move(left)) {}

  // What the agent before put and did not drop. Moves it out.
  KeptItems& left() { return left_; }
  // Replaces an item. It is kept once this returns, however this process ends.
  void Put(std::string_view name, ByteView bytes, const std::vector<int>& fds = {});
  void Drop(std::string_view name);
  // Zeroises everything. An agent that dies after this is not followed by another.
  void DropAll();

 private:
  void Send(char what, std::string_view name, ByteView bytes, const std::vector<int>& fds);

  std::mutex mutex_;
  const Fd socket_;
  KeptItems left_;
};

struct KeeperOptions {
  int most_restarts = 5;  // within `window`
  Duration window = 10min;
};

// Runs `agent` in a child process and waits for its end; what it returns is the result. If it is
// killed while items are kept, it runs again in a new child, which finds them. Too many times, or
// without items: `give_up` runs here and 1 is the result. SIGTERM, SIGINT and SIGHUP are handed on
// to the child, and the end of this process is a SIGTERM for it. Called before any thread.
int RunKept(const std::function<int(Kept&)>& agent, const std::function<void()>& give_up,
            KeeperOptions options = {});

}  // namespace spillway::node
