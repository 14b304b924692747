// Memo: what somebody worked out from an immutable object, kept with it. The object stays as long
// as it is the newest one, and so does the answer.
#pragma once

#include <atomic>
#include <memory>

namespace spillway::store {

// One answer, of one asker. Thread-safe; copies begin empty.
class Memo {
 public:
  struct Answer {
    virtual ~Answer() = default;
  };

  Memo() = default;
  Memo(const Memo&) {}
  Memo& operator=(const Memo&) { return *this; }
  ~Memo() { delete answer_.load(); }

  // The answer, worked out by `make` (which returns a std::unique_ptr<T>) the first time. Valid as
  // long as the object. T is always the same.
  template <typename T, typename Make>
  const T& Get(const Make& make) const {
    if (const Answer* known = answer_.load(std::memory_order_acquire))
      return static_cast<const T&>(*known);
    std::unique_ptr<T> fresh = make();
    const Answer* known = nullptr;
    if (answer_.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel))
      return *fresh.release();
    return static_cast<const T&>(*known);
  }

 private:
  mutable std::atomic<const Answer*> answer_{nullptr};
};

}  // namespace spillway::store
