#include "data/aead.h"

#include <openssl/evp.h>

#include "base/result.h"
#include "data/secret.h"

namespace spillway::data {

void Aes256Gcm::Free::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);
}

Aes256Gcm::Aes256Gcm(ByteView key) : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
  SPW_CHECK(key.size() == 32, "AES-256 needs a key of 32 bytes");
  SPW_CHECK(seal_ && open_, "out of memory for a cipher");
  SPW_CHECK(EVP_EncryptInit_ex(seal_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) == 1);
  SPW_CHECK(EVP_DecryptInit_ex(open_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) == 1);
}

void Aes256Gcm::Seal(const Nonce& nonce, ByteView associated, ByteView plaintext,
                     std::span<std::uint8_t> out) {
  SPW_CHECK(out.size() == plaintext.size() + kTagBytes);
  EVP_CIPHER_CTX* context = seal_.get();
  int n = 0;
  SPW_CHECK(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
  if (!associated.empty())
    SPW_CHECK(EVP_EncryptUpdate(context, nullptr, &n, associated.data(),
                                static_cast<int>(associated.size())) == 1);
  if (!plaintext.empty())
    SPW_CHECK(EVP_EncryptUpdate(context, out.data(), &n, plaintext.data(),
                                static_cast<int>(plaintext.size())) == 1);
  std::uint8_t* tag = out.data() + plaintext.size();
  SPW_CHECK(EVP_EncryptFinal_ex(context, tag, &n) == 1 && n == 0);
  SPW_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) == 1);
}

bool Aes256Gcm::Open(const Nonce& nonce, ByteView associated, ByteView sealed,
                     std::span<std::uint8_t> out) {
  if (sealed.size() < kTagBytes) return false;
  const std::size_t size = sealed.size() - kTagBytes;
  SPW_CHECK(out.size() == size);
  EVP_CIPHER_CTX* context = open_.get();
  int n = 0;
  SPW_CHECK(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1);
  if (!associated.empty())
    SPW_CHECK(EVP_DecryptUpdate(context, nullptr, &n, associated.data(),
                                static_cast<int>(associated.size())) == 1);
  if (size > 0)
    SPW_CHECK(EVP_DecryptUpdate(context, out.data(), &n, sealed.data(), static_cast<int>(size)) ==
              1);
  std::array<std::uint8_t, kTagBytes> tag;
  std::copy(sealed.end() - kTagBytes, sealed.end(), tag.begin());
  SPW_CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1);
  std::uint8_t none[kTagBytes];
  if (EVP_DecryptFinal_ex(context, none, &n) == 1) return true;
  Cleanse(out);
  return false;
}

}  // namespace spillway::data
