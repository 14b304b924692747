#include "data/aead.h"

#include <fmt/format.h>

#include <atomic>

#include "data/aead_backends.h"
#include "data/secret.h"

namespace spillway::data {
namespace {

std::atomic<AeadBackend>& Default() {
  static std::atomic<AeadBackend> backend{IpsecMbAvailable() ? AeadBackend::kIpsecMb
                                                             : AeadBackend::kOpenSsl};
  return backend;
}

}  // namespace

std::string_view AeadBackendName(AeadBackend backend) {
  return backend == AeadBackend::kIpsecMb ? "ipsec-mb" : "openssl";
}

bool AeadBackendAvailable(AeadBackend backend) {
  return backend == AeadBackend::kOpenSsl || IpsecMbAvailable();
}

AeadBackend DefaultAeadBackend() {
  return Default().load(std::memory_order_relaxed);
}

Status UseAeadBackend(std::string_view name) {
  AeadBackend backend = AeadBackend::kOpenSsl;
  if (name == "auto") {
    if (IpsecMbAvailable()) backend = AeadBackend::kIpsecMb;
  } else if (name == AeadBackendName(AeadBackend::kIpsecMb)) {
    backend = AeadBackend::kIpsecMb;
  } else if (name != AeadBackendName(AeadBackend::kOpenSsl)) {
    return Fail(Code::kInvalid,
                fmt::format("cipher library \"{}\" is not known; known are auto, openssl and "
                            "ipsec-mb",
                            name));
  }
  if (!AeadBackendAvailable(backend))
    return Fail(Code::kInvalid,
                "cipher library ipsec-mb needs a processor with VAES and AVX-512, and this one "
                "lacks them; use auto or openssl");
  Default().store(backend, std::memory_order_relaxed);
  return Ok();
}

Aes256Gcm::Aes256Gcm(ByteView key, AeadBackend backend) {
  SPW_CHECK(key.size() == 32, "AES-256 needs a key of 32 bytes");
  SPW_CHECK(AeadBackendAvailable(backend), "this cipher library cannot run here");
  key_ = backend == AeadBackend::kIpsecMb ? MakeIpsecMbKey(key) : MakeOpenSslKey(key);
}

void Aes256Gcm::Seal(const Nonce& nonce, ByteView associated, ByteView plaintext,
                     std::span<std::uint8_t> out) const {
  SPW_CHECK(out.size() == plaintext.size() + kTagBytes);
  key_->Seal(nonce, associated, plaintext, out.data());
}

bool Aes256Gcm::Open(const Nonce& nonce, ByteView associated, ByteView sealed,
                     std::span<std::uint8_t> out) const {
  if (sealed.size() < kTagBytes) return false;
  SPW_CHECK(out.size() == sealed.size() - kTagBytes);
  if (key_->Open(nonce, associated, sealed, out.data())) return true;
  Cleanse(out);
  return false;
}

}  // namespace spillway::data
