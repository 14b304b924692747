// A local copy of all objects of one kind, kept up to date, of which only what the owner needs is
// held: `Trim` makes a small T of each object, and the object is dropped at once.
#pragma once

#include <concepts>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "kube/watch.h"

namespace spillway::kube {

enum class ChangeKind : std::uint8_t { kAdded, kModified, kDeleted, kSynced };

template <typename T>
struct Change {
  ChangeKind kind = ChangeKind::kSynced;
  std::string_view key;             // "namespace/name"; empty for kSynced; valid during the call
  std::shared_ptr<const T> object;  // for kDeleted the last content; null for kSynced
};

// The copy of one kind of object. Thread-safe; owns the thread that watches. T is immutable once
// stored and shared with readers. If T has ==, a change of the object that does not change its T is
// not a change (a kubelet's heartbeat, for example).
template <typename T>
class Informer final : private WatchSink {
 public:
  // What is kept of an object; nullopt keeps nothing of it, as if it did not exist. Must not throw.
  using Trim = std::function<std::optional<T>(const json::object&)>;
  // Called on the informer's thread, one call at a time, after the copy changed; while it runs
  // nothing more is read from the server. Must not throw or call Stop().
  using OnChange = std::function<void(const Change<T>&)>;
  // The watch broke: for the log and a metric. Same thread.
  using OnTrouble = std::function<void(const Error&, Duration wait)>;

  // Borrows the client.
  Informer(Client& client, Resource resource, ListQuery query, Trim trim, OnChange on_change = {},
           OnTrouble on_trouble = {}, WatchOptions options = {})
      : clock_(*client.timing().clock),
        trim_(std::move(trim)),
        on_change_(std::move(on_change)),
        on_trouble_(std::move(on_trouble)),
        watcher_(client, std::move(resource), std::move(query), *this, options) {}
  ~Informer() override { Stop(); }

  void Start() {
    SPW_CHECK(!thread_.joinable(), "an informer starts once");
    thread_ = std::jthread([this](const std::stop_token& stop) { watcher_.Run(stop); });
  }
  // Cuts the watch and joins the thread. The copy stays readable.
  void Stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
  }

  // True for ever after the first complete list.
  bool HasSynced() const {
    const std::lock_guard lock(mutex_);
    return synced_;
  }
  // Waits for the first list in real time; false if it did not come within `patience`.
  bool WaitSynced(Duration patience) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return synced_; });
  }
  // Grows with each change of the copy; two equal values mean the same content.
  std::uint64_t version() const {
    const std::lock_guard lock(mutex_);
    return version_;
  }
  // Steady time since the server last said anything: how old the copy may be.
  Duration Silence() const {
    const std::lock_guard lock(mutex_);
    return clock_.SteadyNow() - heard_at_;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }
  // Null if it does not exist.
  std::shared_ptr<const T> Find(std::string_view key) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : found->second.object;
  }
  // In the order of keys, under the lock: be quick, and do not call back into the informer.
  template <typename F>
  void ForEach(const F& visit) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : entries_) visit(std::string_view(key), *entry.object);
  }

 private:
  struct Entry {
    std::shared_ptr<const T> object;
    std::uint32_t list = 0;  // the list it was last seen in
  };

  void Restart() override { ++list_; }

  void Apply(const json::object& object) override {
    const std::string key = KeyOf(object);
    std::optional<T> trimmed = trim_(object);
    if (!trimmed) return Drop(key);
    auto fresh = std::make_shared<const T>(*std::move(trimmed));
    ChangeKind kind = ChangeKind::kAdded;
    {
      const std::lock_guard lock(mutex_);
      auto [at, added] = entries_.try_emplace(key);
      at->second.list = list_;
      if (!added && Same(*at->second.object, *fresh)) return;
      if (!added) kind = ChangeKind::kModified;
      at->second.object = fresh;
      ++version_;
    }
    Tell({kind, key, std::move(fresh)});
  }

  void Remove(const json::object& object) override { Drop(KeyOf(object)); }

  void Drop(const std::string& key) {
    std::shared_ptr<const T> last;
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find(key);
      if (found == entries_.end()) return;
      last = std::move(found->second.object);
      entries_.erase(found);
      ++version_;
    }
    Tell({ChangeKind::kDeleted, key, std::move(last)});
  }

  // What the new list does not have went away unseen.
  void Synced() override {
    std::map<std::string, Entry, std::less<>> gone;
    {
      const std::lock_guard lock(mutex_);
      for (auto at = entries_.begin(); at != entries_.end();) {
        const auto here = at++;
        if (here->second.list != list_) gone.insert(entries_.extract(here));
      }
      version_ += gone.size();
    }
    for (const auto& [key, entry] : gone) Tell({ChangeKind::kDeleted, key, entry.object});
    {
      const std::lock_guard lock(mutex_);
      heard_at_ = clock_.SteadyNow();
      synced_ = true;
    }
    changed_.notify_all();
    Tell({ChangeKind::kSynced, {}, nullptr});
  }

  void Heard() override {
    const std::lock_guard lock(mutex_);
    heard_at_ = clock_.SteadyNow();
  }
  void Trouble(const Error& error, Duration wait) override {
    if (on_trouble_) on_trouble_(error, wait);
  }

  void Tell(const Change<T>& change) {
    if (on_change_) on_change_(change);
  }

  static bool Same(const T& a, const T& b) {
    if constexpr (std::equality_comparable<T>)
      return a == b;
    else
      return false;
  }

  const Clock& clock_;
  const Trim trim_;
  const OnChange on_change_;
  const OnTrouble on_trouble_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::uint64_t version_ = 0;
  std::uint32_t list_ = 0;  // of the watching thread only
  bool synced_ = false;
  Duration heard_at_{0};
  Watcher watcher_;
  std::jthread thread_;
};

}  // namespace spillway::kube
