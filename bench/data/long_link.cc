#include "long_link.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace spillway::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;

// struct virtio_net_hdr of the kernel, whose own header is not C++.
struct PacketHeader {
  std::uint8_t flags, gso_type;
  std::uint16_t header_bytes, gso_size, checksum_start, checksum_offset;
};
constexpr std::uint8_t kNoGso = 0;

// A packet with the header of the device; segments stay merged (TSO) on the way through.
constexpr std::size_t kMaxPacket = (64 << 10) + sizeof(PacketHeader);
constexpr std::size_t kMaxWaiting = 1 << 16;
constexpr std::int64_t kIpAndTcp = 52, kFraming = 38;
constexpr int kLookMs = 100;

std::int64_t BytesOnTheLink(const char* packet, std::size_t size) {
  PacketHeader header;
  std::memcpy(&header, packet, sizeof(header));
  const auto body = static_cast<std::int64_t>(size - sizeof(header));
  std::int64_t segments = 1;
  if (header.gso_type != kNoGso && header.gso_size > 0)
    segments = (body - kIpAndTcp + header.gso_size - 1) / header.gso_size;
  return body + (segments - 1) * kIpAndTcp + segments * kFraming;
}

}  // namespace

Result<Fd> OpenLinkEnd() {
  Fd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  std::strncpy(request.ifr_name, "wan0", IFNAMSIZ - 1);
  int header_bytes = sizeof(PacketHeader);
  if (!fd.valid() || ::ioctl(fd.get(), TUNSETIFF, &request) != 0 ||
      ::ioctl(fd.get(), TUNSETVNETHDRSZ, &header_bytes) != 0 ||
      ::ioctl(fd.get(), TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) != 0)
    return Fail(Code::kDenied, std::string("no TUN device here: ") + std::strerror(errno));
  return fd;
}

struct LongLink::Way {
  Way(int from, int to, const LinkOptions& options)
      : in(from),
        out(to),
        bits_per_s(options.bits_per_s),
        delay(options.round_trip / 2),
        queue(options.queue),
        reader([this] { Read(); }),
        writer([this] { Write(); }) {}
  ~Way() {
    over = true;
    changed.notify_all();
    reader.join();
    writer.join();
  }

  struct Packet {
    SteadyClock::time_point due;
    std::vector<char> bytes;
  };

  void Read() {
    std::vector<char> buffer(kMaxPacket);
    SteadyClock::time_point free_at{};
    while (!over) {
      pollfd entry{in, POLLIN, 0};
      if (::poll(&entry, 1, kLookMs) <= 0) continue;
      const ssize_t got = ::read(in, buffer.data(), buffer.size());
      if (got <= static_cast<ssize_t>(sizeof(PacketHeader))) continue;
      const auto size = static_cast<std::size_t>(got);
      const SteadyClock::time_point now = SteadyClock::now(), from = std::max(free_at, now);
      const std::lock_guard lock(mutex);
      if (cut || from - now > queue || waiting.size() >= kMaxWaiting) {
        ++dropped;
        continue;
      }
      free_at =
          from + Nanoseconds(BytesOnTheLink(buffer.data(), size) * 8 * 1'000'000'000 / bits_per_s);
      waiting.push_back({free_at + delay, {buffer.data(), buffer.data() + size}});
      if (waiting.size() == 1) changed.notify_all();
    }
  }

  void Write() {
    std::unique_lock lock(mutex);
    while (!over) {
      if (waiting.empty()) {
        changed.wait_for(lock, std::chrono::milliseconds(kLookMs));
        continue;
      }
      const SteadyClock::time_point due = waiting.front().due;
      if (due > SteadyClock::now()) {
        changed.wait_until(lock, due);
        continue;
      }
      const Packet packet = std::move(waiting.front());
      waiting.pop_front();
      const bool lost = cut;
      lock.unlock();
      if (lost || ::write(out, packet.bytes.data(), packet.bytes.size()) < 0) ++dropped;
      lock.lock();
    }
  }

  const int in, out;
  const std::int64_t bits_per_s;
  const Duration delay, queue;
  std::atomic<bool> over = false, cut = false;
  std::atomic<std::int64_t> dropped = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Packet> waiting;
  std::thread reader, writer;  // last: they use everything above
};

LongLink::LongLink(Fd a, Fd b, LinkOptions options)
    : a_(std::move(a)),
      b_(std::move(b)),
      there_(std::make_unique<Way>(a_.get(), b_.get(), options)),
      back_(std::make_unique<Way>(b_.get(), a_.get(), options)) {}

LongLink::~LongLink() = default;

std::int64_t LongLink::dropped() const {
  return there_->dropped + back_->dropped;
}

void LongLink::Cut(bool cut) {
  there_->cut = back_->cut = cut;
}

}  // namespace spillway::bench
