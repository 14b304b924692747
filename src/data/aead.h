// AES-256-GCM (NIST SP 800-38D) over OpenSSL. Nothing else in this library touches a cipher mode
// with authentication.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/encoding.h"

struct evp_cipher_ctx_st;

namespace spillway::data {

inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kNonceBytes = 12;
using Nonce = std::array<std::uint8_t, kNonceBytes>;

// One key, many messages; the key schedule is computed once and wiped with the object. The caller
// never repeats a nonce under one key. Not thread-safe.
class Aes256Gcm {
 public:
  // `key` has 32 bytes and is copied into the cipher's own state.
  explicit Aes256Gcm(ByteView key);

  // Writes ciphertext and tag; `out` has plaintext.size() + 16 bytes and does not overlap it.
  void Seal(const Nonce& nonce, ByteView associated, ByteView plaintext,
            std::span<std::uint8_t> out);
  // False when the tag does not match; `out` (sealed.size() - 16 bytes) is then zeroed.
  bool Open(const Nonce& nonce, ByteView associated, ByteView sealed, std::span<std::uint8_t> out);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  std::unique_ptr<evp_cipher_ctx_st, Free> seal_;
  std::unique_ptr<evp_cipher_ctx_st, Free> open_;
};

}  // namespace spillway::data
