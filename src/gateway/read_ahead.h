// The plaintext of a run's chunks, one after the other, read ahead by several threads where the
// sources are far: a store answers in milliseconds, so that one request at a time would never fill
// a line.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/encoding.h"
#include "gateway/seal_run.h"
#include "gateway/source.h"

namespace spillway::gateway {

// Not thread-safe. Holds at most kWindow chunks; what it did not hand out is wiped.
class ReadAhead {
 public:
  static constexpr std::size_t kWindow = 8;
  static constexpr std::int64_t kReadBytes = 2 << 20;  // of one Read(), and so of its buffers

  // readers[i] is of plan.inputs[i]. The plan outlives it. Begins with chunk `first`.
  ReadAhead(const RunPlan& plan, std::vector<std::unique_ptr<SourceReader>> readers,
            std::size_t first = 0);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next chunk; the caller wipes it. After an error, and after the last chunk, no more.
  Result<ByteBuffer> Next();
  // Gives back the memory of a chunk that was handed out, wiped, for one that comes.
  void Return(ByteBuffer memory);

 private:
  struct Slot {
    ByteBuffer plain;
    std::size_t left = 0;  // reads that are not done
  };
  // A part of a piece of a chunk.
  struct Part {
    std::size_t chunk = 0;
    const data::Piece* piece = nullptr;
    std::int64_t offset = 0, length = 0;  // inside the piece
  };

  void AddSlot();
  bool TakePart(Part& part);
  Status ReadPart(const Part& part, std::span<std::uint8_t> plain);
  void Work();

  const RunPlan& plan_;
  std::vector<std::unique_ptr<SourceReader>> readers_;
  std::vector<std::unique_ptr<std::mutex>> alone_;  // of readers that read one at a time
  std::mutex mutex_;                                // guards the rest
  std::condition_variable changed_;
  std::deque<Slot> slots_;         // of the chunks from first_ on
  std::vector<ByteBuffer> spare_;  // at most kWindow
  std::size_t first_ = 0;          // chunk that is handed out next
  Part next_;                      // where the next part begins
  std::optional<Error> failed_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace spillway::gateway
