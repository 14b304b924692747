#include "node/run_key.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <array>
#include <mutex>

#include "door/protocol.h"

namespace spillway::node {
namespace {

tl::unexpected<Error> NoKey() {
  return Fail(Code::kDenied, "this node holds no run key (any more)");
}

}  // namespace

data::ManifestExpectation RunNames::Manifest(const data::VerifyKey& site) const {
  return {node, std::string(door::kRunDatasetNamespace), node, dataset_version, site};
}

data::ChunkContext RunNames::Chunk(std::uint32_t index) const {
  return data::DataChunkContext(node, fmt::format("{}/{}", door::kRunDatasetNamespace, node),
                                dataset_version, index);
}

data::ChunkContext RunNames::ResultChunk(const std::string& place, const std::string& path,
                                         std::uint32_t index) const {
  return {node, place, dataset_version, data::Direction::kUp, "result/" + path, index};
}

Status RunKey::Set(data::Secret key) {
  const std::lock_guard lock(mutex_);
  if (destroyed_) return NoKey();
  key_ = std::move(key);
  return Ok();
}

bool RunKey::Held() const {
  const std::shared_lock lock(mutex_);
  return key_.has_value();
}

void RunKey::Destroy() {
  const std::lock_guard lock(mutex_);
  destroyed_ = true;
  key_.reset();
}

Result<data::Manifest> RunKey::OpenManifest(const data::ManifestExpectation& expected,
                                            ByteView sealed) const {
  const std::shared_lock lock(mutex_);
  if (!key_) return NoKey();
  return data::OpenManifest(*key_, expected, sealed);
}

Status RunKey::CheckChunk(const data::Manifest& manifest, std::uint32_t index,
                          ByteView sealed) const {
  const std::shared_lock lock(mutex_);
  if (!key_) return NoKey();
  return data::CheckSealedChunk(manifest, index, *key_, sealed);
}

Result<data::ChunkOpener> RunKey::Opener(data::ChunkContext context, ByteView header,
                                         std::int64_t sealed_bytes) const {
  const std::shared_lock lock(mutex_);
  if (!key_) return NoKey();
  return data::ChunkOpener::Make(*key_, std::move(context), header, sealed_bytes);
}

Result<ByteBuffer> RunKey::Seal(const data::ChunkContext& context, ByteView plaintext) const {
  std::array<std::uint8_t, data::kSaltBytes> salt;
  if (RAND_bytes(salt.data(), static_cast<int>(salt.size())) != 1)
    return Fail(Code::kInternal, "the machine has no entropy for a salt");
  const std::shared_lock lock(mutex_);
  if (!key_) return NoKey();
  return data::SealChunk(*key_, context, plaintext, salt);
}

}  // namespace spillway::node
