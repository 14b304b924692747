#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#include "fuse/parking.h"

#include <fuse_lowlevel.h>

#include <cerrno>
#include <numeric>

namespace spillway::fuse {

Parking::Parking(const Requests& requests, Content& content, Duration patience)
    : requests_(requests), content_(content), patience_(patience), free_(Requests::kParked) {
  std::iota(free_.begin(), free_.end(), std::size_t{0});
  thread_ = std::thread([this] { Run(); });
}

Parking::~Parking() {
  Stop();
}

void Parking::Add(const Read& read, ByteView bytes) {
  // A reader that is killed must not hang until the bytes come. Before it is parked, because from
  // then on it may be answered and gone.
  fuse_req_interrupt_func(
      read.request, [](fuse_req_t, void* self) { static_cast<Parking*>(self)->Wake(); }, this);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || !free_.empty(); });
  if (stopped_) return fuse_reply_none(read.request);
  const std::size_t place = free_.back();
  free_.pop_back();
  requests_.Park(place, bytes);
  parked_.push_back({read, place, std::chrono::steady_clock::now() + patience_});
  woken_ = true;  // its bytes may have come since the reader looked
  changed_.notify_all();
}

void Parking::Wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void Parking::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  if (!thread_.joinable()) return;
  thread_.join();
  for (const Parked& parked : parked_)
    fuse_reply_none(parked.read.request);  // frees it, sends nothing
  parked_.clear();
}

bool Parking::Try(Reader& reader, const Parked& parked) {
  const Read& read = parked.read;
  if (fuse_req_interrupted(read.request) != 0) {
    fuse_reply_err(read.request, EINTR);
    return true;
  }
  const auto bytes = reader.Read(read.file, read.offset, read.size);
  if (bytes && !*bytes) {
    reader.Done();
    if (std::chrono::steady_clock::now() < parked.until) return false;
    content_.GaveUp(read.file);
    fuse_reply_err(read.request, EIO);
    return true;
  }
  if (bytes)
    fuse_reply_buf(read.request, reinterpret_cast<const char*>((*bytes)->data()), (*bytes)->size());
  else
    fuse_reply_err(read.request, EIO);
  reader.Done();
  return true;
}

void Parking::Run() {
  const std::unique_ptr<Reader> reader = content_.NewReader();
  std::unique_lock lock(mutex_);
  while (true) {
    const auto due = [this] { return stopped_ || woken_; };
    if (parked_.empty()) {
      changed_.wait(lock, due);
    } else {
      // The oldest stands first, and all wait equally long.
      changed_.wait_until(lock, parked_.front().until, due);
    }
    if (stopped_) return;
    woken_ = false;
    // Only this thread removes, and others add at the end: the walk is safe without the lock.
    for (auto it = parked_.begin(); it != parked_.end() && !stopped_;) {
      lock.unlock();
      const bool answered = Try(*reader, *it);
      if (answered) requests_.Unpark(it->place);
      lock.lock();
      if (!answered) {
        ++it;
        continue;
      }
      free_.push_back(it->place);
      it = parked_.erase(it);
      changed_.notify_all();
    }
  }
}

}  // namespace spillway::fuse
