// A simulated long link between two network namespaces, for kernels without netem: a TUN device at
// each end, and in between, in user space, a rate, a delay and a queue that drops what does not
// fit. TCP at both ends is the kernel's own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"

namespace spillway::bench {

struct LinkOptions {
  std::int64_t bits_per_s = 1'000'000'000;
  Duration round_trip = 40ms;
  Duration queue = 40ms;  // of the rate; more is dropped
};

// Opens the TUN device "wan0" of the calling thread's network namespace. kDenied without rights.
Result<Fd> OpenLinkEnd();

// What one segment of `payload` bytes takes on the link: Ethernet's frame, preamble and gap, IP and
// TCP with time stamps. For full segments (1448 bytes) it is 1538.
inline constexpr std::int64_t kSegmentPayload = 1448, kSegmentOverhead = 90;

// Carries packets both ways, on threads of its own, until it goes.
class LongLink {
 public:
  LongLink(Fd a, Fd b, LinkOptions options);
  ~LongLink();

  std::int64_t dropped() const;
  // Both ways become silent, as when a cable is pulled, or go on. Packets meanwhile are lost.
  void Cut(bool cut);

 private:
  struct Way;
  const Fd a_, b_;
  const std::unique_ptr<Way> there_, back_;  // last: they use the ends
};

}  // namespace spillway::bench
