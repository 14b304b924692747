// What a selection would send, for estimates, without looking again at each question.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "gateway/source.h"

namespace spillway::gateway {

// Looks at most once in `max_age` per selection; at what is far once in `far_age`, on a thread of
// its own. Thread-safe; holds at most kMaxEntries answers.
class SelectionCache {
 public:
  static constexpr std::size_t kMaxEntries = 256;

  explicit SelectionCache(Duration max_age, Duration far_age = 10min)
      : max_age_(max_age), far_age_(far_age) {}
  // Waits for the look at a far source that is under way.
  ~SelectionCache();

  struct Size {
    std::int64_t leaves_objects = 0, leaves_bytes = 0;
    std::int64_t stays_objects = 0, stays_bytes = 0;
  };
  // `now`: a steady clock. Errors as List() and Selection::Parse; they are remembered too, for
  // `max_age`. Of a far source the last answer at once, or kUnavailable while there is none.
  Result<Size> Look(const std::shared_ptr<Source>& source, const std::vector<std::string>& include,
                    const std::vector<std::string>& exclude, const std::vector<std::string>& narrow,
                    Duration now);

  // Looks at far sources that have ended so far.
  std::uint64_t FarLooks() const;

 private:
  struct Question {
    std::string key;
    std::shared_ptr<Source> source;
    std::vector<std::string> include, exclude, narrow;
    Duration asked_at;
  };
  struct Entry {
    Duration looked_at;
    std::optional<Result<Size>> size;  // none until a far source has answered
    bool asked = false;                // it is in the queue, or being looked at
  };

  static Result<Size> LookNow(const Question& question);
  Result<Size> AskFar(Question question, Duration now);
  void MakeRoom(const std::string& key);
  void Work();

  const Duration max_age_, far_age_;
  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;
  std::deque<Question> queue_;  // at most one for an entry
  std::uint64_t far_looks_ = 0;
  bool stopping_ = false;
  std::thread worker_;  // begun with the first question about a far source
};

}  // namespace spillway::gateway
