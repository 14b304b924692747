// A bad network between a client and the API server: a TCP proxy that cuts, refuses, delays and
// leads elsewhere. It sees TLS records and nothing of what is in them.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "base/time.h"

namespace spillway::kubernetes_test {

// Listens on a port of 127.0.0.1 of its own. Thread-safe.
class Proxy {
 public:
  // `host` is an IPv4 address.
  Proxy(std::string host, std::uint16_t port);
  ~Proxy();
  std::uint16_t port() const { return port_; }

  // Resets every connection.
  void Cut();
  // New connections lead to another server from now on.
  void LeadTo(std::string host, std::uint16_t port);
  // Whatever a client says after its handshake arrives so much later.
  void Delay(Duration delay);
  // How many connections were cut.
  int cuts() const;

 private:
  struct Chunk {
    std::string bytes;
    std::chrono::steady_clock::time_point due;
  };
  struct Pair {
    int client = -1, server = -1;
    std::string record;  // of the client, not complete yet
    bool greeted = false;
    std::deque<Chunk> up;
    std::string down;
  };
  void Run(const std::stop_token& stop);
  void Accept();
  bool Move(Pair& pair, short client_events, short server_events);  // false: it is over
  void TakeRecords(Pair& pair);
  static bool SendUp(Pair& pair);
  static void Close(Pair& pair);
  void Wake() const;

  std::uint16_t port_ = 0;
  int listener_ = -1, wake_ = -1;
  mutable std::mutex mutex_;  // guards what follows
  std::string host_;
  std::uint16_t to_;
  Duration delay_{0};
  bool cut_ = false;
  int cuts_ = 0;
  std::list<Pair> pairs_;  // the thread's own
  std::jthread thread_;
};

}  // namespace spillway::kubernetes_test
