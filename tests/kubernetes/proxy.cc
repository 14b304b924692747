#include "tests/kubernetes/proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

namespace spillway::kubernetes_test {
namespace {

constexpr std::size_t kMostBuffered = 4u << 20;
constexpr char kApplicationData = 23;  // RFC 8446, 5.1

sockaddr_in Address(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

// Appends what can be read; false at the end of the stream or on an error.
bool Receive(int fd, std::string& to) {
  std::array<char, 65536> part;
  const ssize_t got = recv(fd, part.data(), part.size(), 0);
  if (got > 0) to.append(part.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

// Removes what could be sent.
bool Send(int fd, std::string& from) {
  const ssize_t sent = send(fd, from.data(), from.size(), MSG_NOSIGNAL);
  if (sent > 0) from.erase(0, static_cast<std::size_t>(sent));
  return sent >= 0 || errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

Proxy::Proxy(std::string host, std::uint16_t port) : host_(std::move(host)), to_(port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  sockaddr_in address = Address("127.0.0.1", 0);
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener_, 64), 0);
  socklen_t size = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

Proxy::~Proxy() {
  thread_.request_stop();
  Wake();
  thread_.join();
  for (Pair& pair : pairs_) Close(pair);
  close(listener_);
  close(wake_);
}

void Proxy::Wake() const {
  eventfd_write(wake_, 1);
}

void Proxy::Cut() {
  {
    const std::lock_guard lock(mutex_);
    cut_ = true;
  }
  Wake();
}

void Proxy::LeadTo(std::string host, std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  host_ = std::move(host);
  to_ = port;
}

void Proxy::Delay(Duration delay) {
  const std::lock_guard lock(mutex_);
  delay_ = delay;
}

int Proxy::cuts() const {
  const std::lock_guard lock(mutex_);
  return cuts_;
}

// With a reset, as when a machine between the two has forgotten the connection.
void Proxy::Close(Pair& pair) {
  const linger reset{1, 0};
  for (const int fd : {pair.client, pair.server}) {
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
  }
}

void Proxy::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) return;
  sockaddr_in address{};
  {
    const std::lock_guard lock(mutex_);
    address = Address(host_, to_);
  }
  Pair pair;
  pair.client = client;
  pair.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // The server is on this machine: it answers at once or not at all.
  const bool there =
      connect(pair.server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  fcntl(pair.server, F_SETFL, O_NONBLOCK);
  if (there)
    pairs_.push_back(std::move(pair));
  else
    Close(pair);
}

void Proxy::TakeRecords(Pair& pair) {
  Duration delay;
  {
    const std::lock_guard lock(mutex_);
    delay = delay_;
  }
  while (pair.record.size() >= 5) {
    const std::size_t size = 5 + (static_cast<unsigned char>(pair.record[3]) << 8) +
                             static_cast<unsigned char>(pair.record[4]);
    if (pair.record.size() < size) return;
    auto due = std::chrono::steady_clock::now();
    // The first encrypted record still belongs to the handshake of TLS 1.3.
    if (pair.greeted) due += delay;
    pair.greeted = pair.greeted || pair.record[0] == kApplicationData;
    if (!pair.up.empty()) due = std::max(due, pair.up.back().due);
    pair.up.push_back({pair.record.substr(0, size), due});
    pair.record.erase(0, size);
  }
}

bool Proxy::SendUp(Pair& pair) {
  while (!pair.up.empty() && pair.up.front().due <= std::chrono::steady_clock::now()) {
    if (!Send(pair.server, pair.up.front().bytes)) return false;
    if (!pair.up.front().bytes.empty()) return true;
    pair.up.pop_front();
  }
  return true;
}

bool Proxy::Move(Pair& pair, short client_events, short server_events) {
  if ((client_events & (POLLIN | POLLHUP | POLLERR)) != 0) {
    if (!Receive(pair.client, pair.record)) return false;
    TakeRecords(pair);
  }
  if ((server_events & (POLLIN | POLLHUP | POLLERR)) != 0 && !Receive(pair.server, pair.down)) {
    Send(pair.client, pair.down);
    return false;
  }
  return SendUp(pair) && (pair.down.empty() || Send(pair.client, pair.down));
}

void Proxy::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<pollfd> fds = {{listener_, POLLIN, 0}, {wake_, POLLIN, 0}};
    auto next = std::chrono::steady_clock::now() + 1h;
    for (const Pair& pair : pairs_) {
      // A client that is not read from cannot fill the memory.
      const bool full = pair.record.size() > kMostBuffered || pair.up.size() > 10'000;
      short client = full ? 0 : POLLIN, server = pair.down.size() > kMostBuffered ? 0 : POLLIN;
      if (!pair.down.empty()) client |= POLLOUT;
      if (!pair.up.empty()) {
        next = std::min(next, pair.up.front().due);
        if (pair.up.front().due <= std::chrono::steady_clock::now()) server |= POLLOUT;
      }
      fds.push_back({pair.client, client, 0});
      fds.push_back({pair.server, server, 0});
    }
    const auto wait = std::chrono::ceil<Duration>(next - std::chrono::steady_clock::now());
    poll(fds.data(), fds.size(), static_cast<int>(std::max<std::int64_t>(0, wait.count())));
    eventfd_t ignored = 0;
    eventfd_read(wake_, &ignored);
    bool cut = false;
    {
      const std::lock_guard lock(mutex_);
      cut = std::exchange(cut_, false);
      if (cut) cuts_ += static_cast<int>(pairs_.size());
    }
    std::size_t i = 2;
    for (auto pair = pairs_.begin(); pair != pairs_.end(); i += 2) {
      if (!cut && Move(*pair, fds[i].revents, fds[i + 1].revents)) {
        ++pair;
        continue;
      }
      Close(*pair);
      pair = pairs_.erase(pair);
    }
    if ((fds[0].revents & POLLIN) != 0) Accept();
  }
}

}  // namespace spillway::kubernetes_test
