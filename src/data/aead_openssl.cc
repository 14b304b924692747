#include <openssl/evp.h>

#include <atomic>

#include "data/aead_backends.h"
#include "data/secret.h"

namespace spillway::data {
namespace {

// Fetched once: every EVP_aes_256_gcm() would search the providers anew.
const EVP_CIPHER* Cipher() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  SPW_CHECK(cipher != nullptr, "OpenSSL has no AES-256-GCM");
  return cipher;
}

// A context with the key schedule, which one thread at a time may use. The first that is free is
// kept; a thread that finds none makes its own.
class Contexts {
 public:
  explicit Contexts(bool seals) : seals_(seals) {}
  ~Contexts() { EVP_CIPHER_CTX_free(kept_.load()); }
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;

  EVP_CIPHER_CTX* Take(const Secret& key) {
    if (EVP_CIPHER_CTX* kept = kept_.exchange(nullptr, std::memory_order_acquire)) return kept;
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    SPW_CHECK(context != nullptr, "out of memory for a cipher");
    SPW_CHECK(EVP_CipherInit_ex(context, Cipher(), nullptr, key.bytes().data(), nullptr,
                                seals_ ? 1 : 0) == 1);
    return context;
  }
  void Give(EVP_CIPHER_CTX* context) {
    EVP_CIPHER_CTX_free(kept_.exchange(context, std::memory_order_acq_rel));
  }

 private:
  const bool seals_;
  std::atomic<EVP_CIPHER_CTX*> kept_{nullptr};
};

// Nonce, then associated data, then the bytes from `in` to `out`.
void Run(EVP_CIPHER_CTX* context, const Nonce& nonce, ByteView associated, ByteView in,
         std::uint8_t* out) {
  int n = 0;
  SPW_CHECK(EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), -1) == 1);
  if (!associated.empty())
    SPW_CHECK(EVP_CipherUpdate(context, nullptr, &n, associated.data(),
                               static_cast<int>(associated.size())) == 1);
  if (!in.empty())
    SPW_CHECK(EVP_CipherUpdate(context, out, &n, in.data(), static_cast<int>(in.size())) == 1);
}

class OpenSslKey final : public AeadKey {
 public:
  explicit OpenSslKey(ByteView key) : key_(*Secret::FromBytes(key)) {}

  void Seal(const Nonce& nonce, ByteView associated, ByteView plaintext,
            std::uint8_t* out) const override {
    EVP_CIPHER_CTX* context = seals_.Take(key_);
    Run(context, nonce, associated, plaintext, out);
    std::uint8_t* tag = out + plaintext.size();
    int n = 0;
    SPW_CHECK(EVP_CipherFinal_ex(context, tag, &n) == 1 && n == 0);
    SPW_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) == 1);
    seals_.Give(context);
  }

  bool Open(const Nonce& nonce, ByteView associated, ByteView sealed,
            std::uint8_t* out) const override {
    EVP_CIPHER_CTX* context = opens_.Take(key_);
    Run(context, nonce, associated, sealed.first(sealed.size() - kTagBytes), out);
    std::array<std::uint8_t, kTagBytes> tag;
    std::copy(sealed.end() - kTagBytes, sealed.end(), tag.begin());
    SPW_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1);
    std::uint8_t none[kTagBytes];
    int n = 0;
    const bool good = EVP_CipherFinal_ex(context, none, &n) == 1;
    opens_.Give(context);
    return good;
  }

 private:
  const Secret key_;
  mutable Contexts seals_{true};
  mutable Contexts opens_{false};
};

}  // namespace

std::unique_ptr<const AeadKey> MakeOpenSslKey(ByteView key) {
  return std::make_unique<OpenSslKey>(key);
}

}  // namespace spillway::data
