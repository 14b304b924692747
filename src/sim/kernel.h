// Agenda: virtual time and what happens next. One event after the other; equal times in the order
// in which they were put there, so that a seed is one history.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace spillway::sim {

enum class EventKind : std::uint8_t {
  kSubmit,     // a: job
  kSiteFrees,  // the base load ends
  kSchedule,   // the scheduler looks at pending pods; a: job whose evicted pod comes back, or -1
  kRound,      // a: epoch
  kPoll,       // a: provider, b: epoch
  kListed,     // a: slot, b: epoch
  kExecute,    // a: command, b: epoch
  kRepeat,     // a: command that is carried out a second time
  kAnswer,     // a: command, b: epoch
  kSynced,     // a: epoch
  kBoot,       // a: provider, b: machine
  kTick,       // a: agent
  kCrash,      // the daemon dies while idle
  kRestart,
  kJump,  // a: index of the jump
  kCalm,  // no new faults from here on
};
std::string_view Name(EventKind kind);

struct Event {
  Time at{};
  std::uint32_t order = 0;
  EventKind kind = EventKind::kRound;
  std::int32_t a = 0, b = 0;
};

class Agenda {
 public:
  explicit Agenda(Time start) : now_(start) {}
  Time now() const { return now_; }

  void At(Time at, EventKind kind, std::int32_t a = 0, std::int32_t b = 0) {
    events_.push_back({std::max(at, now_), order_++, kind, a, b});
    std::push_heap(events_.begin(), events_.end(), Later);
  }
  void In(Duration after, EventKind kind, std::int32_t a = 0, std::int32_t b = 0) {
    At(now_ + after, kind, a, b);
  }
  // Takes the next event and moves the time to it; false: nothing will ever happen.
  bool Next(Event& event) {
    if (events_.empty()) return false;
    std::pop_heap(events_.begin(), events_.end(), Later);
    event = events_.back();
    events_.pop_back();
    now_ = event.at;
    return true;
  }

 private:
  static bool Later(const Event& x, const Event& y) {
    return x.at != y.at ? x.at > y.at : x.order > y.order;
  }
  std::vector<Event> events_;  // a heap
  Time now_;
  std::uint32_t order_ = 0;
};

}  // namespace spillway::sim
