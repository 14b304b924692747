#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>

namespace spillway::net {
namespace {

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

Certificate ParseCertificate(std::string_view der) {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  return {d2i_X509(nullptr, &data, static_cast<long>(der.size())), &X509_free};
}

Status Refused(std::string_view what) {
  return Fail(Code::kInvalid, "TLS: " + std::string(what) + ": " + TlsError());
}

}  // namespace

std::string TlsError() {
  std::array<char, 256> text{};
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no reason is known";
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

Status UseIdentity(SSL_CTX* context, const TlsIdentity& identity) {
  ERR_clear_error();
  const Certificate certificate = ParseCertificate(identity.certificate);
  if (certificate == nullptr) return Refused("the certificate cannot be read");
  if (SSL_CTX_use_certificate(context, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, identity.key.get()) != 1)
    return Refused("certificate and key do not belong together");
  return Ok();
}

Result<std::shared_ptr<const TlsServer>> TlsServer::Make(const TlsIdentity& identity,
                                                         std::string_view client_authority) {
  ERR_clear_error();
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  SPW_CHECK(context != nullptr, "SSL_CTX_new failed");
  SPW_TRY(UseIdentity(context.get(), identity));
  const Certificate authority = ParseCertificate(client_authority);
  if (authority == nullptr) return Fail(Refused("the authority cannot be read").error());
  const bool set =
      SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
      SSL_CTX_set_ciphersuites(context.get(), kTlsSuites) == 1 &&
      SSL_CTX_set_num_tickets(context.get(), 0) == 1 &&
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authority.get()) == 1 &&
      SSL_CTX_add_client_CA(context.get(), authority.get()) == 1;
  if (!set) return Fail(Refused("it cannot be set up").error());
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.get()), X509_V_FLAG_NO_CHECK_TIME);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return std::shared_ptr<const TlsServer>(new TlsServer(context));
}

}  // namespace spillway::net
