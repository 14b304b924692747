#include "kubernetes/join.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/encoding.h"

namespace spillway::kubernetes {
namespace {

constexpr std::string_view kNodePrefix = "system:node:";
constexpr std::string_view kNodesGroup = "system:nodes";
constexpr std::size_t kMaxRequestBytes = 64 << 10;

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Request = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using Memory = std::unique_ptr<BIO, Deleter<BIO_free>>;

std::string RandomText(std::size_t length) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string text;
  while (text.size() < length) {
    std::array<std::uint8_t, 32> bytes{};
    SPW_CHECK(RAND_bytes(bytes.data(), bytes.size()) == 1, "the system has no randomness");
    for (const std::uint8_t byte : bytes)
      if (byte < 252 && text.size() < length) text += kLetters[byte % kLetters.size()];  // unbiased
  }
  return text;
}

Result<Request> ParseRequest(const json::value& csr) {
  const json::value* text = FindPath(csr, {"spec", "request"});
  if (text == nullptr || !text->is_string()) return Fail(Code::kDenied, "spec.request is missing");
  const auto pem = ParseBase64(View(text->get_string()));
  if (!pem || pem->size() > kMaxRequestBytes)
    return Fail(Code::kDenied, "spec.request is not base64 of a small PEM text");
  const Memory memory(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  Request request(PEM_read_bio_X509_REQ(memory.get(), nullptr, nullptr, nullptr));
  if (request == nullptr) return Fail(Code::kDenied, "spec.request is not a certificate request");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1)
    return Fail(Code::kDenied, "the request is not signed by its own key");
  return request;
}

struct Subject {
  std::string name;
  std::vector<std::string> organizations;
  bool other = false;  // something besides O and CN, or two CNs
};

Subject SubjectOf(X509_REQ* request) {
  Subject subject;
  const X509_NAME* name = X509_REQ_get_subject_name(request);
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    const ASN1_STRING* data = X509_NAME_ENTRY_get_data(entry);
    std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
                     static_cast<std::size_t>(ASN1_STRING_length(data)));
    switch (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry))) {
      case NID_commonName:
        subject.other = subject.other || !subject.name.empty();
        subject.name = std::move(text);
        break;
      case NID_organizationName:
        subject.organizations.push_back(std::move(text));
        break;
      default:
        subject.other = true;
    }
  }
  return subject;
}

struct Names {
  std::vector<std::string> dns, addresses;
  bool other = false;  // e-mail, URI, ...
  bool Any() const { return other || !dns.empty() || !addresses.empty(); }
};

// As inet_ntop writes it.
std::string AddressText(const ASN1_OCTET_STRING* octets) {
  const int size = ASN1_STRING_length(octets);
  if (size != 4 && size != 16) return "";
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(octets), text, sizeof text);
  return text;
}

// The same address in the same words; empty if it is none.
std::string Canonical(const std::string& address) {
  unsigned char bytes[16];
  char text[INET6_ADDRSTRLEN] = "";
  for (const int family : {AF_INET, AF_INET6})
    if (::inet_pton(family, address.c_str(), bytes) == 1)
      ::inet_ntop(family, bytes, text, sizeof text);
  return text;
}

Names NamesOf(X509_REQ* request) {
  Names names;
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
  if (extensions == nullptr) return names;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; all != nullptr && i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
    if (name->type == GEN_DNS) {
      names.dns.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                             static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      names.addresses.push_back(AddressText(name->d.iPAddress));
    } else {
      names.other = true;
    }
  }
  GENERAL_NAMES_free(all);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return names;
}

Status CheckKey(X509_REQ* request) {
  EVP_PKEY* key = X509_REQ_get0_pubkey(request);
  const int type = EVP_PKEY_base_id(key), bits = EVP_PKEY_bits(key);
  if ((type == EVP_PKEY_EC && bits >= 256) || type == EVP_PKEY_ED25519 ||
      (type == EVP_PKEY_RSA && bits >= 2048))
    return Ok();
  return Fail(Code::kDenied, "its key is neither ECDSA with 256 bits, Ed25519, nor RSA with 2048");
}

// "digital signature" and the purpose, and at most "key encipherment" besides, which RSA keys want.
Status CheckUsages(const json::value& csr, std::string_view purpose) {
  bool signature = false, wanted = false, other = false;
  if (const json::value* spec = Find(csr, "spec"))
    if (const json::array* usages = FindArray(*spec, "usages"))
      for (const json::value& usage : *usages) {
        const std::string_view text = usage.is_string() ? View(usage.get_string()) : "";
        if (text == "digital signature")
          signature = true;
        else if (text == purpose)
          wanted = true;
        else
          other = other || text != "key encipherment";
      }
  if (signature && wanted && !other) return Ok();
  return Fail(Code::kDenied, fmt::format("its usages are not digital signature and {}", purpose));
}

Status CheckSpec(const json::value& csr, std::string_view signer, std::string_view user) {
  const json::value* spec = Find(csr, "spec");
  if (spec == nullptr || StringOr(*spec, "signerName", "") != signer)
    return Fail(Code::kDenied, fmt::format("its signer is not {}", signer));
  if (StringOr(*spec, "username", "") != user)
    return Fail(Code::kDenied, fmt::format("it was made by {}, not by {}",
                                           StringOr(*spec, "username", "nobody"), user));
  return Ok();
}

