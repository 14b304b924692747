// Which runs have sealed which content: what one has read from far away need not be read again for
// another that reads the same version of the same files.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/result.h"
#include "data/seal.h"
#include "gateway/key_store.h"

namespace spillway::gateway {

// The sealed chunks of one run as they come to be. Thread-safe.
class SealedContent {
 public:
  // `file` is that of the sealed chunks.
  SealedContent(std::string run, std::string dataset_version, std::string file)
      : run_(std::move(run)),
        dataset_version_(std::move(dataset_version)),
        file_(std::move(file)) {}

  const std::string& run() const { return run_; }

  // The next chunk is in the file, up to `end`.
  void Append(std::int64_t end);
  // No more will come: all of them are there, or not.
  void End();

  // The plaintext of a chunk, with the key of its run and never written anywhere; the caller wipes
  // it. Waits for the chunk while the run is being sealed. An error when it cannot be had, for
  // whatever reason: the key is destroyed, sealing failed, the file is gone or damaged.
  Result<ByteBuffer> Open(std::size_t index, KeyStore& keys);

 private:
  const std::string run_, dataset_version_, file_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<std::int64_t> ends_;
  bool ended_ = false;
};

// Those of this process by their content; at most kMaxContents, the oldest gives way. Thread-safe.
class SealedContents {
 public:
  static constexpr std::size_t kMaxContents = 64;

  // The oldest that began before with this content, or nullptr; `own` is there for those who come
  // later. As each waits for older ones only, nobody waits for himself.
  std::shared_ptr<SealedContent> Join(const Digest& content, std::shared_ptr<SealedContent> own);
  // That of this run cannot be used any more.
  void Drop(const std::string& run);

 private:
  struct Entry {
    Digest content{};
    std::shared_ptr<SealedContent> sealed;
  };
  std::mutex mutex_;          // guards the list
  std::list<Entry> entries_;  // oldest first
};

}  // namespace spillway::gateway
