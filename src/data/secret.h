// Key material in memory, and HKDF-SHA256 to derive from it (RFC 5869).
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/encoding.h"
#include "base/result.h"

namespace spillway::data {

// A 32-byte key. Move-only; zeroised when it is destroyed, assigned to or moved from. It lives in
// OpenSSL's secure heap (locked, guarded, left out of core dumps) while that has room and the
// machine allows locking, else in ordinary memory. It has no conversion to text, JSON or a log
// field. Not thread-safe to move; reading from several threads is fine.
class Secret {
 public:
  static constexpr std::size_t kSize = 32;

  // From OpenSSL's generator; kInternal when the machine has no entropy.
  static Result<Secret> Generate();
  // Copies exactly 32 bytes, else kInvalid. The caller wipes its own copy.
  static Result<Secret> FromBytes(ByteView bytes);

  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  // False after a move or Destroy(); the functions below then stop the process.
  bool has_value() const { return bytes_ != nullptr; }
  ByteView bytes() const;
  bool EqualsConstantTime(const Secret& other) const;
  // Another copy of the same key, with its own life.
  Secret Clone() const;
  // Zeroises now.
  void Destroy();

 private:
  friend Secret HkdfExtract(ByteView salt, ByteView input);
  friend Secret HkdfExpandSecret(const Secret& key, ByteView info);
  Secret();  // 32 zero bytes, to be filled

  std::uint8_t* bytes_ = nullptr;
};

// RFC 5869 section 2.2. An empty salt is allowed.
Secret HkdfExtract(ByteView salt, ByteView input);
// RFC 5869 section 2.3; at most 255 * 32 bytes of output. The caller wipes `out` where it is
// secret.
void HkdfExpand(const Secret& key, ByteView info, std::span<std::uint8_t> out);
// One 32-byte key by HKDF-Expand.
Secret HkdfExpandSecret(const Secret& key, ByteView info);

// Zeroises memory in a way the compiler keeps.
void Cleanse(std::span<std::uint8_t> bytes);

// Cleanses a buffer when the scope is left.
class CleanseGuard {
 public:
  explicit CleanseGuard(std::span<std::uint8_t> bytes) : bytes_(bytes) {}
  ~CleanseGuard() { Cleanse(bytes_); }
  CleanseGuard(const CleanseGuard&) = delete;
  CleanseGuard& operator=(const CleanseGuard&) = delete;

 private:
  std::span<std::uint8_t> bytes_;
};

}  // namespace spillway::data
