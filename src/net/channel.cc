#include "net/channel.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

namespace spillway::net {
namespace {

// The record of TLS 1.3 holds so much (RFC 8446, 5.1).
constexpr std::size_t kRecordBytes = 16 << 10;

Channel::Io AfterErrno(Channel::Io want) {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? want : Channel::Io::kClosed;
}

}  // namespace

Channel::Channel(Fd fd, const TlsServer* tls) : fd_(std::move(fd)) {
  if (tls == nullptr) return;
  ssl_ = {SSL_new(tls->context()), &SSL_free};
  SPW_CHECK(ssl_ != nullptr && SSL_set_fd(ssl_.get(), fd_.get()) == 1, "SSL_new failed");
  SSL_set_accept_state(ssl_.get());
}

Channel::Io Channel::Outcome(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Io::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Io::kWantWrite;
    default:
      ERR_clear_error();
      return Io::kClosed;
  }
}

Channel::Moved Channel::Receive(std::span<char> out) {
  if (!ssl_) {
    const ssize_t got = recv(fd_.get(), out.data(), out.size(), MSG_DONTWAIT);
    if (got > 0) return {Io::kDone, static_cast<std::size_t>(got)};
    return {got == 0 ? Io::kClosed : AfterErrno(Io::kWantRead), 0};
  }
  // All that is there: what OpenSSL holds decrypted is nothing that poll() would tell of.
  Moved moved;
  do {
    std::size_t got = 0;
    ERR_clear_error();
    const int result =
        SSL_read_ex(ssl_.get(), out.data() + moved.bytes, out.size() - moved.bytes, &got);
    if (result != 1) {
      if (moved.bytes == 0) moved.io = Outcome(result);
      break;
    }
    moved.bytes += got;
  } while (out.size() - moved.bytes >= kRecordBytes);
  return moved;
}

Channel::Moved Channel::Send(std::string_view bytes) {
  if (!ssl_) {
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return {Io::kDone, static_cast<std::size_t>(sent)};
    return {AfterErrno(Io::kWantWrite), 0};
  }
  std::size_t sent = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
  if (result != 1) return {Outcome(result), 0};
  return {Io::kDone, sent};
}

void Channel::SendEnd() {
  if (ssl_ && CanTalk()) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  shutdown(fd_.get(), SHUT_WR);
}

bool Channel::CanTalk() const {
  return !ssl_ || SSL_is_init_finished(ssl_.get()) == 1;
}

std::string Channel::PeerCertificate() const {
  if (!ssl_ || !CanTalk() || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return {};
  const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return {};
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return {};
  std::string copy(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return copy;
}

}  // namespace spillway::net
