// Real sockets for the tests of this folder.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "net/socket.h"

namespace spillway::net {

// A directory that goes with the object.
class TempDir {
 public:
  TempDir() {
    std::string name = "/tmp/spw-net-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A client that sends exactly the bytes it is told to.
class RawClient {
 public:
  static RawClient Unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return RawClient(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  static RawClient Tcp(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return RawClient(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }

  bool Send(std::string_view text) {
    return send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  // What arrives until the text contains `end`, the server closes, or 5 s pass.
  std::string ReadUntil(std::string_view end) {
    std::string text;
    while (text.find(end) == std::string::npos) {
      pollfd entry{fd_.get(), POLLIN, 0};
      if (poll(&entry, 1, 5000) <= 0) return text + "<timeout>";
      std::array<char, 4096> bytes;
      const ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (got <= 0) return text + "<closed>";
      text.append(bytes.data(), static_cast<std::size_t>(got));
    }
    return text;
  }
  std::string ReadToEnd() { return ReadUntil("\xFF"); }

 private:
  RawClient(int family, const sockaddr* address, socklen_t size)
      : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(connect(fd_.get(), address, size), 0) << std::strerror(errno);
  }

  Fd fd_;
};

}  // namespace spillway::net
