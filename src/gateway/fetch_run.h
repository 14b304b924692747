// For tests: what a node of a run fetches, and how it opens it.
#pragma once

#include <map>
#include <string>

#include "data/manifest.h"
#include "gateway/run_store.h"

namespace spillway::gateway {

inline Result<std::string> AllOf(Result<std::unique_ptr<SealedSlice>> slice) {
  if (!slice) return Fail(slice.error());
  std::string bytes(static_cast<std::size_t>((*slice)->bytes()), '\0');
  SPW_TRY((*slice)->Read(0, bytes));
  return bytes;
}

// Everything of a prepared run; path -> content. Errors as a node would meet them.
inline Result<std::map<std::string, std::string>> FetchRun(Runs& runs, KeyStore& keys,
                                                           const data::VerifyKey& site,
                                                           const std::string& run) {
  std::map<std::string, std::string> files;
  const Status used = keys.Use(run, [&](const data::Secret& key) -> Status {
    const std::string version = runs.Find(run)->dataset_version;
    SPW_ASSIGN(const std::string sealed, AllOf(runs.Manifest(run, {})));
    SPW_ASSIGN(const data::Manifest manifest,
               data::OpenManifest(key, {run, "run", run, version, site}, AsBytes(sealed)));
    std::vector<ByteBuffer> chunks;
    for (std::size_t i = 0; i < manifest.chunks.size(); ++i) {
      SPW_ASSIGN(const std::string chunk, AllOf(runs.Chunk(run, i, {})));
      SPW_TRY(data::CheckSealedChunk(manifest, i, key, AsBytes(chunk)));
      SPW_ASSIGN(ByteBuffer plain,
                 data::OpenChunk(key,
                                 data::DataChunkContext(run, "run/" + run, version,
                                                        static_cast<std::uint32_t>(i)),
                                 AsBytes(chunk)));
      chunks.push_back(std::move(plain));
    }
    for (const data::PackedFile& file : manifest.files) {
      std::string& text = files[file.entry.path];
      for (const data::Extent& extent : file.extents)
        text += AsText(ByteView(chunks[extent.chunk])
                           .subspan(static_cast<std::size_t>(extent.offset),
                                    static_cast<std::size_t>(extent.length)));
    }
    return Ok();
  });
  if (!used) return Fail(used.error());
  return files;
}

}  // namespace spillway::gateway
