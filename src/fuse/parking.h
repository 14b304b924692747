// Reads whose bytes are not here yet: they wait here, and the threads that answer do not.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/time.h"
#include "fuse/content.h"
#include "fuse/requests.h"

struct fuse_req;

namespace spillway::fuse {

// One thread of its own repeats the parked reads when something came. Thread-safe.
class Parking {
 public:
  // A read waits at most `patience` (real time). References outlive the object.
  Parking(const Requests& requests, Content& content, Duration patience);
  ~Parking();

  struct Read {
    fuse_req* request = nullptr;
    std::uint32_t file = 0;
    std::int64_t offset = 0;
    std::size_t size = 0;
  };
  // `bytes`: the request as the kernel sent it. Blocks while all places are taken. After Stop() the
  // request is dropped without an answer; the next server finds it.
  void Add(const Read& read, ByteView bytes);
  // Repeats every read.
  void Wake();
  // Ends the thread; what is parked stays in the memory of the mount.
  void Stop();

 private:
  struct Parked {
    Read read;
    std::size_t place = 0;
    std::chrono::steady_clock::time_point until;
  };
  void Run();
  // Whether it was answered.
  bool Try(Reader& reader, const Parked& parked);

  const Requests& requests_;
  Content& content_;
  const Duration patience_;
  std::mutex mutex_;  // guards everything below but the thread
  std::condition_variable changed_;
  std::list<Parked> parked_;
  std::vector<std::size_t> free_;
  bool woken_ = false, stopped_ = false;
  std::thread thread_;
};

}  // namespace spillway::fuse
