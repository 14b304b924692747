// The one key of the run, held in memory until it is destroyed, and the names under which the
// run's chunks are sealed.
#pragma once

#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <string>

#include "data/manifest.h"
#include "data/seal.h"
#include "data/secret.h"
#include "data/wrap.h"

namespace spillway::node {

// What the run is called in everything that is sealed. The run id is the BurstNode's name; one
// manifest covers all inputs of the run, so its dataset is named after the run as well.
struct RunNames {
  std::string node;
  std::string dataset_version;

  data::ManifestExpectation Manifest(const data::VerifyKey& site) const;
  data::ChunkContext Chunk(std::uint32_t index) const;
  // `place` is "<namespace>/<claim>", `path` the file below it.
  data::ChunkContext ResultChunk(const std::string& place, const std::string& path,
                                 std::uint32_t index) const;
};

// Whoever uses the key holds a shared lock meanwhile and never a copy, so after Destroy() there is
// none. Thread-safe.
class RunKey {
 public:
  // kDenied once destroyed: a key that comes late is not taken.
  Status Set(data::Secret key);
  bool Held() const;
  // Waits for running uses (one chunk each) and zeroises.
  void Destroy();

  // As the functions of data; kDenied without a key.
  Result<data::Manifest> OpenManifest(const data::ManifestExpectation& expected,
                                      ByteView sealed) const;
  Status CheckChunk(const data::Manifest& manifest, std::uint32_t index, ByteView sealed) const;
  // The opener holds a key of its own, which Destroy() does not reach: who keeps it destroys it.
  Result<data::ChunkOpener> Opener(data::ChunkContext context, ByteView header,
                                   std::int64_t sealed_bytes) const;
  // With a fresh salt.
  Result<ByteBuffer> Seal(const data::ChunkContext& context, ByteView plaintext) const;

 private:
  mutable std::shared_mutex mutex_;
  std::optional<data::Secret> key_;
  bool destroyed_ = false;
};

}  // namespace spillway::node
