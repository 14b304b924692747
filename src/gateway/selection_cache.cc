#include "gateway/selection_cache.h"

#include <algorithm>

#include "data/bytes.h"

namespace spillway::gateway {
namespace {

std::string KeyOf(const std::string& source, const std::vector<std::string>& include,
                  const std::vector<std::string>& exclude, const std::vector<std::string>& narrow) {
  ByteBuffer bytes;
  data::AppendField(bytes, source);
  for (const auto* list : {&include, &exclude, &narrow}) {
    data::AppendBigEndian(bytes, static_cast<std::uint32_t>(list->size()));
    for (const std::string& pattern : *list) data::AppendField(bytes, pattern);
  }
  return std::string(AsText(bytes));
}

}  // namespace

SelectionCache::~SelectionCache() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (worker_.joinable()) worker_.join();
}

Result<SelectionCache::Size> SelectionCache::LookNow(const Question& question) {
  SPW_ASSIGN(const data::Selection selection,
             data::Selection::Parse(question.include, question.exclude, question.narrow));
  SPW_ASSIGN(const SourceListing listing, question.source->Count(selection));
  return Size{listing.selected_objects, listing.selected_bytes,
              listing.objects - listing.selected_objects, listing.bytes - listing.selected_bytes};
}

// The oldest answer gives way; what is in the queue stays.
void SelectionCache::MakeRoom(const std::string& key) {
  if (entries_.size() < kMaxEntries || entries_.contains(key)) return;
  auto oldest = entries_.end();
  for (auto it = entries_.begin(); it != entries_.end(); ++it)
    if (!it->second.asked &&
        (oldest == entries_.end() || it->second.looked_at < oldest->second.looked_at))
      oldest = it;
  if (oldest != entries_.end()) entries_.erase(oldest);
}

Result<SelectionCache::Size> SelectionCache::Look(const std::shared_ptr<Source>& source,
                                                  const std::vector<std::string>& include,
                                                  const std::vector<std::string>& exclude,
                                                  const std::vector<std::string>& narrow,
                                                  Duration now) {
  Question question{
      KeyOf(source->Identity(), include, exclude, narrow), source, include, exclude, narrow, now};
  if (source->IsFar()) return AskFar(std::move(question), now);
  {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(question.key);
    if (it != entries_.end() && now - it->second.looked_at < max_age_) return *it->second.size;
  }
  const Result<Size> size = LookNow(question);
  const std::lock_guard lock(mutex_);
  MakeRoom(question.key);
  entries_.insert_or_assign(question.key, Entry{now, size, false});
  return size;
}

Result<SelectionCache::Size> SelectionCache::AskFar(Question question, Duration now) {
  const std::lock_guard lock(mutex_);
  MakeRoom(question.key);
  const tl::unexpected<Error> unknown =
      Fail(Code::kUnavailable, question.source->Name() + ": is being looked at");
  const auto known = entries_.find(question.key);
  if (known == entries_.end() && entries_.size() >= kMaxEntries) return unknown;  // asked again
  Entry& entry = entries_[question.key];
  const Duration age = entry.size && !*entry.size ? max_age_ : far_age_;
  if (!entry.asked && (!entry.size || now - entry.looked_at >= age)) {
    entry.asked = true;
    queue_.push_back(std::move(question));
    if (!worker_.joinable()) worker_ = std::thread([this] { Work(); });
    changed_.notify_all();
  }
  return entry.size ? *entry.size : Result<Size>(unknown);
}

std::uint64_t SelectionCache::FarLooks() const {
  const std::lock_guard lock(mutex_);
  return far_looks_;
}

void SelectionCache::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const Question question = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    const Result<Size> size = LookNow(question);
    lock.lock();
    // A store that is away for a moment does not make a known size unknown.
    Entry& entry = entries_[question.key];
    const bool away =
        !size && (size.error().code == Code::kUnavailable || size.error().code == Code::kThrottled);
    if (!away || !entry.size || !*entry.size) entry.size = size;
    entry.looked_at = question.asked_at;
    entry.asked = false;
    ++far_looks_;
  }
}

}  // namespace spillway::gateway
