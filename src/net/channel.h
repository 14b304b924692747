// The bytes of one accepted connection, plain or TLS, for http_server.cc. Never waits.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "net/tls.h"

struct ssl_st;

namespace spillway::net {

// Not thread-safe. Owns the socket, which is non-blocking.
class Channel {
 public:
  // kWantRead, kWantWrite: nothing happened; call again once the socket is readable or writable.
  enum class Io { kDone, kWantRead, kWantWrite, kClosed };
  struct Moved {
    Io io = Io::kDone;
    std::size_t bytes = 0;
  };

  Channel() = default;
  // `tls` may be null: plain. The handshake is part of the first calls.
  Channel(Fd fd, const TlsServer* tls);

  int fd() const { return fd_.get(); }
  bool encrypted() const { return ssl_ != nullptr; }
  // Up to out.size() bytes, which should be 16 KiB (a record) or more.
  Moved Receive(std::span<char> out);
  // A part of the bytes. After kWant... the same bytes must come again, wherever they lie.
  Moved Send(std::string_view bytes);
  // Tells the peer that nothing follows.
  void SendEnd();
  // False before the end of the handshake, when nothing can be told to the peer.
  bool CanTalk() const;
  // What the peer showed and its authority has signed (DER); empty: nothing.
  std::string PeerCertificate() const;

 private:
  Io Outcome(int result);

  Fd fd_;
  std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_{nullptr, nullptr};
};

}  // namespace spillway::net
