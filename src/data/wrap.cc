#include "data/wrap.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>

#include "data/aead.h"
#include "data/bytes.h"

namespace spillway::data {
namespace {

// Registry numbers of RFC 9180 section 7: KEM 0x0020, KDF 0x0001, AEAD 0x0002.
constexpr std::string_view kKemSuite{"KEM\x00\x20", 5};
constexpr std::string_view kHpkeSuite{"HPKE\x00\x20\x00\x01\x00\x02", 10};
constexpr std::string_view kVersion = "HPKE-v1";

// RFC 9180 section 4, LabeledExtract and LabeledExpand.
Secret LabeledExtract(std::string_view suite, ByteView salt, std::string_view label,
                      ByteView input) {
  ByteBuffer labeled;
  for (std::string_view part : {kVersion, suite, label}) AppendRaw(labeled, part);
  AppendBytes(labeled, input);
  const CleanseGuard guard(labeled);
  return HkdfExtract(salt, labeled);
}

ByteBuffer ExpandInfo(std::string_view suite, std::string_view label, ByteView info,
                      std::uint16_t length) {
  ByteBuffer labeled;
  AppendBigEndian(labeled, length);
  for (std::string_view part : {kVersion, suite, label}) AppendRaw(labeled, part);
  AppendBytes(labeled, info);
  return labeled;
}

// Section 4.1: the KEM's shared secret out of the Diffie-Hellman result.
Secret SharedSecret(const Secret& agreed, const NodePublicKey& ephemeral,
                    const NodePublicKey& recipient) {
  const Secret extracted = LabeledExtract(kKemSuite, {}, "eae_prk", agreed.bytes());
  ByteBuffer context;
  AppendBytes(context, ephemeral.bytes);
  AppendBytes(context, recipient.bytes);
  return HkdfExpandSecret(extracted, ExpandInfo(kKemSuite, "shared_secret", context, 32));
}

struct Schedule {
  Secret key;
  Nonce nonce;
};

// Section 5.1, KeySchedule in base mode (no pre-shared key).
Schedule KeySchedule(const Secret& shared, ByteView info) {
  ByteBuffer context{0};
  AppendBytes(context, LabeledExtract(kHpkeSuite, {}, "psk_id_hash", {}).bytes());
  AppendBytes(context, LabeledExtract(kHpkeSuite, {}, "info_hash", info).bytes());
  const Secret secret = LabeledExtract(kHpkeSuite, shared.bytes(), "secret", {});
  Schedule schedule{HkdfExpandSecret(secret, ExpandInfo(kHpkeSuite, "key", context, 32)), {}};
  HkdfExpand(secret, ExpandInfo(kHpkeSuite, "base_nonce", context, kNonceBytes), schedule.nonce);
  return schedule;
}

ByteBuffer Info(const WrapContext& context) {
  ByteBuffer info;
  AppendField(info, "spillway run key 1");
  AppendField(info, context.node);
  AppendField(info, context.run_id);
  return info;
}

}  // namespace

Result<NodePublicKey> NodePublicKey::Parse(std::string_view hex) {
  auto bytes = ParseHex(hex);
  NodePublicKey key;
  if (!bytes || bytes->size() != key.bytes.size())
    return Fail(Code::kInvalid, "a node's public key is 64 hexadecimal digits");
  std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
  return key;
}

Result<NodeKey> NodeKey::Generate() {
  SPW_ASSIGN(const Secret scalar, Secret::Generate());
  return FromSecret(scalar);
}

NodeKey NodeKey::FromSecret(const Secret& scalar) {
  NodeKey key;
  key.key_.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, scalar.bytes().data(),
                                              scalar.bytes().size()));
  std::size_t size = key.public_key_.bytes.size();
  SPW_CHECK(key.key_ != nullptr &&
            EVP_PKEY_get_raw_public_key(key.key_.get(), key.public_key_.bytes.data(), &size) == 1);
  return key;
}

Result<Secret> NodeKey::Agree(const NodePublicKey& peer) const {
  SPW_CHECK(key_ != nullptr, "a node key was used after a move");
  struct FreeContext {
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  };
  const Pkey other(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.bytes.data(), peer.bytes.size()));
  const std::unique_ptr<EVP_PKEY_CTX, FreeContext> context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  std::array<std::uint8_t, 32> agreed;
  const CleanseGuard guard(agreed);
  std::size_t size = agreed.size();
  SPW_CHECK(other != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
            EVP_PKEY_derive_set_peer(context.get(), other.get()) == 1);
  if (EVP_PKEY_derive(context.get(), agreed.data(), &size) != 1 || size != agreed.size()) {
    ERR_clear_error();
    return Fail(Code::kInvalid, "the X25519 public key is of small order");
  }
  return Secret::FromBytes(agreed);
}

Result<ByteBuffer> WrapRunKey(const Secret& run_key, const NodePublicKey& node,
                              const WrapContext& context, const NodeKey& ephemeral) {
  auto agreed = ephemeral.Agree(node);
  if (!agreed) return Fail(agreed.error().In(fmt::format("node {}", context.node)));
  const Schedule schedule =
      KeySchedule(SharedSecret(*agreed, ephemeral.public_key(), node), Info(context));
  ByteBuffer out(ephemeral.public_key().bytes.begin(), ephemeral.public_key().bytes.end());
  out.resize(kWrappedKeyBytes);
  Aes256Gcm(schedule.key.bytes())
      .Seal(schedule.nonce, {}, run_key.bytes(), std::span(out).subspan(32));
  return out;
}

Result<Secret> UnwrapRunKey(const NodeKey& node, const WrapContext& context, ByteView wrapped) {
  auto corrupt = [&](std::string_view what) {
    return Fail(Code::kCorrupt, fmt::format("run key of run {} for node {}: {}", context.run_id,
                                            context.node, what));
  };
  if (wrapped.size() != kWrappedKeyBytes)
    return corrupt(fmt::format("{} bytes instead of {}", wrapped.size(), kWrappedKeyBytes));
  NodePublicKey ephemeral;
  std::copy_n(wrapped.begin(), 32, ephemeral.bytes.begin());
  auto agreed = node.Agree(ephemeral);
  if (!agreed) return corrupt(agreed.error().message);
  const Schedule schedule =
      KeySchedule(SharedSecret(*agreed, ephemeral, node.public_key()), Info(context));
  std::array<std::uint8_t, Secret::kSize> key;
  const CleanseGuard guard(key);
  if (!Aes256Gcm(schedule.key.bytes()).Open(schedule.nonce, {}, wrapped.subspan(32), key))
    return corrupt("it was not sealed to this node for this run, or was changed");
  return Secret::FromBytes(key);
}

}  // namespace spillway::data
