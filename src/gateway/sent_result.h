// For tests: a result as the node of run bn-1 sends it home.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "data/seal.h"
#include "door/protocol.h"
#include "gateway/files.h"
#include "gateway/results.h"
#include "gateway/run_store.h"

namespace spillway::gateway {

// How many chunks a file of this content is sent in.
inline std::int64_t ResultChunks(std::string_view content) {
  return std::max<std::int64_t>(
      1, (std::ssize(content) + door::kResultChunkBytes - 1) / door::kResultChunkBytes);
}

// Chunk `index` of a file of the claim vision/models.
inline ResultChunk DescribeResult(const std::string& path, std::string_view content,
                                  std::int64_t index) {
  ResultChunk chunk;
  chunk.run = "bn-1";
  chunk.pod = "vision/train-0";
  chunk.uid = "uid-1";
  chunk.claim = "models";
  chunk.path = path;
  chunk.size_bytes = std::ssize(content);
  chunk.sha256 = Sha256(AsBytes(content));
  chunk.chunk = index;
  chunk.chunks = ResultChunks(content);
  return chunk;
}

// `plain`, sealed for this chunk with the key of its run, which is prepared.
inline Result<ByteBuffer> SealPlain(KeyStore& keys, Runs& runs, const ResultChunk& chunk,
                                    std::string_view plain) {
  const data::ChunkContext context{chunk.run,
                                   "vision/" + chunk.claim,
                                   runs.Find(chunk.run)->dataset_version,
                                   data::Direction::kUp,
                                   "result/" + chunk.path,
                                   static_cast<std::uint32_t>(chunk.chunk)};
  ByteBuffer sealed;
  SPW_TRY(keys.Use(chunk.run, [&](const data::Secret& key) -> Status {
    SPW_ASSIGN(sealed,
               data::SealChunk(key, context, AsBytes(plain), RandomBytes(data::kSaltBytes)));
    return Ok();
  }));
  return sealed;
}

// The bytes of a chunk of this content, sealed.
inline Result<ByteBuffer> SealResult(KeyStore& keys, Runs& runs, const ResultChunk& chunk,
                                     std::string_view content) {
  return SealPlain(keys, runs, chunk,
                   content.substr(static_cast<std::size_t>(chunk.chunk * door::kResultChunkBytes),
                                  door::kResultChunkBytes));
}

}  // namespace spillway::gateway
