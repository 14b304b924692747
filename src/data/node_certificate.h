// Keys and X.509 certificates (RFC 5280) of the site's door. The door's key proves the door to its
// nodes, who know its hash beforehand, and signs what proves a node to the door: which key is whose
// and for how long. There is no other authority, and no certificate outlives its BurstNode.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/encoding.h"
#include "base/result.h"
#include "base/time.h"

struct evp_pkey_st;

namespace spillway::data {

// An ECDSA P-256 key pair. Copies share the private key, which is wiped with the last one.
class TlsKey {
 public:
  static Result<TlsKey> Generate();
  // PKCS#8 as Pem() writes it. kCorrupt for anything else.
  static Result<TlsKey> FromPem(std::string_view pem);

  // The private key, for a file of the site; the caller wipes it.
  std::string Pem() const;
  // SubjectPublicKeyInfo (DER).
  ByteBuffer PublicKey() const;
  const std::shared_ptr<evp_pkey_st>& get() const { return key_; }

 private:
  explicit TlsKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

// What a certificate says.
struct NodeCertificate {
  std::string node;     // name of the BurstNode, which is that of its run
  Digest key_sha256{};  // of the SubjectPublicKeyInfo
  Time from{}, until{};
};

// Immutable, so thread-safe.
class NodeAuthority {
 public:
  static Result<NodeAuthority> Make(TlsKey key);

  // The door's own certificate (DER): without an end, because its key is what counts.
  const std::string& certificate() const { return certificate_; }
  const TlsKey& key() const { return key_; }
  // Base64 of the SHA-256 of the door's public key, as "curl --pinnedpubkey" takes it.
  std::string Pin() const;

  // A certificate (DER) for the holder of this key (SubjectPublicKeyInfo) and this node. Times are
  // of the site's clock; the form has whole seconds, so `until` is rounded up. kInvalid: not a
  // P-256 key, or a name of more than 64 characters.
  Result<std::string> Issue(const std::string& node, ByteView public_key, Time from,
                            Time until) const;
  // kDenied: not signed by this authority for a node. Whether it is time is the caller's to say.
  Result<NodeCertificate> Read(std::string_view der) const;

 private:
  NodeAuthority(TlsKey key, std::string certificate)
      : key_(std::move(key)), certificate_(std::move(certificate)) {}
  TlsKey key_;
  std::string certificate_;
};

}  // namespace spillway::data
