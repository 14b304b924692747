#include "data/aead_backends.h"
#include "data/secret.h"

#ifdef SPILLWAY_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

namespace spillway::data {

#ifdef SPILLWAY_IPSEC_MB
namespace {

// The table of functions for this processor; null where they would not be worth it. It is only read
// after this, and the functions for single messages keep their state with the caller.
const IMB_MGR* Functions() {
  static const IMB_MGR* const functions = []() -> const IMB_MGR* {
    IMB_MGR* manager = alloc_mb_mgr(0);
    if (manager == nullptr) return nullptr;
    init_mb_mgr_auto(manager, nullptr);
    constexpr std::uint64_t kNeeded =
        IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX;
    const bool tested = (manager->features & IMB_FEATURE_SELF_TEST) == 0 ||
                        (manager->features & IMB_FEATURE_SELF_TEST_PASS) != 0;
    if (imb_get_errno(manager) == 0 && tested && (manager->features & kNeeded) == kNeeded &&
        manager->used_arch == IMB_ARCH_AVX512)
      return manager;
    free_mb_mgr(manager);
    return nullptr;
  }();
  return functions;
}

class IpsecMbKey final : public AeadKey {
 public:
  explicit IpsecMbKey(ByteView key) { IMB_AES256_GCM_PRE(Functions(), key.data(), &schedule_); }
  ~IpsecMbKey() override {
    Cleanse({reinterpret_cast<std::uint8_t*>(&schedule_), sizeof schedule_});
  }
  IpsecMbKey(const IpsecMbKey&) = delete;
  IpsecMbKey& operator=(const IpsecMbKey&) = delete;

  void Seal(const Nonce& nonce, ByteView associated, ByteView plaintext,
            std::uint8_t* out) const override {
    gcm_context_data context;
    IMB_AES256_GCM_ENC(Functions(), &schedule_, &context, out, Data(plaintext), plaintext.size(),
                       nonce.data(), Data(associated), associated.size(), out + plaintext.size(),
                       kTagBytes);
    CleanseContext(context);
  }

  bool Open(const Nonce& nonce, ByteView associated, ByteView sealed,
            std::uint8_t* out) const override {
    const std::size_t size = sealed.size() - kTagBytes;
    gcm_context_data context;
    std::array<std::uint8_t, kTagBytes> tag;
    std::uint8_t none = 0;
    IMB_AES256_GCM_DEC(Functions(), &schedule_, &context, size == 0 ? &none : out, sealed.data(),
                       size, nonce.data(), Data(associated), associated.size(), tag.data(),
                       kTagBytes);
    CleanseContext(context);
    return EqualConstantTime(tag, sealed.last(kTagBytes));
  }

 private:
  // The library takes no null pointer, not even for nothing.
  static const std::uint8_t* Data(ByteView bytes) {
    static constexpr std::uint8_t kNone = 0;
    return bytes.empty() ? &kNone : bytes.data();
  }
  static void CleanseContext(gcm_context_data& context) {
    Cleanse({reinterpret_cast<std::uint8_t*>(&context), sizeof context});
  }

  alignas(64) gcm_key_data schedule_{};
};

}  // namespace

std::unique_ptr<const AeadKey> MakeIpsecMbKey(ByteView key) {
  return std::make_unique<IpsecMbKey>(key);
}

bool IpsecMbAvailable() {
  return Functions() != nullptr;
}

#else

std::unique_ptr<const AeadKey> MakeIpsecMbKey(ByteView) {
  SPW_CHECK(false, "built without ipsec-mb");
  return nullptr;
}

bool IpsecMbAvailable() {
  return false;
}

#endif

}  // namespace spillway::data
