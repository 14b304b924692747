// A run key sealed to one node: HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256),
// HKDF-SHA256 and AES-256-GCM. Node name and run id are HPKE's `info`, so a key sealed for one node
// or run opens for no other.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/encoding.h"
#include "base/result.h"
#include "data/secret.h"
#include "data/sign.h"

namespace spillway::data {

// A node's X25519 public key, shown when it registers.
struct NodePublicKey {
  std::array<std::uint8_t, 32> bytes{};

  static Result<NodePublicKey> Parse(std::string_view hex);  // 64 digits
  std::string Hex() const { return spillway::Hex(bytes); }
  bool operator==(const NodePublicKey&) const = default;
};

// A node's private half; made at boot, never stored, move-only.
class NodeKey {
 public:
  static Result<NodeKey> Generate();
  static NodeKey FromSecret(const Secret& scalar);

  const NodePublicKey& public_key() const { return public_key_; }
  // RFC 7748 section 6.1. kInvalid for a peer key of small order (the result would be zero).
  Result<Secret> Agree(const NodePublicKey& peer) const;

 private:
  NodeKey() = default;

  Pkey key_;
  NodePublicKey public_key_;
};

// Both ends state whom the key is for; neither is taken from the message.
struct WrapContext {
  std::string node;  // name of the BurstNode
  std::string run_id;
};

inline constexpr std::size_t kWrappedKeyBytes = 32 + 32 + 16;

// 80 bytes: ephemeral public key, then the sealed run key. `ephemeral` is a fresh NodeKey, used
// once and dropped. kInvalid when `node` is of small order.
Result<ByteBuffer> WrapRunKey(const Secret& run_key, const NodePublicKey& node,
                              const WrapContext& context, const NodeKey& ephemeral);

// kCorrupt for anything but the bytes WrapRunKey made for this node key and context.
Result<Secret> UnwrapRunKey(const NodeKey& node, const WrapContext& context, ByteView wrapped);

}  // namespace spillway::data
