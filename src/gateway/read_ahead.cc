#include "gateway/read_ahead.h"

#include <algorithm>

#include "data/secret.h"

namespace spillway::gateway {
namespace {

std::size_t PartsOf(const data::Piece& piece) {
  return static_cast<std::size_t>((piece.length + ReadAhead::kReadBytes - 1) /
                                  ReadAhead::kReadBytes);
}

}  // namespace

ReadAhead::ReadAhead(const RunPlan& plan, std::vector<std::unique_ptr<SourceReader>> readers,
                     std::size_t first)
    : plan_(plan), readers_(std::move(readers)), first_(first) {
  next_.chunk = first;
  int workers = 1;
  for (const auto& reader : readers_) {
    workers = std::max(workers, reader->Parallel());
    alone_.push_back(reader->Parallel() > 1 ? nullptr : std::make_unique<std::mutex>());
  }
  if (workers == 1) return;  // Next() reads by itself
  for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { Work(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (const auto& reader : readers_) reader->Cancel();
  for (std::thread& worker : workers_) worker.join();
  for (Slot& slot : slots_) data::Cleanse(slot.plain);
}

// For the chunk behind those that have one.
void ReadAhead::AddSlot() {
  const data::ChunkPlan& chunk = plan_.layout.chunks[first_ + slots_.size()];
  Slot slot;
  if (!spare_.empty()) {
    slot.plain = std::move(spare_.back());
    spare_.pop_back();
  }
  slot.plain.resize(static_cast<std::size_t>(chunk.plain_bytes));
  for (const data::Piece& piece : chunk.pieces) slot.left += PartsOf(piece);
  slots_.push_back(std::move(slot));
}

// The next part that fits into the window; false if there is none now.
bool ReadAhead::TakePart(Part& part) {
  while (next_.chunk < plan_.layout.chunks.size() && next_.chunk < first_ + kWindow) {
    const data::ChunkPlan& chunk = plan_.layout.chunks[next_.chunk];
    if (next_.piece == nullptr) {
      if (next_.chunk >= first_ + slots_.size()) AddSlot();
      next_.piece = chunk.pieces.data();
      next_.offset = 0;
    }
    const data::Piece* end = chunk.pieces.data() + chunk.pieces.size();
    if (next_.piece == end) {
      next_ = {next_.chunk + 1, nullptr, 0, 0};
      continue;
    }
    if (next_.offset == next_.piece->length) {
      ++next_.piece;
      next_.offset = 0;
      continue;
    }
    part = next_;
    part.length = std::min(kReadBytes, next_.piece->length - next_.offset);
    next_.offset += part.length;
    return true;
  }
  return false;
}

Status ReadAhead::ReadPart(const Part& part, std::span<std::uint8_t> plain) {
  const auto [input, file] = plan_.origins[part.piece->file];
  const std::unique_lock lock =
      alone_[input] ? std::unique_lock(*alone_[input]) : std::unique_lock<std::mutex>();
  return readers_[input]->Read(
      plan_.inputs[input].listing.selected[file], part.piece->file_offset + part.offset,
      plain.subspan(static_cast<std::size_t>(part.piece->chunk_offset + part.offset),
                    static_cast<std::size_t>(part.length)));
}

void ReadAhead::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    Part part;
    while (!stopping_ && !failed_ && !TakePart(part)) {
      if (next_.chunk >= plan_.layout.chunks.size()) return;
      changed_.wait(lock);
    }
    if (stopping_ || failed_) return;
    // A deque's elements stay where they are while others come and go at its ends, and this one
    // cannot go while its part is missing.
    Slot& slot = slots_[part.chunk - first_];
    lock.unlock();
    const Status read = ReadPart(part, slot.plain);
    lock.lock();
    if (!read && !failed_) failed_ = read.error();
    if (--slot.left == 0 || failed_) changed_.notify_all();
  }
}

Result<ByteBuffer> ReadAhead::Next() {
  std::unique_lock lock(mutex_);
  SPW_CHECK(first_ < plan_.layout.chunks.size(), "there is no next chunk");
  if (slots_.empty()) AddSlot();
  while (workers_.empty() && slots_.front().left > 0 && !failed_) {
    Part part;
    SPW_CHECK(TakePart(part), "a part of the chunk is missing");
    if (const Status read = ReadPart(part, slots_[part.chunk - first_].plain); !read)
      failed_ = read.error();
    --slots_[part.chunk - first_].left;
  }
  changed_.wait(lock, [this] { return failed_ || slots_.front().left == 0; });
  if (failed_) return Fail(*failed_);
  ByteBuffer plain = std::move(slots_.front().plain);
  slots_.pop_front();
  ++first_;
  changed_.notify_all();
  return plain;
}

void ReadAhead::Return(ByteBuffer memory) {
  const std::lock_guard lock(mutex_);
  if (spare_.size() < kWindow) spare_.push_back(std::move(memory));
}

}  // namespace spillway::gateway
