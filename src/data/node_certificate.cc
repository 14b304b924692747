#include "data/node_certificate.h"

#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace spillway::data {
namespace {

constexpr const char* kCurve = "P-256";
constexpr std::size_t kMaxName = 64;  // ub-common-name of RFC 5280
constexpr int kSerialBytes = 16;
constexpr const char* kDoorName = "spillway door";
// RFC 5280, 4.1.2.5: no end.
constexpr const char* kNoEnd = "99991231235959Z";

template <auto Function>
struct FreeWith {
  void operator()(auto* object) const { Function(object); }
};
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Serial = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;

ByteBuffer Encoded(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  SPW_CHECK(size > 0, "a public key cannot be encoded");
  ByteBuffer copy(der, der + size);
  OPENSSL_free(der);
  return copy;
}

bool IsP256(EVP_PKEY* key) {
  std::array<char, 32> group{};
  std::size_t size = 0;
  return key != nullptr && EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
         std::string_view(group.data()) == "prime256v1";
}

void AddExtension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  SPW_CHECK(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, value);
}

void SetName(X509_NAME* name, std::string_view text) {
  SPW_CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()), -1, 0) == 1);
}

// Everything but times and extensions.
Certificate Begin(std::string_view subject, EVP_PKEY* key) {
  Certificate certificate(X509_new());
  SPW_CHECK(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  std::array<std::uint8_t, kSerialBytes> bytes{};
  SPW_CHECK(RAND_bytes(bytes.data(), kSerialBytes) == 1, "no randomness");
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7F) | 0x40);  // positive, of full length
  const Serial serial(BN_bin2bn(bytes.data(), kSerialBytes, nullptr));
  SPW_CHECK(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) != nullptr);
  SetName(X509_get_subject_name(certificate.get()), subject);
  SetName(X509_get_issuer_name(certificate.get()), kDoorName);
  SPW_CHECK(X509_set_pubkey(certificate.get(), key) == 1);
  return certificate;
}

std::string Finish(X509* certificate, const TlsKey& authority) {
  SPW_CHECK(X509_sign(certificate, authority.get().get(), EVP_sha256()) > 0);
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  SPW_CHECK(size > 0, "a certificate cannot be encoded");
  std::string copy(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return copy;
}

void SetTime(ASN1_TIME* field, std::chrono::sys_seconds time) {
  SPW_CHECK(ASN1_TIME_set(field, std::chrono::system_clock::to_time_t(time)) != nullptr);
}

std::optional<Time> ReadTime(const ASN1_TIME* field) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(field, &parts) != 1) return std::nullopt;
  return Time(std::chrono::seconds(::timegm(&parts)));
}

}  // namespace

Result<TlsKey> TlsKey::Generate() {
  const std::shared_ptr<EVP_PKEY> key(EVP_EC_gen(kCurve), &EVP_PKEY_free);
  if (key == nullptr) return Fail(Code::kInternal, "the machine has no randomness for a key");
  return TlsKey(key);
}

Result<TlsKey> TlsKey::FromPem(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  SPW_CHECK(bio != nullptr, "out of memory");
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const std::shared_ptr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr), &EVP_PKEY_free);
  if (!IsP256(key.get())) return Fail(Code::kCorrupt, "it is not a P-256 key in PEM");
  return TlsKey(key);
}

std::string TlsKey::Pem() const {
  const Bio bio(BIO_new(BIO_s_secmem()));
  SPW_CHECK(bio != nullptr && PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0,
                                                       nullptr, nullptr) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

ByteBuffer TlsKey::PublicKey() const {
  return Encoded(key_.get());
}

Result<NodeAuthority> NodeAuthority::Make(TlsKey key) {
  const Certificate certificate = Begin(kDoorName, key.get().get());
  SetTime(X509_getm_notBefore(certificate.get()), std::chrono::sys_seconds{});
  SPW_CHECK(ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate.get()), kNoEnd) == 1);
  AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  AddExtension(certificate.get(), NID_key_usage, "critical,digitalSignature,keyCertSign");
  AddExtension(certificate.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  AddExtension(certificate.get(), NID_subject_key_identifier, "hash");
  std::string der = Finish(certificate.get(), key);
  return NodeAuthority(std::move(key), std::move(der));
}

std::string NodeAuthority::Pin() const {
  return Base64(Sha256(key_.PublicKey()));
}

Result<std::string> NodeAuthority::Issue(const std::string& node, ByteView public_key, Time from,
                                         Time until) const {
  if (node.empty() || node.size() > kMaxName)
    return Fail(Code::kInvalid, fmt::format("node \"{}\": a certificate names 1 to {} characters",
                                            node.substr(0, kMaxName), kMaxName));
  const std::uint8_t* data = public_key.data();
  const std::shared_ptr<EVP_PKEY> key(
      d2i_PUBKEY(nullptr, &data, static_cast<long>(public_key.size())), &EVP_PKEY_free);
  if (!IsP256(key.get()) || !std::ranges::equal(Encoded(key.get()), public_key))
    return Fail(Code::kInvalid, "the certificate's key must be a P-256 public key");
  const Certificate certificate = Begin(node, key.get());
  SetTime(X509_getm_notBefore(certificate.get()), std::chrono::floor<std::chrono::seconds>(from));
  SetTime(X509_getm_notAfter(certificate.get()), std::chrono::ceil<std::chrono::seconds>(until));
  AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(certificate.get(), NID_key_usage, "critical,digitalSignature");
  AddExtension(certificate.get(), NID_ext_key_usage, "critical,clientAuth");
  return Finish(certificate.get(), key_);
}

Result<NodeCertificate> NodeAuthority::Read(std::string_view der) const {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  const Certificate certificate(d2i_X509(nullptr, &data, static_cast<long>(der.size())));
  const auto denied = [] {
    return Fail(Code::kDenied, "the certificate is not one that this door gave to a node");
  };
  if (certificate == nullptr || X509_verify(certificate.get(), key_.get().get()) != 1 ||
      X509_check_ca(certificate.get()) != 0)
    return denied();
  NodeCertificate said;
  std::array<char, kMaxName + 1> name{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()),
                                             NID_commonName, name.data(), name.size());
  const auto from = ReadTime(X509_get0_notBefore(certificate.get()));
  const auto until = ReadTime(X509_get0_notAfter(certificate.get()));
  if (size <= 0 || !from || !until) return denied();
  said.node.assign(name.data(), static_cast<std::size_t>(size));
  said.key_sha256 = Sha256(Encoded(X509_get0_pubkey(certificate.get())));
  said.from = *from;
  said.until = *until;
  return said;
}

}  // namespace spillway::data
