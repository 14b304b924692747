// Events: what `kubectl describe` tells about an object. The same Event again becomes a count, and
// no object nor all of them together can flood the API server.
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "kube/client.h"

namespace spillway::kube {

inline const Resource kEvents{"events.k8s.io", "v1", "events", true};

// What an Event is about.
struct ObjectReference {
  std::string api_version, kind, name_space, name, uid;

  // Of an object as the server sent it; items of a raw list have no kind, so it is given.
  static ObjectReference To(const json::object& object, std::string_view api_version,
                            std::string_view kind);
};

enum class EventType : std::uint8_t { kNormal, kWarning };

struct Event {
  ObjectReference about;
  EventType type = EventType::kNormal;
  std::string reason;  // "Renting": one word, CamelCase
  std::string action;  // "Rent": what was or will be done; the reason if empty
  std::string note;    // for a person; cut at 1,000 bytes
};

struct EventOptions {
  std::string component;                // "spillway.dev/controller"
  std::string instance;                 // which replica
  double per_second = 5, at_once = 50;  // of all objects together
  double per_object_per_second = 1.0 / 30, per_object_at_once = 10;
  std::size_t pending = 2000;     // more are dropped and counted
  std::size_t remembered = 4000;  // Events that can still become a series, and objects with a limit
  Duration series_period = 1min;  // a series is written so often at most
  Duration series_life = 30min;   // after that the same Event is a new one (they expire after 1 h)
};

// Record() from any thread; Run() on one. Of two Events of the same object, type and reason that
// wait for their turn only the later one is written: a progress may skip steps but always ends with
// the last word. Borrows the client.
class EventRecorder {
 public:
  EventRecorder(Client& client, EventOptions options);

  // Never blocks and never fails: an Event is help, not record; the ledger is the record.
  void Record(Event event);

  // Writes what may be written now.
  void Step(const std::stop_token& stop = {});
  // A step each second until `stop`.
  void Run(const std::stop_token& stop);

  struct Counts {
    std::int64_t written = 0, merged = 0, dropped = 0, failed = 0;
  };
  Counts counts() const;

 private:
  struct Pending {
    Event event;
    Time first, last;
    int count = 1;
  };
  // One Event object that exists.
  struct Series {
    std::string text;  // what makes two Events the same: everything but time and count
    ObjectName name;
    int count = 1;
    Duration begun{0}, written{0};
    Time last;
    bool dirty = false;
  };
  struct Budget {
    Budget(std::string of, double per_second, double at_once)
        : uid(std::move(of)), bucket(per_second, at_once) {}
    std::string uid;
    TokenBucket bucket;
  };
  using SeriesList = std::list<Series>;  // the most recently used first
  using BudgetList = std::list<Budget>;

  bool MayWrite(const std::string& uid, Duration now);
  Status Create(const Pending& pending, const std::string& text, const std::stop_token& stop);
  Status UpdateSeries(Series& series, const std::stop_token& stop);
  void WritePending(const std::stop_token& stop);
  void WriteSeries(const std::stop_token& stop);
  Series* FindSeries(const std::string& text, Duration now);
  void Count(std::int64_t Counts::* which);
  static std::string Text(const Event& event);

  Client& client_;
  const EventOptions options_;
  TokenBucket all_;
  Rng rng_;
  // Of the writing thread.
  SeriesList series_;
  std::map<std::string, SeriesList::iterator> series_by_text_;
  BudgetList budgets_;
  std::map<std::string, BudgetList::iterator> budget_by_uid_;
  mutable std::mutex mutex_;                // of what follows
  std::map<std::string, Pending> pending_;  // by object, type and reason
  Counts counts_;
};

}  // namespace spillway::kube
