// TLS 1.3 (RFC 8446) for http_server.h and http_client.h, over OpenSSL: AES-256-GCM or
// ChaCha20-Poly1305, no resumption, no early data. Whoever is on the other side is known by a key,
// never by a name.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct evp_pkey_st;
struct ssl_ctx_st;

namespace spillway::net {

// The cipher suites of TLS 1.3 that are spoken, as OpenSSL names them.
inline constexpr const char* kTlsSuites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

// Who one is: a private key and the certificate of its public half.
struct TlsIdentity {
  std::shared_ptr<evp_pkey_st> key;
  std::string certificate;  // DER
};

// Puts the identity into an SSL_CTX. kInvalid: no certificate, or not this key's.
Status UseIdentity(ssl_ctx_st* context, const TlsIdentity& identity);

// The server's side of all its connections. Immutable, so thread-safe.
class TlsServer {
 public:
  // Clients may show a certificate that the authority (DER) has signed, and one that another has
  // signed ends the handshake. When it is valid is not looked at here: its times may be of another
  // clock than the system's. kInvalid as UseIdentity().
  static Result<std::shared_ptr<const TlsServer>> Make(const TlsIdentity& identity,
                                                       std::string_view client_authority);

  ssl_ctx_st* context() const { return context_.get(); }

 private:
  explicit TlsServer(std::shared_ptr<ssl_ctx_st> context) : context_(std::move(context)) {}
  const std::shared_ptr<ssl_ctx_st> context_;
};

// What OpenSSL says of the last failure in this thread, and forgets it.
std::string TlsError();

}  // namespace spillway::net
