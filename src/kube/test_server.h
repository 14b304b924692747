// A scripted HTTP/1.1 server on loopback, and time that tests move: for the tests of this folder.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kube/kubeconfig.h"
#include "kube/resource.h"
#include "kube/timing.h"
#include "net/http_message.h"
#include "net/socket.h"

namespace spillway::kube {

struct Seen {
  std::string method, path, body, head;
  std::map<std::string, std::string, std::less<>> query;
  int connection = 0;

  std::string Header(std::string_view name) const {
    const std::size_t at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return "";
    const std::size_t from = at + 4 + name.size();
    return head.substr(from, head.find("\r\n", from) - from);
  }
};

// What goes back, byte for byte, and what happens to the connection then.
struct Script {
  enum class After { kKeep, kClose, kHold };
  std::string bytes;
  bool torn = false;  // each byte in a segment of its own
  After after = After::kKeep;
};

inline Script Answer(int status, const std::string& body, const std::string& more_head = "") {
  return {"HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" +
          more_head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body};
}

inline std::string Chunk(const std::string& text) {
  char size[32];
  std::snprintf(size, sizeof(size), "%zx\r\n", text.size());
  return size + text + "\r\n";
}

// A watch's answer: each line in a chunk of its own. kHold leaves it open and silent.
inline Script Stream(const std::vector<std::string>& lines, Script::After after) {
  Script script{
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"};
  for (const std::string& line : lines) script.bytes += Chunk(line + "\n");
  if (after == Script::After::kKeep) script.bytes += "0\r\n\r\n";
  script.after = after;
  return script;
}

inline std::string StatusBody(int code, const std::string& reason, const std::string& message) {
  return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":")" + message +
         R"(","reason":")" + reason + R"(","code":)" + std::to_string(code) + "}";
}

// Calls `handler` for each request, on the thread of its connection, one at a time.
class TestServer {
 public:
  using Handler = std::function<Script(const Seen&)>;

  explicit TestServer(Handler handler) : handler_(std::move(handler)) {
    auto listener = net::ListenLoopback("127.0.0.1", &port_);
    SPW_CHECK(listener.has_value());
    listener_ = std::move(*listener);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~TestServer() {
    ending_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : sockets_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : connections_) thread.join();
  }

  Access MakeAccess() const {
    Access access;
    access.origin = "the test";
    access.server = "http://127.0.0.1:" + std::to_string(port_);
    return access;
  }
  std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  // Blocks until so many requests came; 5 s at most.
  bool AwaitRequests(std::size_t count) const {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, 5s, [&] { return seen_.size() >= count; });
  }
  // Blocks until a request came that is like this; 5 s at most.
  bool Await(const std::function<bool(const Seen&)>& like) const {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, 5s,
                             [&] { return std::any_of(seen_.begin(), seen_.end(), like); });
  }

 private:
  void Accept() {
    for (int number = 1; !ending_; ++number) {
      pollfd entry{listener_.get(), POLLIN, 0};
      if (::poll(&entry, 1, 5000) <= 0) continue;
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      {
        const std::lock_guard lock(mutex_);
        sockets_.push_back(fd);
      }
      connections_.emplace_back([this, fd, number] { Serve(fd, number); });
    }
  }

  void Serve(int fd, int number) {
    std::string buffer;
    Seen request;
    while (Receive(fd, buffer, &request)) {
      request.connection = number;
      Script script;
      {
        const std::lock_guard lock(handling_);
        {
          const std::lock_guard also(mutex_);
          seen_.push_back(request);
        }
        arrived_.notify_all();
        script = handler_(request);
      }
      const std::size_t step = script.torn ? 1 : script.bytes.size();
      for (std::size_t at = 0; at < script.bytes.size(); at += step)
        if (::send(fd, script.bytes.data() + at, std::min(step, script.bytes.size() - at),
                   MSG_NOSIGNAL) < 0)
          break;
      if (script.after == Script::After::kClose) break;
      if (script.after == Script::After::kHold) {
        char byte = 0;
        while (::recv(fd, &byte, 1, 0) > 0) {
        }
        break;
      }
    }
    const std::lock_guard lock(mutex_);
    std::erase(sockets_, fd);
    ::close(fd);
  }

  static bool Receive(int fd, std::string& buffer, Seen* request) {
    const auto more = [&] {
      char bytes[4096];
      const ssize_t got = ::recv(fd, bytes, sizeof(bytes), 0);
      if (got > 0) buffer.append(bytes, static_cast<std::size_t>(got));
      return got > 0;
    };
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return false;
    *request = {};
    request->head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    const std::string length = request->Header("Content-Length");
    const auto size = static_cast<std::size_t>(std::atoll(length.c_str()));
    while (buffer.size() < size)
      if (!more()) return false;
    request->body = buffer.substr(0, size);
    buffer.erase(0, size);
    const std::size_t space = request->head.find(' ');
    const std::string target =
        request->head.substr(space + 1, request->head.find(' ', space + 1) - space - 1);
    const std::size_t mark = target.find('?');
    request->method = request->head.substr(0, space);
    request->path = target.substr(0, mark);
    if (mark != std::string::npos)
      request->query = net::ParseQuery(target.substr(mark + 1)).value();
    return true;
  }

  Handler handler_;
  int port_ = 0;
  net::Fd listener_;
  std::atomic<bool> ending_ = false;
  std::thread acceptor_;
  std::vector<std::thread> connections_;  // of the accepting thread until it is joined
  std::mutex handling_;
  mutable std::mutex mutex_;
  mutable std::condition_variable arrived_;
  std::vector<int> sockets_;
  std::vector<Seen> seen_;
};

// Answers in order; the last one again and again.
inline TestServer::Handler InTurn(std::vector<Script> scripts) {
  return [scripts = std::deque<Script>(scripts.begin(), scripts.end())](const Seen&) mutable {
    Script script = scripts.front();
    if (scripts.size() > 1) scripts.pop_front();
    return script;
  };
}

// Thread-safe, moved by hand or by waiting.
class TestClock final : public Clock {
 public:
  Time Now() const override { return Time(1'763'979'330'250ms) + Duration(steady_); }
  Duration SteadyNow() const override { return Duration(steady_); }
  void Advance(Duration d) { steady_ += d.count(); }

 private:
  std::atomic<std::int64_t> steady_ = 1'000'000;
};

// Waiting takes no real time: it moves the clock.
class TestWaiter final : public Waiter {
 public:
  explicit TestWaiter(TestClock& clock) : clock_(clock) {}
  bool Wait(Duration d, const std::stop_token& stop) override {
    const std::lock_guard lock(mutex_);
    waits_.push_back(d);
    clock_.Advance(d);
    return !stop.stop_requested();
  }
  std::vector<Duration> waits() const {
    const std::lock_guard lock(mutex_);
    return waits_;
  }

 private:
  TestClock& clock_;
  mutable std::mutex mutex_;
  std::vector<Duration> waits_;
};

struct TestTime {
  TestClock clock;
  TestWaiter waiter{clock};
  Timing timing{&clock, &waiter, 7};
};

class TempDir {
 public:
  TempDir() {
    std::string name = "/tmp/spw-kube-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
    return path_ + "/" + name;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline const Resource kPods{"", "v1", "pods", true};
inline const Resource kNodes{"", "v1", "nodes", false};

}  // namespace spillway::kube
