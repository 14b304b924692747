// The data manifest: everything one run may read, where each byte of it lies, and what the sealed
// chunks must be. It is signed by the site and sealed like a chunk, so a node notices a chunk that
// was left out, an older one, or two files that changed places, which sealing alone cannot show.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/json.h"
#include "base/result.h"
#include "data/pack.h"
#include "data/seal.h"
#include "data/secret.h"
#include "data/sign.h"

namespace spillway::data {

inline constexpr std::string_view kManifestType = "spillway manifest 1";

struct ManifestChunk {
  std::int64_t plain_bytes = 0;
  std::int64_t sealed_bytes = 0;  // SealedSize(plain_bytes), or fewer where it is compressed
  Digest digest{};                // SealDigest() of it

  bool operator==(const ManifestChunk&) const = default;
};

struct Manifest {
  std::string run_id;
  std::string dataset_namespace;
  std::string dataset_name;
  std::string dataset_version;
  std::string data_class;  // public, internal, confidential or restricted
  std::vector<PackedFile> files;
  std::vector<ManifestChunk> chunks;  // chunk i of the layout at [i]

  bool operator==(const Manifest&) const = default;
};

// Context under which chunk `index` of this manifest is sealed, and the manifest itself.
ChunkContext DataChunkContext(const std::string& run_id, const std::string& dataset,
                              const std::string& dataset_version, std::uint32_t index);
ChunkContext ManifestContext(const std::string& run_id, const std::string& dataset,
                             const std::string& dataset_version);

// Merkle root over the digests of the sealed chunks, in order.
Digest ManifestRoot(const Manifest& manifest);

// Ok when all of this holds, else kInvalid with the file and field: known data class; at most 1e6
// files and chunks; paths as CheckPaths wants them; every extent inside its chunk, none of a file
// overlapping another of it, together as long as the file; sealed sizes as sealing gives them.
Status CheckManifest(const Manifest& manifest);

// Canonical JSON of the body (format, fields above, root). Written without building the JSON value:
// for a million files that takes a gigabyte.
Result<std::string> ManifestText(const Manifest& manifest);
// And back; decoding ends with CheckManifest and refuses unknown members or a root that is not the
// chunks'.
Result<Manifest> DecodeManifest(const json::value& body);

// Signed by the site, then sealed with the run key; `salt` as for SealChunk.
Result<ByteBuffer> SealManifest(const Manifest& manifest, const SigningKey& site,
                                const Secret& run_key, ByteView salt);

// What a node expects to receive; nothing of it is taken from the manifest.
struct ManifestExpectation {
  std::string run_id;
  std::string dataset_namespace;
  std::string dataset_name;
  std::string dataset_version;
  VerifyKey site;
};

// kCorrupt when it was not sealed for this expectation, was changed, or contradicts it; kDenied
// when another key signed it; kInvalid when its content breaks a rule above.
Result<Manifest> OpenManifest(const Secret& run_key, const ManifestExpectation& expected,
                              ByteView sealed);

// Ok when `sealed` is chunk `index` of the manifest, byte for byte, so that a cache checks before
// it keeps a chunk; else kCorrupt, or kInvalid for an index that is not there.
Status CheckSealedChunk(const Manifest& manifest, std::size_t index, const Secret& run_key,
                        ByteView sealed);

}  // namespace spillway::data