Status CheckSubject(const Subject& subject, const std::string& node) {
  const std::string wanted = fmt::format("{}{}", kNodePrefix, node);
  if (subject.name != wanted)
    return Fail(Code::kDenied,
                fmt::format("it asks for the name \"{}\", not \"{}\"", subject.name, wanted));
  if (subject.other || subject.organizations != std::vector<std::string>{std::string(kNodesGroup)})
    return Fail(Code::kDenied,
                fmt::format("its subject is more or less than {} of {}", wanted, kNodesGroup));
  return Ok();
}

std::string AfterPrefix(std::string_view text) {
  return text.starts_with(kNodePrefix) ? std::string(text.substr(kNodePrefix.size())) : "";
}

}  // namespace

BootstrapToken NewBootstrapToken() {
  return {RandomText(6), RandomText(16)};
}

std::string TokenSecretName(std::string_view id) {
  return fmt::format("bootstrap-token-{}", id);
}

std::string TokenUser(std::string_view id) {
  return fmt::format("system:bootstrap:{}", id);
}

json::object TokenSecret(const BootstrapToken& token, const std::string& node, Time expires) {
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"type", "bootstrap.kubernetes.io/token"},
          {"metadata", json::object{{"name", TokenSecretName(token.id)},
                                    {"namespace", kTokenNamespace},
                                    {"labels", json::object{{"spillway.dev/burst", node}}}}},
          {"stringData", json::object{{"token-id", token.id},
                                      {"token-secret", token.secret},
                                      {"expiration", FormatTime(expires)},
                                      {"usage-bootstrap-authentication", "true"},
                                      {"auth-extra-groups", kBootstrapGroup},
                                      {"description", fmt::format("Spillway: BurstNode {}, one "
                                                                  "client certificate",
                                                                  node)}}}};
}

Status CheckClientRequest(const json::value& csr, const std::string& node,
                          const std::string& token_id) {
  SPW_TRY(CheckSpec(csr, kClientSigner, TokenUser(token_id)));
  SPW_TRY(CheckUsages(csr, "client auth"));
  SPW_ASSIGN(const Request request, ParseRequest(csr));
  SPW_TRY(CheckSubject(SubjectOf(request.get()), node));
  SPW_TRY(CheckKey(request.get()));
  if (NamesOf(request.get()).Any())
    return Fail(Code::kDenied, "a client certificate has no alternative names");
  return Ok();
}

Status CheckServingRequest(const json::value& csr, const std::string& node,
                           const std::vector<std::string>& addresses) {
  SPW_TRY(CheckSpec(csr, kServingSigner, fmt::format("{}{}", kNodePrefix, node)));
  SPW_TRY(CheckUsages(csr, "server auth"));
  SPW_ASSIGN(const Request request, ParseRequest(csr));
  SPW_TRY(CheckSubject(SubjectOf(request.get()), node));
  SPW_TRY(CheckKey(request.get()));
  const Names names = NamesOf(request.get());
  if (!names.Any() || names.other)
    return Fail(Code::kDenied, "it must name the node and its addresses, and nothing else");
  for (const std::string& dns : names.dns)
    if (dns != node) return Fail(Code::kDenied, fmt::format("{} is not the node's name", dns));
  std::vector<std::string> own;
  for (const std::string& address : addresses) own.push_back(Canonical(address));
  for (const std::string& address : names.addresses)
    if (address.empty() || std::ranges::find(own, address) == own.end())
      return Fail(Code::kDenied, fmt::format("{} is not an address of the node", address));
  return Ok();
}

std::string NodeOfRequest(const json::value& csr) {
  const json::value* spec = Find(csr, "spec");
  if (spec == nullptr) return "";
  const std::string_view signer = StringOr(*spec, "signerName", "");
  if (signer != kClientSigner && signer != kServingSigner) return "";
  if (std::string node = AfterPrefix(StringOr(*spec, "username", "")); !node.empty()) return node;
  const Result<Request> request = ParseRequest(csr);
  return request ? AfterPrefix(SubjectOf(request->get()).name) : "";
}

bool Undecided(const json::value& csr) {
  const json::value* status = Find(csr, "status");
  if (status == nullptr) return true;
  const json::array* conditions = FindArray(*status, "conditions");
  return conditions == nullptr || std::ranges::none_of(*conditions, [](const json::value& c) {
           const std::string_view type = StringOr(c, "type", "");
           return type == "Approved" || type == "Denied" || type == "Failed";
         });
}

json::value Decided(const json::value& csr, bool approve, std::string_view reason,
                    std::string_view message, Time now) {
  json::value decided = csr;
  json::value& status = decided.get_object()["status"];
  if (!status.is_object()) status = json::object{};
  json::value& conditions = status.get_object()["conditions"];
  if (!conditions.is_array()) conditions = json::array{};
  conditions.get_array().push_back(json::object{{"type", approve ? "Approved" : "Denied"},
                                                {"status", "True"},
                                                {"reason", reason},
                                                {"message", message},
                                                {"lastUpdateTime", FormatTime(now)}});
  return decided;
}

}  // namespace spillway::kubernetes
