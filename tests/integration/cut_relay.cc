#include "tests/integration/cut_relay.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "net/socket.h"

namespace spillway::integration {
namespace {

constexpr int kLookMs = 20;
constexpr std::size_t kSlowBytes = 8 << 10;

Fd Connect(int port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return Fd();
  return fd;
}

}  // namespace

struct CutRelay::Link {
  Fd client, server;
  bool first = false;
  std::thread thread;
};

CutRelay::CutRelay(int target_port) : target_port_(target_port) {
  auto listener = net::ListenLoopback("127.0.0.1", &port_);
  EXPECT_TRUE(listener);
  if (listener) listener_ = std::move(*listener);
  acceptor_ = std::thread([this] { Accept(); });
}

CutRelay::~CutRelay() {
  over_ = true;
  acceptor_.join();
  for (Link& link : links_) link.thread.join();
}

void CutRelay::Set(Way way) {
  way_ = way;
}

std::string CutRelay::FirstSaid() const {
  const std::lock_guard lock(mutex_);
  return first_said_;
}

bool CutRelay::WaitForConnections(int count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, 60s, [&] { return connections_ >= count; });
}

bool CutRelay::WaitForBytesDown(std::int64_t bytes) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, 60s, [&] { return bytes_down_ >= bytes; });
}

void CutRelay::Accept() {
  while (!over_) {
    pollfd entry{listener_.get(), POLLIN, 0};
    if (::poll(&entry, 1, kLookMs) <= 0) continue;
    Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) continue;
    const std::lock_guard lock(mutex_);
    ++connections_;
    changed_.notify_all();
    if (way_ == Way::kClosed) continue;
    links_.push_back({std::move(client), Connect(target_port_), connections_ == 1, {}});
    Link& link = links_.back();
    link.thread = std::thread([this, &link] { Carry(link); });
  }
}

void CutRelay::Carry(Link& link) {
  while (!over_ && way_ != Way::kClosed && link.server.valid()) {
    const short events = way_ == Way::kFrozen ? 0 : POLLIN;
    std::array<pollfd, 2> entries{{{link.client.get(), events, 0}, {link.server.get(), events, 0}}};
    if (::poll(entries.data(), entries.size(), kLookMs) <= 0) continue;
    if (events == 0) {
      std::this_thread::yield();  // a frozen way does not even tell that one side has left
      ::poll(nullptr, 0, kLookMs);
      continue;
    }
    if (entries[0].revents != 0 && !Pass(link.client.get(), link.server.get(), false, link.first))
      break;
    if (entries[1].revents != 0 && !Pass(link.server.get(), link.client.get(), true, false)) break;
  }
  link.client = Fd();
  link.server = Fd();
}

bool CutRelay::Pass(int from, int to, bool down, bool first) {
  std::array<char, 64 << 10> bytes;
  const std::size_t most = down && bytes_per_s_ > 0 ? kSlowBytes : bytes.size();
  const ssize_t got = ::recv(from, bytes.data(), most, MSG_DONTWAIT);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  const auto size = static_cast<std::size_t>(got);
  {
    const std::lock_guard lock(mutex_);
    if (first) first_said_.append(bytes.data(), size);
    if (down) {
      const std::int64_t every = flip_every_, before = bytes_down_;
      bytes_down_ += got;
      if (every > 0 && before / every != bytes_down_ / every) {
        bytes[size / 2] = static_cast<char>(bytes[size / 2] ^ 0x10);
        ++flipped_;
      }
      changed_.notify_all();
    }
  }
  if (down) WaitForTurn(got);
  for (std::size_t sent = 0; sent < size;) {
    const ssize_t count = ::send(to, bytes.data() + sent, size - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

// The bytes are on the line after those that came before, as long as it takes.
void CutRelay::WaitForTurn(std::int64_t bytes) {
  const std::int64_t rate = bytes_per_s_;
  if (rate <= 0) return;
  std::chrono::steady_clock::time_point through;
  {
    const std::lock_guard lock(mutex_);
    line_free_at_ = std::max(line_free_at_, std::chrono::steady_clock::now()) +
                    std::chrono::microseconds(bytes * 1'000'000 / rate);
    through = line_free_at_;
  }
  while (!over_ && way_ == Way::kOpen && bytes_per_s_ > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        through - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    ::poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(left.count(), kLookMs)));
  }
}

}  // namespace spillway::integration
