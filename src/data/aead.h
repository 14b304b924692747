// AES-256-GCM (NIST SP 800-38D) by one of two libraries that give the same bytes: ipsec-mb, several
// times faster where the processor has VAES and AVX-512, and OpenSSL everywhere. Nothing else in
// this library touches a cipher mode with authentication.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/encoding.h"
#include "base/result.h"

namespace spillway::data {

inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kNonceBytes = 12;
using Nonce = std::array<std::uint8_t, kNonceBytes>;

enum class AeadBackend : std::uint8_t {
  kOpenSsl,
  kIpsecMb,  // intel-ipsec-mb
};
std::string_view AeadBackendName(AeadBackend backend);  // "openssl", "ipsec-mb"

// Whether this program and this processor can use it. ipsec-mb counts only with VAES and AVX-512:
// without them it is no faster than OpenSSL.
bool AeadBackendAvailable(AeadBackend backend);
// What an Aes256Gcm uses unless it is told: the fastest available, or what UseAeadBackend() said.
AeadBackend DefaultAeadBackend();
// "auto", "openssl" or "ipsec-mb", for this process; to be called before its first key. kInvalid
// names an unknown one, or why this machine cannot.
Status UseAeadBackend(std::string_view name);

// One key as a backend holds it; see Aes256Gcm for what its functions promise.
class AeadKey {
 public:
  virtual ~AeadKey() = default;
  virtual void Seal(const Nonce& nonce, ByteView associated, ByteView plaintext,
                    std::uint8_t* out) const = 0;
  // May leave anything in `out` (sealed.size() - 16 bytes) when it answers false.
  virtual bool Open(const Nonce& nonce, ByteView associated, ByteView sealed,
                    std::uint8_t* out) const = 0;
};

// One key, many messages; the key schedule is computed once and wiped with the object. The caller
// never repeats a nonce under one key. Its const functions may run on several threads at once.
class Aes256Gcm {
 public:
  // `key` has 32 bytes and is copied into the cipher's own state. `backend` must be available.
  explicit Aes256Gcm(ByteView key, AeadBackend backend = DefaultAeadBackend());

  // Writes ciphertext and tag; `out` has plaintext.size() + 16 bytes and does not overlap it.
  void Seal(const Nonce& nonce, ByteView associated, ByteView plaintext,
            std::span<std::uint8_t> out) const;
  // False when the tag does not match; `out` (sealed.size() - 16 bytes, no overlap) is then zeroed.
  bool Open(const Nonce& nonce, ByteView associated, ByteView sealed,
            std::span<std::uint8_t> out) const;

 private:
  std::unique_ptr<const AeadKey> key_;
};

}  // namespace spillway::data
