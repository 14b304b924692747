#include "data/secret.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <utility>

#include "data/bytes.h"

namespace spillway::data {
namespace {

constexpr std::size_t kSecureHeapBytes = 64 * 1024;  // below the common 64 KiB memlock limit

std::uint8_t* Allocate() {
  // Once per process; a machine that forbids locking leaves OpenSSL on the ordinary heap.
  static const bool ready = [] {
    return CRYPTO_secure_malloc_initialized() != 0 ||
           CRYPTO_secure_malloc_init(kSecureHeapBytes, Secret::kSize) != 0;
  }();
  void* memory = ready ? OPENSSL_secure_zalloc(Secret::kSize) : nullptr;
  if (memory == nullptr) memory = OPENSSL_zalloc(Secret::kSize);
  SPW_CHECK(memory != nullptr, "out of memory for a key");
  return static_cast<std::uint8_t*>(memory);
}

Digest Hmac(ByteView key, ByteView message) {
  Digest out;
  unsigned int length = 0;
  SPW_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(),
                 message.size(), out.data(), &length) != nullptr &&
            length == out.size());
  return out;
}

}  // namespace

Secret::Secret() : bytes_(Allocate()) {}

Result<Secret> Secret::Generate() {
  Secret secret;
  if (RAND_priv_bytes(secret.bytes_, kSize) != 1)
    return Fail(Code::kInternal, "OpenSSL has no random bytes for a key");
  return secret;
}

Result<Secret> Secret::FromBytes(ByteView bytes) {
  if (bytes.size() != kSize)
    return Fail(Code::kInvalid, fmt::format("a key has {} bytes, not {}", kSize, bytes.size()));
  Secret secret;
  std::copy(bytes.begin(), bytes.end(), secret.bytes_);
  return secret;
}

Secret::Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, nullptr)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    Destroy();
    bytes_ = std::exchange(other.bytes_, nullptr);
  }
  return *this;
}

Secret::~Secret() {
  Destroy();
}

void Secret::Destroy() {
  if (bytes_ != nullptr) OPENSSL_secure_clear_free(bytes_, kSize);  // cleanses either heap
  bytes_ = nullptr;
}

ByteView Secret::bytes() const {
  SPW_CHECK(bytes_ != nullptr, "a key was used after it was destroyed");
  return {bytes_, kSize};
}

bool Secret::EqualsConstantTime(const Secret& other) const {
  return spillway::EqualConstantTime(bytes(), other.bytes());
}

Secret Secret::Clone() const {
  Secret copy;
  std::copy_n(bytes().data(), kSize, copy.bytes_);
  return copy;
}

Secret HkdfExtract(ByteView salt, ByteView input) {
  Digest digest = Hmac(salt, input);
  const CleanseGuard guard(digest);
  Secret secret;
  std::copy(digest.begin(), digest.end(), secret.bytes_);
  return secret;
}

void HkdfExpand(const Secret& key, ByteView info, std::span<std::uint8_t> out) {
  SPW_CHECK(out.size() <= 255 * Secret::kSize, "HKDF-Expand gives 8160 bytes at most");
  Digest block{};
  const CleanseGuard guard(block);
  ByteBuffer message;
  for (std::size_t done = 0, counter = 1; done < out.size(); ++counter) {
    message.clear();
    if (counter > 1) AppendBytes(message, block);
    AppendBytes(message, info);
    message.push_back(static_cast<std::uint8_t>(counter));
    block = Hmac(key.bytes(), message);
    Cleanse(message);
    const std::size_t n = std::min(block.size(), out.size() - done);
    std::copy_n(block.begin(), n, out.begin() + static_cast<std::ptrdiff_t>(done));
    done += n;
  }
}

Secret HkdfExpandSecret(const Secret& key, ByteView info) {
  Secret secret;
  HkdfExpand(key, info, {secret.bytes_, Secret::kSize});
  return secret;
}

void Cleanse(std::span<std::uint8_t> bytes) {
  OPENSSL_cleanse(bytes.data(), bytes.size());
}

}  // namespace spillway::data
