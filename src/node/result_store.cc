#include "node/result_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace spillway::node {

ResultStore::ResultStore(std::shared_ptr<CacheFile> cache, std::int64_t area_at,
                         ResultStoreLimits limits)
    : cache_(std::move(cache)), area_at_(area_at), limits_(limits) {}

Result<ResultStore::Slot> ResultStore::Put(ByteBuffer& sealed) {
  const auto length = static_cast<std::int64_t>(sealed.size());
  const std::lock_guard lock(mutex_);
  if (memory_used_ + length <= limits_.memory_bytes) {
    memory_used_ += length;
    return Slot{std::exchange(sealed, {}), -1, length};
  }
  if (length > limits_.disk_bytes - cursor_)
    return Fail(Code::kCapacity,
                fmt::format("results that wait for their receipt fill {} bytes of memory and {} "
                            "bytes of disk, the limits of this node",
                            limits_.memory_bytes, limits_.disk_bytes));
  SPW_ASSIGN(const std::int64_t size, cache_->Size());
  const std::int64_t missing = area_at_ + cursor_ + length - size;
  if (missing > 0) SPW_TRY(cache_->Grow(std::max(missing, limits_.grow_bytes)));
  SPW_TRY(cache_->Store(area_at_ + cursor_, sealed));
  const Slot slot{{}, area_at_ + cursor_, length};
  cursor_ += length;
  ++on_disk_;
  return slot;
}

Result<ByteBuffer> ResultStore::Get(const Slot& slot) {
  if (slot.offset < 0) return slot.bytes;
  ByteBuffer sealed(static_cast<std::size_t>(slot.length));
  SPW_TRY(cache_->Load(slot.offset, sealed));
  return sealed;
}

void ResultStore::Release(Slot& slot) {
  const std::lock_guard lock(mutex_);
  if (slot.offset < 0) {
    memory_used_ -= slot.length;
  } else if (--on_disk_ == 0) {
    cursor_ = 0;
  }
  slot = Slot{};
}

std::int64_t ResultStore::memory_used() const {
  const std::lock_guard lock(mutex_);
  return memory_used_;
}

}  // namespace spillway::node
