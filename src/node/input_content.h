// The plaintext of a run's inputs: opened out of the sealed cache as it is read.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "fuse/content.h"
#include "node/stager.h"
#include "runtime/pod_spec.h"

namespace spillway::node {

// Opens only the segments that a read touches, straight into the answer, and checks the tag of
// each, every time. Keeps, zeroised when they go:
//
//   keys of 64 chunks        a few MB at most
//   32 single segments       for reads below a segment, 2 MiB
//   whole compressed chunks  they open in no other way; kMostWholeBytes, at least one
//
// Thread-safe.
class InputContent final : public fuse::Content {
 public:
  static constexpr std::int64_t kMostWholeBytes = 48 << 20;

  // `problem` is told, by any thread, which file and chunk cannot be read and why.
  InputContent(std::shared_ptr<const StagedData> data, const RunKey& key,
               std::function<void(std::string)> problem);
  ~InputContent() override;

  std::unique_ptr<fuse::Reader> NewReader() override;
  void GaveUp(std::uint32_t file) override;

  // Every later read fails. Returns when running ones have been answered and everything that was
  // opened is zeroised.
  void Close();

 private:
  class From;
  using OpenerPtr = std::shared_ptr<const data::ChunkOpener>;
  using Whole = std::shared_ptr<const ByteBuffer>;

  // Fills `out` with plaintext of `chunk`; false if the chunk is not here.
  Result<bool> ReadChunk(std::uint32_t chunk, std::int64_t offset, std::span<std::uint8_t> out,
                         From& reader);
  Status ReadSmall(const data::ChunkOpener& opener, const ChunkCache::Pin& pin, std::uint32_t chunk,
                   std::int64_t offset, std::span<std::uint8_t> out, From& reader);
  static Status ReadLarge(const data::ChunkOpener& opener, const ChunkCache::Pin& pin,
                          std::int64_t offset, std::span<std::uint8_t> out, From& reader);
  Result<OpenerPtr> Opener(std::uint32_t chunk, const ChunkCache::Pin& pin);
  Result<Whole> OpenWhole(const data::ChunkOpener& opener, const ChunkCache::Pin& pin,
                          std::uint32_t chunk);
  bool CopySegment(std::uint64_t segment, std::size_t from, std::span<std::uint8_t> out);
  void KeepSegment(std::uint64_t segment, ByteBuffer& plain);
  void Tell(std::uint32_t file, std::optional<std::uint32_t> chunk, const Error& error);

  const std::shared_ptr<const StagedData> data_;
  const RunKey& key_;
  const std::function<void(std::string)> problem_;
  std::atomic<bool> closed_ = false;
  std::shared_mutex gate_;  // shared from the begin of a read until it is answered

  std::mutex mutex_;  // guards everything below
  std::set<From*> readers_;
  struct Keyed {
    std::uint32_t chunk = 0;
    OpenerPtr opener;
  };
  std::list<Keyed> openers_;  // newest use first
  struct Segment {
    std::uint64_t number = 0;
    ByteBuffer plain;
  };
  std::list<Segment> segments_;  // newest use first
  struct Opened {
    std::uint32_t chunk = 0;
    Whole plain;
  };
  std::list<Opened> wholes_;  // newest use first
  std::int64_t whole_bytes_ = 0;
  std::int64_t told_ = 0;  // problems that went to the log
};

// The files below "<claim>/" as the input of one pod, for who cannot mount; none is an empty
// volume. All of them must be staged.
std::shared_ptr<runtime::InputSource> OpenClaim(InputContent& content, const RunFiles& files,
                                                const std::string& claim);

}  // namespace spillway::node
