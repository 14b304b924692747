// Which requests of the kernel are begun and not answered, kept where the next server finds them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/encoding.h"
#include "base/fd.h"
#include "base/result.h"

namespace spillway::fuse {

// A mapping of the memory of a Connection:
//
//   page 0          magic, and the kernel's INIT request, which comes once in the life of a mount
//   page 1 and on   kParked parked reads: the request as it came
//   then            a buffer for each thread: what it received last, all zero once answered
//
// The kernel writes a request straight into a thread's buffer, so there is no moment at which a
// request has left the kernel and is not here. A request that was answered just before the end is
// answered again, which the kernel ignores. Each buffer belongs to one thread, a parked place to
// who holds its number; nothing here locks.
class Requests {
 public:
  static constexpr std::size_t kThreads = 4;
  static constexpr std::size_t kParked = 256;
  // Header and body of a READ request (linux/fuse.h); no longer one is parked.
  static constexpr std::size_t kParkedBytes = 80;
  // What libfuse reads at most: 1 MiB and a page for headers.
  static constexpr std::size_t kBufferBytes = (1 << 20) + 4096;

  static Result<Fd> NewMemory();
  // kInvalid if it is not such a memory.
  static Result<Requests> Open(const Fd& memory);
  ~Requests();
  Requests(Requests&& other) noexcept;
  Requests& operator=(Requests&&) = delete;

  // Empty before the first server.
  ByteView init() const;
  void KeepInit(ByteView request);

  // kBufferBytes; a page more is mapped behind it.
  std::span<std::uint8_t> buffer(std::size_t thread) const;
  void ClearBuffer(std::size_t thread) const;
  void Park(std::size_t place, ByteView request) const;
  void Unpark(std::size_t place) const;

  // Copies of all requests that were begun and not answered; forgets them.
  std::vector<ByteBuffer> TakeUnanswered() const;

 private:
  explicit Requests(std::uint8_t* base) : base_(base) {}
  std::uint8_t* parked(std::size_t place) const;

  std::uint8_t* base_ = nullptr;
};

}  // namespace spillway::fuse
